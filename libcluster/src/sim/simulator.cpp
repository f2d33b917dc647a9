#include "cluster/sim/simulator.hpp"

#include <algorithm>

namespace cluster::sim {

void Simulator::at(Instant when, std::function<void()> event) {
  if (when == kNever) return;
  heap_.push_back({std::max(when, now_), sequence_++, std::move(event)});
  std::push_heap(heap_.begin(), heap_.end());
}

bool Simulator::step() {
  if (heap_.empty()) return false;
  std::pop_heap(heap_.begin(), heap_.end());
  auto event = std::move(heap_.back());
  heap_.pop_back();
  now_ = event.when;
  ++events_run_;
  event.run();
  return true;
}

void Simulator::run_until(Instant end) {
  while (!heap_.empty() && heap_.front().when <= end) step();
  now_ = std::max(now_, end);
}

void Simulator::trace(std::uint64_t value) noexcept {
  std::array<std::uint8_t, 8> bytes;
  store_be(bytes.data(), value);
  trace(ByteView(bytes));
}

void Simulator::trace(ByteView bytes) noexcept {
  for (const auto byte : bytes) trace_ = (trace_ ^ byte) * 0x100000001b3;
}

}  // namespace cluster::sim
