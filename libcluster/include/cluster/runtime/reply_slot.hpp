#pragma once
#include <atomic>
#include <cstdint>

#include "cluster/base/time.hpp"
#include "cluster/runtime/envelope.hpp"

namespace cluster::runtime {

/// Where a thread outside the actors waits for one reply. Shared (std::shared_ptr) by the waiting thread and
/// whoever replies, so a reply after the timeout finds it still there.
class ReplySlot {
 public:
  ReplySlot() = default;
  ~ReplySlot();
  ReplySlot(const ReplySlot&) = delete;
  ReplySlot& operator=(const ReplySlot&) = delete;

  /// Delivers the reply; the first one counts, others (and those after a timeout) are destroyed. Any thread.
  void fulfil(EnvelopePtr reply) noexcept;
  /// The reply, or null if none came by `deadline`; after that none is accepted. Once, by one thread. Spins
  /// for up to 4 us if spinning has lately paid off for this thread (a local reply takes about 1 us, waking a
  /// thread 15-25), then blocks on a futex.
  [[nodiscard]] EnvelopePtr wait(Instant deadline) noexcept;

 private:
  [[nodiscard]] bool spin() const noexcept;

  std::atomic<std::uint32_t> state_{0};    // State in reply_slot.cpp; a futex word
  std::atomic<Envelope*> reply_{nullptr};  // set once, before state_ says fulfilled
  bool taken_ = false;                     // by wait(): reply_ is not ours any more
};

}  // namespace cluster::runtime
