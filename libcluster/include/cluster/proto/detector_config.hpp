#pragma once
#include <cstddef>
#include <cstdint>

#include "cluster/base/node_id.hpp"
#include "cluster/base/time.hpp"

namespace cluster::proto {

/// With these values a dead process is known to all within 6 s (0.2 to dial it in vain, 3.5 of suspicion that
/// others confirm, the spread), a silent host within 10 s, and a pause of 3 s loses nobody.
struct DetectorConfig {
  NodeId self{};
  Boot boot{};
  std::size_t mesh_max =
      ~std::size_t{0};              ///< see LinkPlan; above it, those that a link is kept to are probed
  Duration probe_interval = 500ms;  ///< one member each, give or take `probe_jitter`
  double probe_jitter = 0.1;        ///< share of the interval
  Duration probe_timeout = 200ms;   ///< then others are asked to probe, too, until the interval ends
  std::size_t indirect_probes = 3;
  Duration gossip_interval = 200ms;  ///< while there is news
  std::size_t gossip_fanout = 3;
  std::uint32_t retransmit_multiplier = 4;
  std::size_t claims_per_message = 16;  ///< at most kSwimClaimsMax
  Duration suspicion_min = 3500ms;
  Duration suspicion_max = 7s;
  std::uint32_t confirmations_max = 3;
  std::uint32_t health_max = 8;     ///< of Lifeguard's local health multiplier, S
  Duration relink_timeout = 200ms;  ///< a lost connection that is not made anew in time is a suspicion
  Duration late_max = 500ms;        ///< a tick that late: this process stood still, and nobody else
  Duration remind_interval = 2s;    ///< how often one unreachable member is told so, that it may object
  bool plain_swim = false;  ///< without Lifeguard: local health, nacks, telling the suspect, confirmations
};

// The formulas of the papers. `members` counts this node and those it takes for alive or suspect.

/// How often a claim is passed on: multiplier * ceil(log10(members + 1)). SWIM section 4.1: lambda log n
/// transmissions reach all with high probability.
[[nodiscard]] std::uint32_t retransmit_limit(std::size_t members, const DetectorConfig& config) noexcept;

/// K: how many others must confirm a suspicion for it to run out in the shortest time. Lifeguard section
/// IV-B, bounded by the members - 2 that are neither the suspect nor the first to suspect it.
[[nodiscard]] std::uint32_t confirmations_expected(std::size_t members,
                                                   const DetectorConfig& config) noexcept;

/// max(min, max - (max - min) * log(confirmations + 1) / log(expected + 1)); min if nobody can confirm.
/// Lifeguard section IV-B.
[[nodiscard]] Duration suspicion_timeout(std::uint32_t confirmations, std::uint32_t expected,
                                         const DetectorConfig& config) noexcept;

/// What probe intervals and timeouts become in bad local health: base * (health + 1). Lifeguard section IV-A.
[[nodiscard]] Duration scaled(Duration base, std::uint32_t health) noexcept;

/// Mean time until a silent member is found, in whole intervals, that which finds it included: one over the
/// probability that at least one of the others picks it, near e / (e - 1) whatever n. SWIM section 3.1.
[[nodiscard]] Duration expected_first_detection(std::size_t members, const DetectorConfig& config) noexcept;

}  // namespace cluster::proto
