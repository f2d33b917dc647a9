#include "cluster/runtime/call_table.hpp"

#include <algorithm>

namespace cluster::runtime {
namespace {

constexpr auto is_later = [](const auto& a, const auto& b) { return a.at > b.at; };

}  // namespace

std::uint64_t CallTable::open(Instant deadline) {
  std::uint32_t slot = 0;
  if (free_.empty()) {
    if (slots_.size() >> kSlotBits != 0) return 0;
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
    free_.reserve(slots_.capacity());  // so that close() need not allocate
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Call& call = slots_[slot];
  call.id = ++generation_ << kSlotBits | slot;
  ++open_;
  if (deadline != kNever) push_deadline({deadline, call.id});
  return call.id;
}

void CallTable::close(std::uint64_t id) noexcept {
  Call* call = find(id);
  if (call == nullptr) return;
  *call = Call{};
  --open_;
  free_.push_back(static_cast<std::uint32_t>(slot_of(id)));
}

std::vector<std::uint64_t> CallTable::take_expired(Instant now) {
  std::vector<std::uint64_t> ids;
  for (drop_stale_deadlines(); !deadlines_.empty() && deadlines_.front().at <= now; drop_stale_deadlines()) {
    ids.push_back(deadlines_.front().id);
    pop_deadline();
  }
  return ids;
}

Instant CallTable::earliest() {
  drop_stale_deadlines();
  return deadlines_.empty() ? kNever : deadlines_.front().at;
}

void CallTable::push_deadline(Deadline deadline) {
  drop_stale_deadlines();
  if (deadlines_.size() >= 2 * open_ + kStaleMax) {
    std::erase_if(deadlines_, [this](const Deadline& entry) { return !waits(entry.id); });
    std::make_heap(deadlines_.begin(), deadlines_.end(), is_later);
  }
  deadlines_.push_back(deadline);
  std::push_heap(deadlines_.begin(), deadlines_.end(), is_later);
}

void CallTable::pop_deadline() noexcept {
  std::pop_heap(deadlines_.begin(), deadlines_.end(), is_later);
  deadlines_.pop_back();
}

void CallTable::drop_stale_deadlines() noexcept {
  while (!deadlines_.empty() && !waits(deadlines_.front().id)) pop_deadline();
}

}  // namespace cluster::runtime
