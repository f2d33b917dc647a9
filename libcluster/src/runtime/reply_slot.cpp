#include "cluster/runtime/reply_slot.hpp"

#include <algorithm>
#include <thread>

#include "futex.hpp"

namespace cluster::runtime {
namespace {

//   empty -> sleeping -> fulfilled     the caller blocks, the reply wakes it
//   empty -> fulfilled                 the reply came while it was spinning or before it waited
//   empty, sleeping -> abandoned       the deadline passed first
enum State : std::uint32_t { kEmpty, kSleeping, kFulfilled, kAbandoned };

// A local reply takes about 1 us. A remote one takes more than 10, and the thread that will read it from the
// socket spins already: both must not. So spinning ends before a remote reply can make it seem worthwhile.
constexpr Duration kSpinMax = 4us;
constexpr Duration kSpinMin = 250ns;  // enough to notice that local replies are fast again

thread_local Duration spin_limit = kSpinMax;

bool one_processor() noexcept {
  static const bool one = std::thread::hardware_concurrency() == 1;
  return one;
}

}  // namespace

ReplySlot::~ReplySlot() {
  if (!taken_) delete reply_.load(std::memory_order_acquire);
}

void ReplySlot::fulfil(EnvelopePtr reply) noexcept {
  Envelope* none = nullptr;
  if (!reply_.compare_exchange_strong(none, reply.get(), std::memory_order_acq_rel)) return;  // not the first
  static_cast<void>(reply.release());
  std::uint32_t state = state_.load(std::memory_order_relaxed);
  do {
    if (state == kAbandoned) return;
  } while (!state_.compare_exchange_weak(state, kFulfilled, std::memory_order_acq_rel));
  if (state == kSleeping) futex_wake_one(&state_);
}

EnvelopePtr ReplySlot::wait(Instant deadline) noexcept {
  if (!spin()) {
    std::uint32_t state = kEmpty;
    if (state_.compare_exchange_strong(state, kSleeping, std::memory_order_acq_rel)) state = kSleeping;
    while (state == kSleeping) {
      const Instant now = MonotonicClock::now();
      if (now >= deadline) {
        if (state_.compare_exchange_strong(state, kAbandoned, std::memory_order_acq_rel)) return nullptr;
        break;
      }
      futex_wait(state_, kSleeping, deadline == kNever ? Duration::max() : deadline - now);
      state = state_.load(std::memory_order_acquire);
    }
  }
  taken_ = true;  // and reply_ stays set: no other is accepted
  return EnvelopePtr(reply_.load(std::memory_order_acquire));
}

bool ReplySlot::spin() const noexcept {
  if (one_processor()) return false;
  const Instant end = MonotonicClock::now() + spin_limit;
  do {
    for (int i = 0; i < 16; ++i) {
      if (state_.load(std::memory_order_acquire) == kFulfilled) {
        spin_limit = std::min(spin_limit * 2, kSpinMax);
        return true;
      }
      relax();
    }
  } while (MonotonicClock::now() < end);
  spin_limit = std::max(spin_limit / 2, kSpinMin);
  return false;
}

}  // namespace cluster::runtime
