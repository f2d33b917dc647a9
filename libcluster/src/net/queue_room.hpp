#pragma once
#include <atomic>
#include <cstddef>

namespace cluster::net {

/// The room that the queues of all peers have together. A queue takes of it, in steps, what it has over
/// kOwnBytes: a short one always finds room and touches nothing that is shared. Where all is taken, a queue
/// gets more up to 1/kShareOf of an equal share of the whole, so that those which are not emptied leave some
/// to all others: n queues together come to 1 + ln(n) / kShareOf times the whole at most, and their own.
/// Any thread.
class QueueRoom {
 public:
  static constexpr std::size_t kOwnBytes = 256 * 1024;
  static constexpr std::size_t kStepBytes = 64 * 1024;
  static constexpr std::size_t kShareOf = 4;

  explicit QueueRoom(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  [[nodiscard]] std::size_t bytes_max() const noexcept { return bytes_max_; }
  [[nodiscard]] std::size_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }

 private:
  friend class QueueHold;
  const std::size_t bytes_max_;
  alignas(64) std::atomic<std::size_t> taken_{0};
  std::atomic<std::size_t> holders_{0};
};

/// What one queue has of the room. Not synchronised; gives nothing back by itself when it is destroyed.
class QueueHold {
 public:
  explicit QueueHold(QueueRoom& room) : room_(&room) {}
  /// The queue is to have so many bytes. False, and no effect, if there is no room for them.
  [[nodiscard]] bool grow(std::size_t bytes) noexcept {
    return bytes <= QueueRoom::kOwnBytes + held_ || take(bytes);
  }
  /// It has no more than so many.
  void shrink(std::size_t bytes) noexcept {
    if (held_ != 0) give(bytes);
  }
  [[nodiscard]] QueueRoom& room() const noexcept { return *room_; }

 private:
  [[nodiscard]] bool take(std::size_t bytes) noexcept;
  void give(std::size_t bytes) noexcept;

  QueueRoom* room_;
  std::size_t held_ = 0;
};

}  // namespace cluster::net
