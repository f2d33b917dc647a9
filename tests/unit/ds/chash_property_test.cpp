// CHash against a slow and obvious ring, over random histories.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "cluster/base/bytes.hpp"
#include "cluster/base/rng.hpp"
#include "cluster/crypto/sha256.hpp"
#include "cluster/ds/chash.hpp"

using namespace cluster;

namespace {

/// Texts in a map, walked one by one.
struct Oracle {
  HashPolicy policy = HashPolicy::sha256;
  std::map<std::string, CHash::Node> tree{};

  std::string hash(std::string_view text) const {
    if (policy == HashPolicy::sha256) return base64(crypto::sha256(as_bytes(text)));
    return position_text(policy, position_of(policy, text));
  }

  std::uint32_t weight(const std::string& id) const {
    return static_cast<std::uint32_t>(
        std::ranges::count_if(tree, [&](const auto& entry) { return entry.second.id.str() == id; }));
  }
  std::map<std::string, std::uint32_t> weights() const {
    std::map<std::string, std::uint32_t> result;
    for (const auto& [key, node] : tree) ++result[node.id.str()];
    return result;
  }
  void insert(const CHash::Node& node, std::uint32_t weight) {
    if (this->weight(node.id.str()) != 0) return;
    for (std::uint32_t i = 1; i <= weight; ++i)
      tree.emplace(hash(node.id.str() + "_" + std::to_string(i)), node);
  }
  void remove(const std::string& id) {
    std::erase_if(tree, [&](const auto& entry) { return entry.second.id.str() == id; });
  }
  void intersect(const Oracle& other) {
    std::map<std::string, CHash::Node> common;
    for (const auto& [key, node] : other.tree)
      if (tree.contains(key)) common.emplace(key, node);
    tree = common;
  }
  /// All points in the order of a walk that begins after (or before) `key`.
  std::vector<CHash::Node> walk(const std::string& key, bool forward) const {
    std::vector<CHash::Node> first, second;
    for (const auto& [point, node] : tree)
      (forward ? point > key : point >= key) ? first.push_back(node) : second.push_back(node);
    if (!forward) {
      std::swap(first, second);
      std::ranges::reverse(first);
      std::ranges::reverse(second);
    }
    first.insert(first.end(), second.begin(), second.end());
    return first;
  }
  std::vector<CHash::Node> distinct(const std::string& key, bool forward, std::size_t limit,
                                    const std::string& skip) const {
    std::vector<CHash::Node> found;
    for (const auto& node : walk(key, forward)) {
      const bool known = std::ranges::any_of(found, [&](const auto& other) { return other.id == node.id; });
      if (found.size() < limit && node.id.str() != skip && !known) found.push_back(node);
    }
    return found;
  }
  std::vector<CHash::Node> neighbours(const std::string& id, bool forward, std::size_t range) const {
    if (weight(id) == 0 || weights().size() <= 1) return {};
    return distinct(hash(id + "_1"), forward, range, id);
  }
};

void check_same(const CHash& ring, const Oracle& oracle, Rng& rng) {
  const auto points = ring.points();
  REQUIRE(points.size() == oracle.tree.size());
  std::size_t i = 0;
  for (const auto& [key, node] : oracle.tree) {
    REQUIRE(position_text(oracle.policy, points[i].position) == key);
    REQUIRE(points[i++].node == node);
  }
  const auto weights = oracle.weights();
  REQUIRE(ring.node_count() == weights.size());
  for (const auto& [id, weight] : ring.weights()) REQUIRE(weights.at(id.str()) == weight);
  for (int k = 0; k < 8; ++k) {
    const auto key = rng.chance(0.3) ? std::string("n") + std::to_string(rng.below(8)) + "_" +
                                           std::to_string(1 + rng.below(6))
                                     : std::to_string(rng.next());
    const auto* const owner = ring.find(key);
    const auto walk = oracle.walk(oracle.hash(key), true);
    REQUIRE((owner == nullptr) == walk.empty());
    if (owner != nullptr) REQUIRE(*owner == walk.front());
    const auto range = rng.below(9);
    REQUIRE(ring.range_next(key, static_cast<std::int64_t>(range)).value() ==
            oracle.distinct(oracle.hash(key), true, range, ""));
    REQUIRE(ring.range_prev(key, static_cast<std::int64_t>(range)).value() ==
            oracle.distinct(oracle.hash(key), false, range, ""));
    const auto id = "n" + std::to_string(rng.below(8));
    REQUIRE(ring.next(id, static_cast<std::int64_t>(range)).value() == oracle.neighbours(id, true, range));
    REQUIRE(ring.prev(id, static_cast<std::int64_t>(range)).value() == oracle.neighbours(id, false, range));
    REQUIRE(ring.contains(id) == (oracle.weight(id) != 0));
    const auto first = oracle.tree.find(oracle.hash(id + "_1"));
    const auto* const got = ring.get(id);
    REQUIRE((got == nullptr) == (first == oracle.tree.end()));
    if (got != nullptr) REQUIRE(*got == first->second);
  }
}

}  // namespace

