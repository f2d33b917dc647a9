#pragma once
#include <cstddef>
#include <string>
#include <utility>
#include <variant>

#include "actions.hpp"
#include "cluster/proto/gossip.hpp"

/// One Gossip by itself, and what it asks of its driver.
namespace cluster::proto::testing {

inline constexpr WallTime kWall{std::chrono::days(20'000)};
inline const Endpoint kHere{"localhost", 7022};
inline constexpr Moment kThen{Instant{} + 1s, kWall};

inline Gossip make(const char* id, std::string ring = "ring") {
  return Gossip({.self = {.id = id, .boot = {1, 1}, .endpoint = kHere}, .ring = std::move(ring)}, Rng(1),
                kThen);
}

inline RingMember member(const char* id, WallTime born = kWall) {
  return {.id = id,
          .presence = {born, false, born, "x", 1},
          .weight = {born, born, "x", 1, 3},
          .endpoint = {born, {}, born, "x", 1, kHere}};
}

using cluster::testing::all_of;

template <class Event>
std::size_t count_events(const Actions& actions) {
  std::size_t count = 0;
  for (const auto& event : all_of<GossipEvent>(actions))
    count += std::holds_alternative<Event>(event) ? 1 : 0;
  return count;
}

}  // namespace cluster::proto::testing
