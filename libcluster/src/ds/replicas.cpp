// CHash: the nodes that hold copies of a key, spread over zones.
#include <algorithm>
#include <vector>

#include "snapshot.hpp"

namespace cluster {
namespace {

/// Round r has the r-th node of each zone, in the order in which they are met. `places` are those that the
/// round still has to give.
struct Round {
  std::size_t places = 0;
  std::vector<const CHash::Node*> nodes{};
};

/// How many places each round has, if all rounds together give `count` and the earlier ones are full first.
std::vector<Round> rounds_of(const std::vector<std::uint32_t>& zones_above, std::size_t count) {
  std::vector<Round> rounds;
  for (const auto zones : zones_above) {
    if (count == 0) break;
    const std::size_t places = std::min<std::size_t>(count, zones);
    rounds.push_back({places});
    count -= places;
  }
  return rounds;
}

}  // namespace

std::vector<const CHash::Node*> CHash::spread(std::size_t start, std::size_t count) const {
  const Snapshot& ring = *snapshot_;
  std::vector<const Node*> found;
  auto rounds = rounds_of(ring.zones_above, std::min(count, ring.weights.size()));
  std::size_t left = 0;
  for (const auto& round : rounds) left += round.places;
  found.reserve(left);
  std::vector<bool> seen(ring.weights.size());
  std::vector<std::uint32_t> met(ring.labels);    // nodes of each label so far
  for (std::size_t at = start; left > 0; ++at) {  // each node has a point, so all places are filled
    if (at >= ring.size()) at = 0;
    const auto member = ring.member_at(at);
    if (seen[member]) continue;
    seen[member] = true;
    const auto zone = ring.zones[member];
    const std::size_t turn = zone == Snapshot::kNoLabel ? 0 : met[zone]++;
    if (turn >= rounds.size() || rounds[turn].places == 0) continue;
    --rounds[turn].places;
    --left;
    rounds[turn].nodes.push_back(&ring.node_at(at));
  }
  for (const auto& round : rounds) found.insert(found.end(), round.nodes.begin(), round.nodes.end());
  return found;
}

std::vector<const CHash::Node*> CHash::replicas(std::string_view key, std::size_t count) const {
  return spread(snapshot_->after_key(config_.policy, key), count);
}

std::vector<const CHash::Node*> CHash::replicas_at(const Position& position, std::size_t count) const {
  return spread(snapshot_->upper_bound(position), count);
}

}  // namespace cluster
