// CHash: copies of a key over zones, and how evenly the key space is shared.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/ds/chash.hpp"

using namespace cluster;

namespace {

using Holders = std::vector<const CHash::Node*>;

/// `labelled`: the share of the nodes that have a zone.
CHash random_ring(Rng& rng, std::size_t nodes, std::size_t zones, HashPolicy policy, double labelled = 1) {
  CHash ring({.policy = policy});
  for (std::size_t i = 0; i < nodes; ++i) {
    const auto zone =
        zones == 0 || !rng.chance(labelled) ? std::string() : "z" + std::to_string(rng.below(zones));
    REQUIRE(ring.insert({NodeId("n" + std::to_string(i)), {"h", 1}, zone},
                        1 + static_cast<std::uint32_t>(rng.below(40))));
  }
  return ring;
}

/// One by itself for a node without a label.
std::string zone_of(const CHash::Node& node) {
  return node.zone.empty() ? "without: " + node.id.str() : node.zone;
}

std::map<std::string, std::size_t> zone_counts(const Holders& holders) {
  std::map<std::string, std::size_t> counts;
  for (const auto* holder : holders) ++counts[zone_of(*holder)];
  return counts;
}

std::vector<NodeId> ids(const Holders& holders) {
  std::vector<NodeId> result;
  for (const auto* holder : holders) result.push_back(holder->id);
  return result;
}

std::vector<NodeId> ids(const std::vector<CHash::Node>& nodes) {
  std::vector<NodeId> result;
  for (const auto& node : nodes) result.push_back(node.id);
  return result;
}

/// The definition: nodes as they are met, sorted by how many of their zone came before.
std::vector<NodeId> obvious_replicas(const CHash& ring, const std::string& key, std::size_t count) {
  const auto met = ring.range_next(key, static_cast<std::int64_t>(ring.node_count())).value();
  std::map<std::string, std::size_t> seen;
  std::vector<std::pair<std::size_t, NodeId>> ranked;
  for (const auto& node : met) ranked.emplace_back(seen[zone_of(node)]++, node.id);
  std::ranges::stable_sort(ranked, {}, &std::pair<std::size_t, NodeId>::first);
  std::vector<NodeId> first;
  for (std::size_t i = 0; i < std::min(count, ranked.size()); ++i) first.push_back(ranked[i].second);
  return first;
}

}  // namespace

TEST_CASE("replicas: they are distinct, the owner is the first, and zones take turns") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto policy = rng.chance(0.5) ? HashPolicy::sha256 : HashPolicy::xxh3;
    const auto labelled = 0.5 * static_cast<double>(rng.below(3));
    const CHash ring = random_ring(rng, 1 + rng.below(12), 1 + rng.below(5), policy, labelled);
    Holders all;
    for (const auto& node : ring.nodes()) all.push_back(ring.get(node.id.str()));
    const auto zone_sizes = zone_counts(all);
    for (int i = 0; i < 40; ++i) {
      const auto key = std::to_string(rng.next());
      const auto count = rng.below(14);
      const auto holders = ring.replicas(key, count);
      CHECK(holders == ring.replicas_at(position_of(policy, key), count));
      CHECK(ids(holders) == obvious_replicas(ring, key, count));
      CHECK(holders.size() == std::min<std::size_t>(count, ring.node_count()));
      const auto found = ids(holders);
      CHECK(std::set(found.begin(), found.end()).size() == found.size());
      if (!holders.empty()) CHECK(holders.front() == ring.find(key));
      // As many zones as there can be, and none gives two more than another that has nodes left.
      const auto counts = zone_counts(holders);
      CHECK(counts.size() == std::min<std::size_t>(holders.size(), zone_sizes.size()));
      for (const auto& [zone, size] : zone_sizes)
        for (const auto& [other, given] : counts) {
          const auto own = counts.contains(zone) ? counts.at(zone) : 0;
          if (own < size) CHECK(given <= own + 1);
        }
    }
  }
}

TEST_CASE("replicas: without zones, or with one, they are the nodes met going forward") {
  for (const std::size_t zones : {0, 1}) {
    Rng rng(zones);
    const CHash ring = random_ring(rng, 9, zones, HashPolicy::sha256);
    for (int i = 0; i < 50; ++i) {
      const auto key = std::to_string(rng.next());
      CHECK(ids(ring.replicas(key, 4)) == ids(ring.range_next(key, 4).value()));
    }
  }
  CHECK(CHash().replicas("key", 3).empty());
}

TEST_CASE("replicas: two copies of a key survive the loss of any one zone, as long as there are two") {
  Rng rng(5);
  const CHash ring = random_ring(rng, 12, 3, HashPolicy::sha256);
  for (int i = 0; i < 300; ++i) {
    const auto holders = ring.replicas(std::to_string(i), 2);
    CHECK(holders[0]->zone != holders[1]->zone);
  }
}

