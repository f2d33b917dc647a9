#pragma once
#include <atomic>
#include <cstdint>

#include "cluster/base/error.hpp"
#include "cluster/base/log.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/time.hpp"
#include "cluster/net/net_kernel.hpp"
#include "cluster/runtime/actor_ref.hpp"
#include "cluster/runtime/inbound.hpp"

namespace cluster::runtime {

/// Decides whether a message from the network may wait for its server, and counts those that may not.
/// Source: docs/decisions/0009-inbound-bounds.md.
class InboundGate {
 public:
  explicit InboundGate(const InboundLimits& limits) noexcept : limits_(limits) {}

  // Polling thread.
  /// The account to charge `bytes` to, or null: too much is waiting. Something small is always taken for a
  /// server that has nothing to do.
  [[nodiscard]] InboundAccount* admit(ActorCore& server, std::uint64_t bytes);
  [[nodiscard]] net::Appetite appetite() const noexcept {
    const std::uint64_t waiting = total_.beside_largest();
    if (waiting <= kSatedBytes) return net::Appetite::more;
    return waiting <= limits_.smooth_bytes ? net::Appetite::sated : net::Appetite::full;
  }
  /// A cast of `from` was dropped, and why.
  void count_cast(const NodeId& from, const Error& why);
  void count_refused_call() noexcept { add(calls_refused_); }
  void count_malformed(const NodeId& from, const Error& why);
  /// A message between nodes did not come from the node that it names. Any thread.
  void count_forged(const NodeId& from, const Error& why);

  /// Any thread.
  [[nodiscard]] InboundCounters counters() const noexcept;

 private:
  using Count = std::atomic<std::uint64_t>;
  static void add(Count& count) noexcept { count.fetch_add(1, std::memory_order_relaxed); }

  // About half of a core's cache: what waits longer is read from memory twice.
  static constexpr std::uint64_t kSatedBytes = 512 * 1024;
  const InboundLimits limits_;
  InboundTotal total_;
  Count calls_refused_{0}, casts_overloaded_{0}, casts_no_server_{0}, casts_bad_{0}, messages_malformed_{0},
      messages_forged_{0};
  log::Limit overloaded_lines_, no_server_lines_, bad_lines_, malformed_lines_, forged_lines_;
};

}  // namespace cluster::runtime
