#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"

namespace cluster::proto {

/// Members that hear each other while they do not hear those of other sides.
using DrillSides = std::vector<std::vector<NodeId>>;

/// Of a ring with more members there are no drills: each of them probes each other one.
inline constexpr std::size_t kDrillMembersMax = 64;
inline constexpr Duration kDrillCutMin = 1s;
inline constexpr Duration kDrillCutMax = 10min;
inline constexpr Duration kDrillCutDefault = 10s;

/// "A,B | C,D": two sides or more, with spaces or without. Each member once. (A member whose id has a comma,
/// a bar or spaces around it cannot be named.)
[[nodiscard]] Result<DrillSides> parse_drill_sides(std::string_view text);
[[nodiscard]] std::string to_text(const DrillSides& sides);

/// "10s", "1500ms", "2m" or "10" (seconds) as milliseconds, kDrillCutMin to kDrillCutMax.
[[nodiscard]] Result<std::uint32_t> parse_drill_time(std::string_view text);
[[nodiscard]] Result<void> check_drill_time(std::uint32_t ms);

/// What all who take part in a drill are told. Each cuts and heals by its own timer, so that no message is
/// needed for the end.
struct DrillPlan {
  std::string id{};
  DrillSides sides{};
  std::vector<NodeId> uncut{};     ///< who takes part and is cut off from nobody
  std::uint32_t before_ms = 1000;  ///< of probes, until the cut
  std::uint32_t cut_ms = 10'000;

  [[nodiscard]] bool cuts(const NodeId& a, const NodeId& b) const;
  /// Everybody but `self`, by id.
  [[nodiscard]] std::vector<NodeId> others(const NodeId& self) const;
};

/// Whether it can be run: bounds as above, and each member once. For plans from elsewhere.
[[nodiscard]] Result<void> check(const DrillPlan& plan);

}  // namespace cluster::proto