TEST_CASE("replicas: nodes that get their zones one after the other are not overwhelmed meanwhile") {
  constexpr std::size_t kNodes = 12, kKeys = 2000, kCopies = 3;
  CHash ring;
  const auto node = [](std::size_t i, std::string zone) {
    return CHash::Node{NodeId("n" + std::to_string(i)), {"h", 1}, std::move(zone)};
  };
  for (std::size_t i = 0; i < kNodes; ++i) REQUIRE(ring.insert(node(i, {}), 64));
  const auto lists = [&] {
    std::vector<std::vector<NodeId>> all;
    for (std::size_t key = 0; key < kKeys; ++key)
      all.push_back(ids(ring.replicas("key " + std::to_string(key), kCopies)));
    return all;
  };
  auto last = lists();
  for (std::size_t i = 0; i < kNodes; ++i) {
    CAPTURE(i);
    REQUIRE(ring.update(node(i, "z" + std::to_string(i % 3)), 64));
    const auto now = lists();
    if (i < 3) CHECK(now == last);  // each alone in its zone, as it was
    std::map<NodeId, std::size_t> copies;
    std::size_t moved = 0;
    for (std::size_t key = 0; key < kKeys; ++key)
      for (const auto& id : now[key]) {
        ++copies[id];
        moved += std::ranges::find(last[key], id) == last[key].end() ? 1 : 0;
      }
    for (const auto& [id, count] : copies) CHECK(count < 2 * kKeys * kCopies / kNodes);
    CHECK(moved < 2 * kKeys * kCopies / kNodes);
    last = now;
  }
}

TEST_CASE(
    "replicas: a node that joins or leaves changes only the lists that it is in, while zones have one node "
    "each") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    CHash ring;
    for (int i = 0; i < 6; ++i)
      REQUIRE(ring.insert({NodeId("n" + std::to_string(i)), {}, "z" + std::to_string(i)}, 8));
    CHash after = ring;
    REQUIRE(after.insert({"new", {}, "another"}, 8));
    for (int i = 0; i < 100; ++i) {
      const auto key = std::to_string(rng.next());
      const auto now = ids(after.replicas(key, 3));
      if (std::ranges::find(now, NodeId("new")) == now.end()) CHECK(now == ids(ring.replicas(key, 3)));
    }
  }
}

TEST_CASE("zones: an update moves a node to another one, and bad labels are refused") {
  CHash ring;
  REQUIRE(ring.insert({"a", {}, "east"}, 4));
  const CHash before = ring;
  REQUIRE(ring.update({"a", {}, "west"}, 4));
  CHECK(ring.get("a")->zone == "west");
  CHECK_FALSE(ring == before);
  CHECK(ring.insert({"b", {}, std::string(255, 'z')}).has_value());
  CHECK(ring.insert({"c", {}, std::string(256, 'z')}).error().code() == Errc::invalid_argument);
  CHECK(ring.insert({"c", {}, "two\nlines"}).error().code() == Errc::invalid_argument);
  CHECK(ring.insert({"c", {}, "\xff"}).error().code() == Errc::invalid_argument);
}

TEST_CASE("balance: shares come from the points, sum to 1, and are what many keys show") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto policy = rng.chance(0.5) ? HashPolicy::sha256 : HashPolicy::xxh3;
    const CHash ring = random_ring(rng, 1 + rng.below(8), 0, policy);
    const auto balance = ring.balance();
    double sum = 0, expected = 0, greatest = 0, greatest_ratio = 0;
    for (const auto& [id, weight, share, fair] : balance.shares) {
      sum += share;
      expected += fair;
      greatest = std::max(greatest, share);
      greatest_ratio = std::max(greatest_ratio, share / fair);
      CHECK(weight == ring.weight(id.str()));
    }
    CHECK(sum == doctest::Approx(1).epsilon(1e-14));
    CHECK(expected == doctest::Approx(1).epsilon(1e-14));
    CHECK(balance.max_over_mean == doctest::Approx(greatest * static_cast<double>(ring.node_count())));
    CHECK(balance.max_over_expected == doctest::Approx(greatest_ratio));

    std::map<NodeId, int> keys;
    constexpr int kKeys = 4'000;
    for (int i = 0; i < kKeys; ++i) ++keys[ring.find(std::to_string(rng.next()))->id];
    for (const auto& [id, weight, share, fair] : balance.shares) {
      const double deviation = std::sqrt(share * (1 - share) / kKeys);
      CHECK(std::abs(keys[id] / double{kKeys} - share) <= 6 * deviation + 1e-9);
    }
  }
}

TEST_CASE("balance: an empty ring has none, one node has all, and a word that overflows is no trap") {
  CHECK(CHash().balance().shares.empty());
  CHECK(CHash().balance().max_over_mean == 0);
  for (const std::uint32_t weight : {1u, 2u, 160u}) {
    CHash ring;
    REQUIRE(ring.insert({"a"}, weight));
    CHECK(ring.balance().shares.front().share == 1);
    CHECK(ring.balance().max_over_mean == 1);
  }
  // Two nodes whose points differ only behind the first word.
  const auto tied = CHash::from_points({}, {{{{7, 1}}, {"a"}}, {{{7, 2}}, {"b"}}}).value();
  CHECK(tied.balance().shares[0].share + tied.balance().shares[1].share == 1);
}