TEST_CASE("chash: a random history gives what the obvious ring gives, in every answer") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto policy = seed % 3 == 0 ? HashPolicy::xxh3 : HashPolicy::sha256;
    CHash rings[2] = {CHash({.policy = policy}), CHash({.policy = policy})};
    Oracle oracles[2] = {{policy}, {policy}};
    for (int step = 0; step < 25; ++step) {
      const auto which = rng.below(2);
      CHash& ring = rings[which];
      Oracle& oracle = oracles[which];
      const CHash::Node node{
          NodeId("n" + std::to_string(rng.below(8))),
          {rng.chance(0.5) ? "here" : "there", static_cast<std::uint16_t>(1 + rng.below(2))}};
      const auto weight = static_cast<std::uint32_t>(1 + rng.below(6));
      switch (rng.below(8)) {
        case 0:
          REQUIRE(ring.remove(node.id.str()) == (oracle.weight(node.id.str()) != 0));
          oracle.remove(node.id.str());
          break;
        case 1:
          REQUIRE(ring.update(node, weight).has_value());
          oracle.remove(node.id.str());
          oracle.insert(node, weight);
          break;
        case 2:
          REQUIRE(ring.merge(rings[1 - which]).has_value());
          oracle.tree.insert(oracles[1 - which].tree.begin(), oracles[1 - which].tree.end());
          break;
        case 3:
          if (!rng.chance(0.3)) break;
          REQUIRE(ring.intersect(rings[1 - which]).has_value());
          oracle.intersect(oracles[1 - which]);
          break;
        default:
          REQUIRE(ring.insert(node, weight).value() == (oracle.weight(node.id.str()) == 0));
          oracle.insert(node, weight);
      }
      check_same(ring, oracle, rng);
      REQUIRE((rings[0] == rings[1]) == (oracles[0].tree == oracles[1].tree));
    }
  }
}

TEST_CASE("chash: merge is a set union: idempotent, associative, and commutative where endpoints agree") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto random_ring = [&rng](bool endpoints) {
      CHash ring;
      for (std::uint64_t i = rng.below(6); i > 0; --i) {
        const NodeId id("n" + std::to_string(rng.below(8)));
        const auto port = static_cast<std::uint16_t>(endpoints ? rng.below(3) : 1);
        REQUIRE(ring.insert({id, {"h", port}}, static_cast<std::uint32_t>(1 + rng.below(9))).has_value());
      }
      return ring;
    };
    const auto merged = [](CHash a, const CHash& b) {
      a.merge(b).value();
      return a;
    };
    const CHash a = random_ring(true), b = random_ring(true), c = random_ring(true);
    CHECK(merged(a, a) == a);
    CHECK(merged(merged(a, b), b) == merged(a, b));
    CHECK(merged(merged(a, b), c) == merged(a, merged(b, c)));
    const CHash d = random_ring(false), e = random_ring(false);
    CHECK(merged(d, e) == merged(e, d));
  }
}

TEST_CASE(
    "chash: inserting many at once is inserting them one by one, and moves only the keys of the new nodes") {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    std::vector<CHash::Insertion> insertions;
    for (std::uint64_t i = rng.below(12); i > 0; --i)
      insertions.push_back(
          {{NodeId("n" + std::to_string(rng.below(9))), {"h", static_cast<std::uint16_t>(rng.below(3))}},
           static_cast<std::uint32_t>(1 + rng.below(20))});
    CHash at_once, one_by_one;
    std::size_t inserted = 0;
    for (const auto& [node, weight] : insertions) {
      const CHash before = one_by_one;
      if (!one_by_one.insert(node, weight).value()) continue;
      ++inserted;
      for (int k = 0; k < 50 && !before.empty(); ++k) {
        const auto key = std::to_string(rng.next());
        const auto* const owner = one_by_one.find(key);
        if (owner->id != node.id) CHECK(*owner == *before.find(key));
      }
    }
    CHECK(at_once.insert_all(insertions).value() == inserted);
    CHECK(at_once == one_by_one);
  }
}
