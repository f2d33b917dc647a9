#include "cluster/ds/ring_diff.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/base/rng.hpp"

using namespace cluster;

namespace {

using Pair = std::pair<std::string, std::string>;

/// Some edits of a ring of at most 7 nodes in at most 3 zones.
void edit(CHash& ring, Rng& rng, int edits) {
  for (; edits > 0; --edits) {
    const CHash::Node node{
        NodeId("n" + std::to_string(rng.below(7))), {}, "z" + std::to_string(rng.below(3))};
    if (rng.chance(0.3))
      ring.remove(node.id.str());
    else
      REQUIRE(ring.update(node, static_cast<std::uint32_t>(1 + rng.below(9))));
  }
}

/// What the owners of `key` say: who loses a copy and who gets one, paired in order.
std::multiset<Pair> expected_moves(const CHash& before, const CHash& after, const std::string& key,
                                   std::size_t copies) {
  std::vector<std::string> old_ids, new_ids, lost, gained;
  for (const auto* node : before.replicas(key, copies)) old_ids.push_back(node->id.str());
  for (const auto* node : after.replicas(key, copies)) new_ids.push_back(node->id.str());
  for (const auto& id : old_ids)
    if (std::ranges::find(new_ids, id) == new_ids.end()) lost.push_back(id);
  for (const auto& id : new_ids)
    if (std::ranges::find(old_ids, id) == old_ids.end()) gained.push_back(id);
  std::multiset<Pair> pairs;
  for (std::size_t i = 0; i < std::max(lost.size(), gained.size()); ++i)
    pairs.emplace(i < lost.size() ? lost[i] : "", i < gained.size() ? gained[i] : "");
  return pairs;
}

std::multiset<Pair> told_moves(const RingDiff& diff, const Position& position) {
  std::multiset<Pair> pairs;
  for (const auto& move : diff.moves)
    if (move.arc.contains(position)) pairs.emplace(move.from.str(), move.to.str());
  return pairs;
}

}  // namespace

TEST_CASE(
    "diff: a key changes hands exactly if it lies in a range of the diff, from and to the right nodes") {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto policy = rng.chance(0.5) ? HashPolicy::sha256 : HashPolicy::xxh3;
    const std::size_t copies = 1 + rng.below(4);
    CAPTURE(copies);
    CHash before({.policy = policy});
    edit(before, rng, static_cast<int>(rng.below(8)));
    CHash after = before;
    edit(after, rng, static_cast<int>(rng.below(4)));
    const auto change = diff(before, after, copies).value();
    for (int i = 0; i < 60; ++i) {
      // Random keys, and keys that lie on a point: the edges of the ranges.
      const auto key = rng.chance(0.3)
                           ? "n" + std::to_string(rng.below(7)) + "_" + std::to_string(1 + rng.below(9))
                           : std::to_string(rng.next());
      CAPTURE(key);
      CHECK(told_moves(change, position_of(policy, key)) == expected_moves(before, after, key, copies));
    }
  }
}

TEST_CASE("diff: ranges of one pair never touch, and the flows are their sums") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    CHash before, after;
    edit(before, rng, 5);
    edit(after, rng, 5);
    const std::size_t copies = 1 + rng.below(3);
    const auto change = diff(before, after, copies).value();
    for (const auto& a : change.moves)
      for (const auto& b : change.moves)
        if (a.from == b.from && a.to == b.to && &a != &b) CHECK(a.arc.end != b.arc.begin);
    double moved = 0;
    for (const auto& [from, to, fraction] : change.flows) {
      double sum = 0;
      for (const auto& move : change.moves)
        if (move.from == from && move.to == to) sum += move.arc.fraction();
      CHECK(sum == doctest::Approx(fraction));
      moved += sum;
    }
    CHECK(moved == doctest::Approx(change.moved));
  }
}

TEST_CASE("diff: a node that joins takes exactly its share, from each of the others, and gives it back") {
  CHash before;
  for (const char* id : {"a", "b", "c"}) REQUIRE(before.insert({id}));
  CHash after = before;
  REQUIRE(after.insert({"d"}, 256));
  const auto joined = diff(before, after).value();
  REQUIRE(joined.flows.size() == 3);
  for (const auto& flow : joined.flows) CHECK(flow.to == "d");
  CHECK(joined.moved == doctest::Approx(after.balance().shares[3].share));
  const auto left = diff(after, before).value();
  CHECK(left.moved == doctest::Approx(joined.moved));
  REQUIRE(left.moves.size() == joined.moves.size());
  for (std::size_t i = 0; i < left.moves.size(); ++i) {
    CHECK(left.moves[i].arc == joined.moves[i].arc);
    CHECK(left.moves[i].from == joined.moves[i].to);
    CHECK(left.moves[i].to == joined.moves[i].from);
  }
}

TEST_CASE("diff: equal rings differ in nothing; endpoints play no part; an empty ring is nobody's") {
  CHash ring;
  CHECK(diff(ring, ring).value().moves.empty());
  REQUIRE(ring.insert({"a", {"here", 1}}, 5));
  CHash moved = ring;
  REQUIRE(moved.update({"a", {"there", 2}}, 5));
  CHECK(diff(ring, moved).value().moves.empty());
  const auto founded = diff(CHash(), ring).value();
  REQUIRE(founded.moves.size() == 1);  // all arcs are one, the whole ring
  CHECK(founded.moves[0].from.empty());
  CHECK(founded.moves[0].to == "a");
  CHECK(founded.moved == 1);
  CHECK(diff(ring, CHash()).value().moves[0].to.empty());
}

TEST_CASE("diff: points that differ only behind the first word are told apart") {
  const auto ring_of = [](const char* low, const char* high) {
    return CHash::from_points({}, {{{{7, 1}}, {low}}, {{{7, 2}}, {high}}, {{{9}}, {"c"}}}).value();
  };
  const auto change = diff(ring_of("a", "b"), ring_of("b", "a")).value();
  REQUIRE(change.moves.size() == 2);
  CHECK(change.moves[0].arc == Arc{{{7, 1}}, {{7, 2}}});
  CHECK(change.moves[0].from == "b");
  CHECK(change.moves[1].arc == Arc{{{9}}, {{7, 1}}});
}

TEST_CASE("diff: rings of different policies are not compared") {
  const auto refused = diff(CHash(), CHash({.policy = HashPolicy::xxh3}));
  REQUIRE_FALSE(refused.has_value());
  CHECK(
      refused.error().message() ==
      "rings of the policies 'sha256' and 'xxh3' cannot be compared: their positions have nothing to do with "
      "each other");
}
