#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/proto/drill.hpp"
#include "cluster/wire/value.hpp"

namespace cluster {

/// Two edits that contradicted each other; the same on all nodes that say so.
struct DrillConflict {
  std::string id{};
  std::string field{};
  std::string kept{};
  std::string lost{};
  friend auto operator<=>(const DrillConflict&, const DrillConflict&) = default;
};

/// What one node's events say of a drill.
struct DrillEvents {
  std::uint64_t ring_changes = 0;  ///< while the links were cut
  std::uint64_t quorum_lost = 0;
  std::uint64_t quorum_found = 0;
  std::vector<DrillConflict> conflicts{};

  /// One of `EventLog`, in this phase.
  void add(const wire::Value& event, proto::DrillPhase phase);
};

/// What a member tells of a drill.
struct DrillTold {
  proto::DrillAccount account{};
  DrillEvents events{};
};

/// The same, or why a member tells nothing.
struct DrillStory {
  NodeId node{};
  Result<DrillTold> told{DrillTold{}};
};

/// What `drill report` answers: the books of all members put together. `phase`: of the member that is asked.
///   {"drill", "partition", "uncut", "phase", "for_ms", "finished", "together", "together_ms",
///    "traffic": [{"links": "across" or "within", ...}], "nodes": [...], "pairs": [{"from", "to", ...}],
///    "conflicts": [...]}
/// Losses are counted when both ends of a pair are done.
[[nodiscard]] wire::Value drill_report(const proto::DrillPlan& plan, const std::vector<DrillStory>& stories,
                                       const NodeId& asked);

}  // namespace cluster
