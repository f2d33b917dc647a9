#include "cluster/ds/dotted_set.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "cluster/base/rng.hpp"

namespace cluster {
namespace {

using Set = DottedSet<int>;

const Boot kAnn{1, 1};
const Boot kBob{2, 2};

/// What a DottedSet stands for, spelled out: each value with every write that its writer had seen.
struct Slow {
  std::set<Dot> seen{};
  std::set<Dot> values{};

  void put(const std::set<Dot>& context, const Dot& dot) {
    std::erase_if(values, [&](const Dot& value) { return context.contains(value); });
    seen.insert(context.begin(), context.end());
    seen.insert(dot);
    values.insert(dot);
  }
  void merge(const Slow& other) {
    std::set<Dot> kept;
    for (const auto& value : values)
      if (other.values.contains(value) || !other.seen.contains(value)) kept.insert(value);
    for (const auto& value : other.values)
      if (values.contains(value) || !seen.contains(value)) kept.insert(value);
    values = kept;
    seen.insert(other.seen.begin(), other.seen.end());
  }
};

std::set<Dot> dots(const Set& set) {
  std::set<Dot> found;
  for (const auto& sibling : set.siblings) found.insert(sibling.dot);
  return found;
}

}  // namespace

TEST_CASE("dotted set: a write that knows what is there replaces it, one that does not stands beside it") {
  Set set;
  set.put({}, {kAnn, 1}, 10);
  const auto read = set.context;
  set.put(read, {kAnn, 2}, 20);
  CHECK(dots(set) == std::set<Dot>{{kAnn, 2}});
  set.put(read, {kAnn, 3}, 30);  // by somebody who had read the first value only
  CHECK(dots(set) == std::set<Dot>{{kAnn, 2}, {kAnn, 3}});
  set.put(set.context, {kBob, 1}, 40);
  CHECK(dots(set) == std::set<Dot>{{kBob, 1}});
}

TEST_CASE("dotted set: two writers in turns through one actor never make more than two siblings") {
  Set set;
  VersionVector known[2];
  for (std::uint64_t i = 1; i <= 100; ++i) {
    auto& context = known[i % 2];
    set.put(context, {kAnn, i}, 0);
    context = set.context;  // each reads after it wrote
    CHECK(set.siblings.size() <= 2);
  }
}

TEST_CASE("dotted set: it tells what explicit histories tell, in whatever order replicas merge") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    constexpr std::size_t kReplicas = 3;
    Set sets[kReplicas];
    Slow slow[kReplicas];
    std::uint64_t counts[kReplicas] = {};
    std::vector<std::pair<VersionVector, std::set<Dot>>> contexts{{}};
    for (int step = 0; step < 60; ++step) {
      const auto at = rng.below(kReplicas);
      if (rng.chance(0.3)) {
        contexts.emplace_back(sets[at].context, slow[at].seen);
      } else if (rng.chance(0.5)) {
        const Dot dot{{at + 1, at}, ++counts[at]};
        const auto& [context, history] = contexts[rng.below(contexts.size())];
        sets[at].put(context, dot, step);
        slow[at].put(history, dot);
      } else {
        const auto from = rng.below(kReplicas);
        sets[at].merge(sets[from]);
        slow[at].merge(slow[from]);
      }
      CHECK(dots(sets[at]) == slow[at].values);
      CHECK(sets[at].is_valid(64));
    }
    auto ab = sets[0], ba = sets[1];
    ab.merge(sets[1]);
    ba.merge(sets[0]);
    CHECK(ab == ba);
    auto left = ab, right = sets[1];
    left.merge(sets[2]);
    right.merge(sets[2]);
    auto whole = sets[0];
    whole.merge(right);
    CHECK(left == whole);
    CHECK(!whole.merge(sets[2]));
  }
}

TEST_CASE("dotted set: what a long context forgets is old, so no value that was replaced comes back") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Set sets[3];
    for (int step = 1; step <= 200; ++step) {
      // A new actor for each write, as by a change of the ring: greater or less than those of before.
      auto& writer = sets[rng.below(3)];
      const auto seen = writer.context;
      writer.put(seen, {{rng.below(5), rng.next()}, seen.last() + 1}, step);
      const auto written = writer;
      for (auto& set : sets) set.merge(written);
      for (const auto& set : sets) REQUIRE(set.siblings.size() == 1);
    }
  }
}

TEST_CASE("dotted set: a long context loses its oldest actors, and no value") {
  Set set;
  for (std::uint64_t i = 1; i <= Set::kContextMax + 10; ++i) set.put(set.context, {{i, i}, 1}, 0);
  CHECK(set.context.entries.size() == Set::kContextMax);
  CHECK(set.siblings.size() == 1);
  CHECK(set.is_valid(1));
  for (std::uint64_t i = 1; i <= Set::kContextMax + 10; ++i) set.put({}, {{100 + i, i}, 1}, 0);
  CHECK(set.siblings.size() == Set::kContextMax + 11);
  CHECK(set.is_valid(64));
}

TEST_CASE(
    "dotted set: with a new actor for each write contexts stay short, and replicas still come to agree") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Set sets[3];
    for (std::uint64_t step = 1; step <= 200; ++step) {
      auto& set = sets[rng.below(3)];
      if (rng.chance(0.6))
        set.put(rng.chance(0.3) ? VersionVector{} : set.context, {{step, step}, 1}, 0);
      else
        set.merge(sets[rng.below(3)]);
      CHECK(set.context.entries.size() <= std::max(Set::kContextMax, set.siblings.size()));
    }
    for (int round = 0; round < 2; ++round)
      for (auto& set : sets)
        for (const auto& other : sets) set.merge(Set(other));
    for (auto& set : sets)
      for (const auto& other : sets) {
        CHECK(set == other);
        CHECK(!set.merge(Set(other)));
      }
  }
}

TEST_CASE("dotted set: what is out of order or not covered is not valid") {
  Set set;
  set.put({}, {kAnn, 1}, 1);
  set.put({}, {kBob, 1}, 2);
  CHECK(set.is_valid(2));
  CHECK(!set.is_valid(1));
  std::swap(set.siblings[0], set.siblings[1]);
  CHECK(!set.is_valid(2));
  std::swap(set.siblings[0], set.siblings[1]);
  set.context.entries.pop_back();
  CHECK(!set.is_valid(2));
}

}  // namespace cluster
