#include "queue_room.hpp"

namespace cluster::net {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

/// In whole steps, beyond what is the queue's own.
std::size_t needed(std::size_t bytes) noexcept {
  if (bytes <= QueueRoom::kOwnBytes) return 0;
  const std::size_t steps = (bytes - QueueRoom::kOwnBytes - 1) / QueueRoom::kStepBytes + 1;
  return steps * QueueRoom::kStepBytes;
}

}  // namespace

bool QueueHold::take(std::size_t bytes) noexcept {
  const std::size_t wanted = needed(bytes);
  const std::size_t more = wanted - held_;
  const std::size_t holders = room_->holders_.load(kRelaxed) + (held_ == 0 ? 1 : 0);
  const bool has_share = wanted <= room_->bytes_max_ / holders / QueueRoom::kShareOf;
  std::size_t taken = room_->taken();
  do {
    if (taken + more > room_->bytes_max_ && !has_share) return false;
  } while (!room_->taken_.compare_exchange_weak(taken, taken + more, kRelaxed));
  if (held_ == 0) room_->holders_.fetch_add(1, kRelaxed);
  held_ = wanted;
  return true;
}

void QueueHold::give(std::size_t bytes) noexcept {
  const std::size_t kept = needed(bytes);
  if (kept >= held_) return;
  room_->taken_.fetch_sub(held_ - kept, kRelaxed);
  if (kept == 0) room_->holders_.fetch_sub(1, kRelaxed);
  held_ = kept;
}

}  // namespace cluster::net
