#include "cluster/ds/vector_clock.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace cluster {
namespace {

using Entry = VectorClock::Entry;

bool before(const Entry& entry, const NodeId& id) noexcept { return entry.id.str() < id.str(); }

/// Moves `at` to the first entry not before `id`, and says whether that is the entry of `id`. Clocks that
/// meet mostly have the same ids, so equality, the cheaper question, is asked first.
template <class Iterator>
bool advance_to(Iterator& at, Iterator end, const NodeId& id) noexcept {
  for (; at != end; ++at) {
    if (at->id == id) return true;
    if (!before(*at, id)) return false;
  }
  return false;
}

void take_greater(Entry& own, const Entry& other) {
  if (std::pair(own.count, own.time) < std::pair(other.count, other.time)) own = other;
}

/// `from - to` without overflow: any pair of times may arrive from outside.
std::chrono::microseconds age(WallTime to, WallTime from) noexcept {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(micros(to), micros(from), &difference))
    difference =
        to < from ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
  return std::chrono::microseconds{difference};
}

}  // namespace

VectorClock::VectorClock(NodeId id, std::uint64_t count, WallTime now) {
  entries_.push_back({std::move(id), count, now, now});
}

Result<VectorClock> VectorClock::from_entries(std::vector<Entry> entries) {
  std::ranges::sort(entries, {}, &Entry::id);
  if (!entries.empty() && entries.front().id.empty())
    return Error(Errc::invalid_argument, "a vector clock entry has no id");
  const auto twice = std::ranges::adjacent_find(entries, {}, &Entry::id);
  if (twice != entries.end())
    return Error(Errc::invalid_argument, "vector clock entry '" + twice->id.str() + "' occurs twice");
  VectorClock clock;
  clock.entries_ = std::move(entries);
  return clock;
}

std::vector<Entry>::iterator VectorClock::place(const NodeId& id) noexcept {
  return std::lower_bound(entries_.begin(), entries_.end(), id, before);
}

Entry& VectorClock::entry(const NodeId& id, WallTime now) {
  const auto at = place(id);
  if (at != entries_.end() && at->id == id) return *at;
  return *entries_.insert(at, Entry{id, 0, now, now});
}

void VectorClock::insert(const NodeId& id, WallTime now) { entry(id, now); }

void VectorClock::increment(const NodeId& id, WallTime now) {
  Entry& own = entry(id, now);
  if (own.count != std::numeric_limits<std::uint64_t>::max()) ++own.count;
  own.time = now;
}

void VectorClock::update(const NodeId& id, std::uint64_t count, WallTime now, std::optional<WallTime> time) {
  Entry& own = entry(id, now);
  own.count = count;
  own.time = time.value_or(now);
}

bool VectorClock::remove(const NodeId& id) {
  const auto at = place(id);
  if (at == entries_.end() || at->id != id) return false;
  entries_.erase(at);
  return true;
}

void VectorClock::merge(const VectorClock& other) {
  std::size_t missing = 0;
  auto own = entries_.begin();
  for (const auto& theirs : other.entries_) {
    if (advance_to(own, entries_.end(), theirs.id))
      take_greater(*own, theirs);
    else
      ++missing;
  }
  if (missing == 0) return;

  // Both are sorted, so filling the grown array from its end never overwrites what is still to be moved.
  std::size_t left = entries_.size();
  entries_.resize(left + missing);
  std::size_t to = entries_.size();
  for (auto theirs = other.entries_.rbegin(); theirs != other.entries_.rend() && missing > 0; ++theirs) {
    while (left > 0 && theirs->id.str() < entries_[left - 1].id.str())
      entries_[--to] = std::move(entries_[--left]);
    if (left > 0 && entries_[left - 1].id == theirs->id) continue;
    entries_[--to] = *theirs;
    --missing;
  }
}

void VectorClock::trim(WallTime threshold, const TrimBounds& bounds) {
  if (size() <= bounds.size_lower || empty()) return;
  std::vector<std::size_t> oldest_first(size());
  for (std::size_t i = 0; i < size(); ++i) oldest_first[i] = i;
  std::ranges::stable_sort(oldest_first, {}, [this](std::size_t i) { return entries_[i].time; });
  if (age(threshold, entries_[oldest_first.front()].time) <= bounds.age_young) return;

  std::vector<bool> dropped(size());
  std::size_t left = size();
  for (const std::size_t i : oldest_first) {
    if (left <= bounds.size_upper && age(threshold, entries_[i].time) <= bounds.age_old) break;
    dropped[i] = true;
    --left;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (dropped[i]) continue;
    if (kept != i) entries_[kept] = std::move(entries_[i]);
    ++kept;
  }
  entries_.resize(kept);
}

const Entry* VectorClock::find(const NodeId& id) const noexcept {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), id, before);
  return at != entries_.end() && at->id == id ? &*at : nullptr;
}

std::uint64_t VectorClock::count(const NodeId& id) const noexcept {
  const Entry* const own = find(id);
  return own == nullptr ? 0 : own->count;
}

bool VectorClock::descends(const VectorClock& other) const noexcept {
  if (other.size() > size()) return false;
  auto own = entries_.begin();
  for (const auto& theirs : other.entries_) {
    if (!advance_to(own, entries_.end(), theirs.id) || own->count < theirs.count) return false;
    ++own;
  }
  return true;
}

std::partial_ordering VectorClock::operator<=>(const VectorClock& other) const noexcept {
  const bool after = descends(other);
  const bool before = other.descends(*this);
  if (after && before) return std::partial_ordering::equivalent;
  if (after) return std::partial_ordering::greater;
  return before ? std::partial_ordering::less : std::partial_ordering::unordered;
}

bool VectorClock::operator==(const VectorClock& other) const noexcept {
  return std::ranges::equal(entries_, other.entries_, [](const Entry& a, const Entry& b) {
    return a.count == b.count && a.id == b.id;
  });
}

}  // namespace cluster
