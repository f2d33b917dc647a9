#include "cluster/sim/simulator.hpp"

#include <algorithm>
#include <bit>

namespace cluster::sim {

void Simulator::at(Instant when, Event event) {
  if (when == kNever) return;
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.push_back(std::move(event));
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[slot] = std::move(event);
  }
  heap_.push_back({std::max(when, now_), sequence_++, slot});
  std::push_heap(heap_.begin(), heap_.end());
}

bool Simulator::step() {
  if (heap_.empty()) return false;
  std::pop_heap(heap_.begin(), heap_.end());
  const auto due = heap_.back();
  heap_.pop_back();
  now_ = due.when;
  ++events_run_;
  auto event = std::move(slots_[due.slot]);  // what it schedules may take the slot, or move all slots
  free_slots_.push_back(due.slot);
  event();
  return true;
}

void Simulator::run_until(Instant end) {
  while (!heap_.empty() && heap_.front().when <= end) step();
  now_ = std::max(now_, end);
}

void Simulator::trace(std::uint64_t value) noexcept {
  trace_ = (std::rotl(trace_, 23) ^ value) * 0x9e3779b97f4a7c15;
}

}  // namespace cluster::sim
