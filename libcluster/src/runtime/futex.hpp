#pragma once
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ctime>

#include "cluster/base/time.hpp"

namespace cluster::runtime {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t),
              "the kernel reads the word itself");

/// Blocks while `word` is `expected`, up to `max_wait`. May return early for no reason: look again.
inline void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                       Duration max_wait = Duration::max()) noexcept {
  if (max_wait <= Duration::zero()) return;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(max_wait);
  const timespec relative{.tv_sec = seconds.count(), .tv_nsec = (max_wait - seconds).count()};
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, max_wait == Duration::max() ? nullptr : &relative,
          nullptr, 0);
}

/// Wakes one thread that waits for `word` to change. Reads nothing through the address, so the word's memory
/// may be gone by now.
inline void futex_wake_one(std::atomic<std::uint32_t>* word) noexcept {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

/// Tells the processor that this is a spin loop.
inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace cluster::runtime
