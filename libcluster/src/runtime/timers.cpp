#include "timers.hpp"

#include <algorithm>
#include <utility>

#include "cluster/base/assert.hpp"

namespace cluster::runtime {

Timers::~Timers() = default;

TimerId Timers::set(Instant due, ActorRef to, EnvelopePtr message) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t index = make_entry(std::move(to), std::move(message));
  heap_.push_back({due, index});
  sift_up(heap_.size() - 1, {due, index});
  publish_next();
  return {std::uint64_t{entries_[index].generation} << 32 | index};
}

bool Timers::cancel(TimerId timer) {
  const auto index = static_cast<std::uint32_t>(timer.value);
  Fired cancelled;  // destroyed after the lock: its destructor may be the user's
  {
    const std::lock_guard lock(mutex_);
    if (timer.value == 0 || index >= entries_.size()) return false;
    const Entry& entry = entries_[index];
    if (entry.generation != timer.value >> 32 || entry.message == nullptr) return false;
    remove_at(entry.place);
    cancelled = free_entry(index);
    publish_next();
  }
  return true;
}

std::size_t Timers::fire(Instant now) {
  std::size_t count = 0;
  while (next() <= now) {
    Fired fired;
    {
      const std::lock_guard lock(mutex_);
      if (heap_.empty() || heap_.front().due > now) break;
      const std::uint32_t index = heap_.front().entry;
      remove_at(0);
      fired = free_entry(index);
      publish_next();
    }
    static_cast<void>(fired.to.post_system(fired.message));  // closed: dropped, as documented
    ++count;
  }
  return count;
}

std::uint32_t Timers::make_entry(ActorRef to, EnvelopePtr message) {
  CLUSTER_ASSERT(message != nullptr);
  std::uint32_t index = free_;
  if (index == kNone) {
    CLUSTER_ASSERT(entries_.size() < kNone);
    index = static_cast<std::uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    free_ = entries_[index].place;
  }
  entries_[index].to = std::move(to);
  entries_[index].message = std::move(message);
  return index;
}

Timers::Fired Timers::free_entry(std::uint32_t index) noexcept {
  Entry& entry = entries_[index];
  Fired fired{std::move(entry.to), std::move(entry.message)};
  if (++entry.generation == 0) entry.generation = 1;
  entry.place = std::exchange(free_, index);
  return fired;
}

void Timers::remove_at(std::size_t place) noexcept {
  const Node last = heap_.back();
  heap_.pop_back();
  if (place == heap_.size()) return;
  if (place > 0 && last.due < heap_[(place - 1) / kArity].due)
    sift_up(place, last);
  else
    sift_down(place, last);
}

void Timers::sift_up(std::size_t place, Node node) noexcept {
  while (place > 0) {
    const std::size_t parent = (place - 1) / kArity;
    if (heap_[parent].due <= node.due) break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, node);
}

void Timers::sift_down(std::size_t place, Node node) noexcept {
  for (;;) {
    const std::size_t first = place * kArity + 1;
    if (first >= heap_.size()) break;
    const std::size_t end = std::min(first + kArity, heap_.size());
    std::size_t least = first;
    for (std::size_t child = first + 1; child < end; ++child)
      if (heap_[child].due < heap_[least].due) least = child;
    if (heap_[least].due >= node.due) break;
    put(place, heap_[least]);
    place = least;
  }
  put(place, node);
}

void Timers::put(std::size_t place, Node node) noexcept {
  heap_[place] = node;
  entries_[node.entry].place = static_cast<std::uint32_t>(place);
}

void Timers::publish_next() noexcept {
  const Instant::rep first = (heap_.empty() ? kNever : heap_.front().due).time_since_epoch().count();
  if (first != next_.load(std::memory_order_relaxed)) next_.store(first);
}

}  // namespace cluster::runtime
