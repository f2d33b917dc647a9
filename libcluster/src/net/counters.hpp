#pragma once
#include <atomic>
#include <cstdint>

#include "cluster/net/net_kernel.hpp"

namespace cluster::net {

/// The kernel's counters, added to by any thread.
struct AtomicCounters {
  using Count = std::atomic<std::uint64_t>;
  Count frames_in{}, frames_out{}, messages_in{}, messages_out{}, bytes_in{}, bytes_out{};
  Count connections_in{}, connections_out{}, handshakes_failed{}, proofs_failed{}, certificates_refused{},
      evicted{}, throttled{};
  Count bad_frames{}, frames_timed_out{}, overloaded{}, cancelled{}, dropped{}, closed_idle{}, uncertain{},
      accept_failures{};

  [[nodiscard]] Counters snapshot() const noexcept;
};

inline void add(AtomicCounters::Count& counter, std::uint64_t count = 1) noexcept {
  counter.fetch_add(count, std::memory_order_relaxed);
}

}  // namespace cluster::net
