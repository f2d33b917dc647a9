#include "cluster/runtime/call_table.hpp"

#include <algorithm>

namespace cluster::runtime {

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
  call.deadline = deadline;
  return call.id;
}

CallTable::Call* CallTable::find(std::uint64_t id) noexcept {
  const auto slot = static_cast<std::size_t>(id & ((std::uint64_t{1} << kSlotBits) - 1));
  return id != 0 && slot < slots_.size() && slots_[slot].id == id ? &slots_[slot] : nullptr;
}

void CallTable::close(std::uint64_t id) noexcept {
  Call* call = find(id);
  if (call == nullptr) return;
  *call = Call{};
  free_.push_back(static_cast<std::uint32_t>(id & ((std::uint64_t{1} << kSlotBits) - 1)));
}

std::vector<std::uint64_t> CallTable::expired(Instant now) const {
  std::vector<std::uint64_t> ids;
  for (const auto& call : slots_)
    if (call.id != 0 && call.reply == nullptr && call.deadline <= now) ids.push_back(call.id);
  return ids;
}

Instant CallTable::earliest() const noexcept {
  Instant first = kNever;
  for (const auto& call : slots_)
    if (call.id != 0 && call.reply == nullptr) first = std::min(first, call.deadline);
  return first;
}

}  // namespace cluster::runtime
