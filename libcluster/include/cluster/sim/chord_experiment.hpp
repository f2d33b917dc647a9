#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/sim/chord_cluster.hpp"

namespace cluster::sim {

/// What to simulate of a Chord ring, after Stoica et al., ToN 2003, section V.
struct ChordScenario {
  std::size_t nodes = 1000;
  std::uint64_t seed = 1;
  std::size_t lookups = 10'000;  ///< of random keys, by random members
  double fail = 0;               ///< the share of nodes that die at once, before the lookups
  unsigned bits = 160;
  proto::ChordHash hash = proto::ChordHash::sha1;
  std::size_t successors = 8;
  bool route_by_successors = false;  ///< the paper's figures route by fingers, its table II by both
  proto::ChordMode mode = proto::ChordMode::iterative;
  bool join = false;       ///< begins with one node and joins, not as an ideal ring
  double churn_per_s = 0;  ///< joins, and as many crashes, in each second while lookups are made
  Duration stabilize_interval = 1s;
  double jitter = 0.1;
  double lookups_per_s = 0;  ///< 0: all at once

  [[nodiscard]] Result<void> check() const;
};

struct Spread {
  double mean = 0;
  double p1 = 0, p50 = 0, p99 = 0, max = 0;
};
/// Of `values`, which are sorted by it.
[[nodiscard]] Spread spread_of(std::vector<double>& values);

struct ChordReport {
  ChordScenario scenario{};
  std::size_t lookups = 0;
  std::size_t failed_lookups = 0;  ///< no answer, or another owner than by the definition
  Spread path_length{};            ///< nodes asked, without the asker and the owner
  std::vector<std::size_t> path_counts{};
  Spread timeouts{};  ///< dead nodes met, a lookup
  std::size_t died = 0;
  std::size_t spared = 0;  ///< drawn to die, and kept: Zave's operating assumption
  std::size_t joined = 0;
  std::optional<Duration>
      ideal_after{};  ///< the joins: successors, predecessors, fingers as by the definition
  std::optional<Duration> healed_after{};  ///< the crash: the same
  std::uint64_t invariant_violations = 0;
  std::map<std::string, std::string> first_violations{};
  std::uint64_t checks = 0;
  std::uint64_t messages = 0;
  Duration virtual_time{};
};

[[nodiscard]] ChordReport run(const ChordScenario& scenario);

/// How many of `keys` random keys each of `nodes` nodes owns, each at `virtual_nodes` places (ToN V-B).
[[nodiscard]] Spread keys_per_node(std::size_t nodes, std::size_t keys, std::size_t virtual_nodes,
                                   std::uint64_t seed);
/// What it should be in theory: a node's share is a sum of exponentially distributed arcs. The share below
/// which the part `quantile` of the nodes lies, as a multiple of the mean.
[[nodiscard]] double share_quantile(std::size_t virtual_nodes, double quantile);

}  // namespace cluster::sim
