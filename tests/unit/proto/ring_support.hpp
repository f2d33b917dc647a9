#pragma once
#include "cluster/proto/ring_state.hpp"

/// Ring states that hear of each other without a network.
namespace cluster::proto::testing {

inline constexpr WallTime kStart{std::chrono::days(20'000)};
inline const Endpoint kPlace{"localhost", 7022};

inline RingState state_of(const char* id, WallTime wall = kStart) {
  return RingState({.id = id, .boot = {1, 1}, .endpoint = kPlace}, wall);
}

/// All that `from` holds, merged into `to`; what the last merge said.
inline MergeReport merge_all(RingState& to, const RingState& from, WallTime wall) {
  MergeReport last;
  for (const auto& delta : from.deltas_since({})) last = to.merge(delta, wall);
  return last;
}

/// What anti-entropy does: a clock one way, deltas the other way.
inline void pull(RingState& to, const RingState& from, WallTime wall) {
  to.hear_clock(from.self(), from.clock_entries(), {}, wall);
  for (const auto& delta : from.deltas_since(to.clock_entries())) to.merge(delta, wall);
}

}  // namespace cluster::proto::testing
