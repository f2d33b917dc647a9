#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/proto/detector.hpp"

/// One detector, and what is said to it.
namespace cluster::proto::test {

inline constexpr Instant kThen = Instant{} + 1s;
inline constexpr WallTime kWall{std::chrono::hours(1)};
inline constexpr Boot kBoot{5, 1};

inline std::vector<NodeId> ring(std::size_t others) {
  std::vector<NodeId> ids{"a"};
  for (std::size_t i = 0; i < others; ++i) ids.emplace_back("b" + std::to_string(1000 + i));
  return ids;
}

/// Node `a`, with a link to each of the others.
inline Detector make(const std::vector<NodeId>& ids, std::uint64_t seed = 1, DetectorConfig config = {}) {
  config.self = "a";
  config.boot = kBoot;
  Detector detector(config, Rng(seed));
  static_cast<void>(detector.on_start(kThen));
  static_cast<void>(detector.on_members(kThen, ids));
  for (const auto& id : ids)
    if (id != "a") static_cast<void>(detector.on_peer_up(kThen, id, kBoot));
  return detector;
}

inline std::size_t count_refused(const DetectorActions& actions) {
  return static_cast<std::size_t>(std::ranges::count_if(
      actions, [](const auto& action) { return std::holds_alternative<DetectorRefused>(action); }));
}

inline SwimClaim claim(NodeId id, MemberState state, std::uint64_t incarnation = 0, NodeId by = "b1001",
                       Boot boot = kBoot) {
  return {std::move(id), boot, incarnation, state, std::move(by)};
}

}  // namespace cluster::proto::test
