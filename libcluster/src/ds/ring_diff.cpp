#include "cluster/ds/ring_diff.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace cluster {
namespace {

using Holders = std::vector<const CHash::Node*>;
using Pair = std::pair<NodeId, NodeId>;  // from, to

Holders holders_at(const CHash& ring, const Position& position, std::size_t copies) {
  if (copies != 1) return ring.replicas_at(position, copies);
  const auto* const owner = ring.owner_at(position);
  return owner == nullptr ? Holders() : Holders{owner};
}

/// The ids of `holders` that `others` has not, in order.
std::vector<NodeId> only_in(const Holders& holders, const Holders& others) {
  std::vector<NodeId> ids;
  for (const auto* holder : holders)
    if (std::ranges::find(others, holder->id, &CHash::Node::id) == others.end()) ids.push_back(holder->id);
  return ids;
}

std::vector<Pair> changes(const Holders& before, const Holders& after) {
  const auto lost = only_in(before, after);
  const auto gained = only_in(after, before);
  std::vector<Pair> pairs(std::max(lost.size(), gained.size()));
  for (std::size_t i = 0; i < lost.size(); ++i) pairs[i].first = lost[i];
  for (std::size_t i = 0; i < gained.size(); ++i) pairs[i].second = gained[i];
  return pairs;
}

/// Where an owner may change: all points of both rings, sorted, each once.
std::vector<Position> edges_of(const CHash& a, const CHash& b) {
  std::vector<Position> edges;
  edges.reserve(a.size() + b.size());
  for (const auto* ring : {&a, &b})
    for (std::size_t i = 0; i < ring->size(); ++i) edges.push_back(ring->position(i));
  std::ranges::sort(edges);
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  return edges;
}

/// Takes the moves arc by arc, going once round the ring, and joins those of one pair that touch.
class MoveList {
 public:
  /// `arc` begins where the arc before it ended.
  void add(const Arc& arc, std::vector<Pair> pairs) {
    std::vector<std::size_t> touching;
    for (auto& pair : pairs) {
      const auto same =
          std::ranges::find_if(touching_, [&](std::size_t i) { return is_of(moves_[i], pair); });
      if (same != touching_.end()) {
        moves_[*same].arc.end = arc.end;
        touching.push_back(*same);
      } else {
        touching.push_back(moves_.size());
        moves_.push_back({arc, std::move(pair.first), std::move(pair.second)});
      }
    }
    touching_ = std::move(touching);
  }

  /// `start`: where the first arc began and the last one ended.
  std::vector<RingDiff::Move> close(const Position& start) && {
    std::vector<RingDiff::Move> closed;
    for (auto& move : moves_) {
      const Pair pair{move.from, move.to};
      const auto last = std::ranges::find_if(
          touching_, [&](std::size_t i) { return &moves_[i] != &move && is_of(moves_[i], pair); });
      if (move.arc.begin == start && last != touching_.end())
        moves_[*last].arc.end = move.arc.end;
      else
        closed.push_back(std::move(move));
    }
    return closed;
  }

 private:
  static bool is_of(const RingDiff::Move& move, const Pair& pair) {
    return move.from == pair.first && move.to == pair.second;
  }

  std::vector<RingDiff::Move> moves_;
  std::vector<std::size_t> touching_;  // those that end where the next arc begins
};

}  // namespace

Result<RingDiff> diff(const CHash& before, const CHash& after, std::size_t copies) {
  if (before.config().policy != after.config().policy)
    return Error(Errc::invalid_argument,
                 "rings of the policies '" + std::string(name(before.config().policy)) + "' and '" +
                     std::string(name(after.config().policy)) +
                     "' cannot be compared: their positions have nothing to do with each other");
  RingDiff result;
  const auto edges = edges_of(before, after);
  if (edges.empty()) return result;
  MoveList moves;
  for (std::size_t i = 0; i < edges.size(); ++i)
    moves.add({edges[i], edges[i + 1 == edges.size() ? 0 : i + 1]},
              changes(holders_at(before, edges[i], copies), holders_at(after, edges[i], copies)));
  result.moves = std::move(moves).close(edges.front());

  std::map<Pair, double> flows;
  for (const auto& [arc, from, to] : result.moves) flows[{from, to}] += arc.fraction();
  for (auto& [pair, fraction] : flows) {
    result.flows.push_back({pair.first, pair.second, fraction});
    result.moved += fraction;
  }
  return result;
}

}  // namespace cluster
