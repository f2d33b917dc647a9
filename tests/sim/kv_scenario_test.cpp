// The key-value store under faults, judged by a checker; and the checker by planted mistakes.
#include <doctest/doctest.h>

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "cluster/sim/kv_scenario.hpp"
#include "seeds.hpp"

namespace cluster::sim {
namespace {

KvFaults without(std::initializer_list<KvFault> faults) {
  auto left = all_kv_faults();
  for (const auto fault : faults) left.erase(fault);
  return left;
}

const KvFaults kFixedRing = without({KvFault::joins, KvFault::removals, KvFault::leaves, KvFault::weights});

KvVerdict checked(const KvScenario& scenario) {
  auto verdict = run(scenario);
  CAPTURE(scenario.seed);
  for (const auto& violation : verdict.violations) {
    CAPTURE(violation);
    CHECK(violation.empty());
  }
  return verdict;
}

/// Many seeds of a scenario: what they saw, together.
KvVerdict checked_seeds(std::uint64_t count, KvScenario scenario) {
  KvVerdict sum;
  for (scenario.seed = 1; scenario.seed <= count; ++scenario.seed) {
    const auto verdict = checked(scenario);
    for (const auto number :
         {&KvVerdict::acknowledged, &KvVerdict::reads, &KvVerdict::conditions, &KvVerdict::replaced,
          &KvVerdict::forgotten, &KvVerdict::disks_lost, &KvVerdict::left})
      sum.*number += verdict.*number;
  }
  CHECK(sum.acknowledged > 0);
  CHECK(sum.reads > 0);
  return sum;
}

proto::KvBucket ruled(std::string_view rule) {
  proto::KvBucket bucket;
  REQUIRE(set_rule(rule, bucket));
  return bucket;
}

}  // namespace

TEST_CASE(
    "kv: with a fixed ring nothing acknowledged is lost or stale, as long as one disk is lost at a time") {
  for (std::uint64_t seed = 1; seed <= seeds(10); ++seed)
    CHECK(checked({.seed = seed, .faults = kFixedRing}).acknowledged > 0);
}

TEST_CASE("kv: disks that fill up lose nothing, and what is asked of any node the others do meanwhile") {
  checked_seeds(seeds(6), {.faults = {KvFault::full}});
  for (std::uint64_t seed = 1; seed <= seeds(5); ++seed) {
    CAPTURE(seed);
    KvCluster cluster(config_of({.seed = seed}));
    std::map<std::size_t, std::uint32_t> ring;
    while (ring.size() < 5) ring[cluster.add()] = 16;
    cluster.set_ring(ring);
    cluster.simulator().run_for(10s);
    REQUIRE(cluster.settled());
    cluster.fill_disk(seed % ring.size());
    std::size_t answered = 0;
    for (std::size_t i = 0; i < 400; ++i) {
      proto::KvRequest request{.key = {"default", "k" + std::to_string(i % 40)}};
      if (i % 4 != 3) request = {.verb = proto::KvVerb::put, .key = request.key, .value = {1}};
      if (i % 4 == 1) request.condition = proto::KvCondition::replace;
      cluster.request(i % ring.size(), request, [&](const Result<proto::KvAnswer>& answer) {
        CHECK(answer);
        ++answered;
      });
      cluster.simulator().run_for(5ms);
    }
    cluster.simulator().run_for(5s);
    CHECK(answered == 400);
  }
}

TEST_CASE("kv: the next disk may be lost as soon as all say that they have what they are to hold") {
  for (std::uint64_t seed = 1; seed <= seeds(6); ++seed)
    CHECK(checked({.seed = seed, .faults = {KvFault::disks}}).acknowledged > 0);
}

TEST_CASE("kv: nothing acknowledged is lost or stale while nodes join, leave and change their weights, too") {
  std::size_t acknowledged = 0, reads = 0, siblings = 0, forgotten = 0, conditions = 0, replaced = 0,
              left = 0;
  for (std::uint64_t seed = 1; seed <= seeds(30); ++seed) {
    const auto verdict = checked({.seed = seed});
    acknowledged += verdict.acknowledged;
    reads += verdict.reads;
    siblings += verdict.siblings;
    forgotten += verdict.forgotten;
    conditions += verdict.conditions;
    replaced += verdict.replaced;
    left += verdict.left;
  }
  CHECK(acknowledged > 0);
  CHECK(reads > 0);
  CHECK(siblings > 0);
  CHECK(forgotten > 0);
  CHECK(conditions > 0);
  CHECK(replaced > 0);
  CHECK(left > 0);
}

TEST_CASE("kv: a key with one copy is lost by no member that leaves alive, nor read while it is on its way") {
  std::size_t acknowledged = 0, left = 0;
  for (std::uint64_t seed = 1; seed <= seeds(20); ++seed) {
    const auto verdict = checked({.seed = seed,
                                  .bucket = {.n = 1, .r = 1, .w = 1},
                                  .faults = without({KvFault::disks, KvFault::removals})});
    acknowledged += verdict.acknowledged;
    left += verdict.left;
  }
  CHECK(acknowledged > 0);
  CHECK(left > 0);
}

TEST_CASE("kv: nothing acknowledged is lost or stale while whole zones fail and nodes change theirs") {
  for (std::uint64_t seed = 1; seed <= seeds(16); ++seed)
    CHECK(checked({.seed = seed, .nodes = 6, .zones = 2 + seed % 3}).acknowledged > 0);
}

TEST_CASE(
    "kv: where the last write wins none that was acknowledged is lost to an earlier one, with clocks that "
    "differ") {
  const auto bucket = ruled("last");
  CHECK(checked_seeds(seeds(10), {.bucket = bucket}).disks_lost > 0);
  checked_seeds(seeds(10), {.bucket = bucket, .faults = without({KvFault::clocks})});
  checked_seeds(seeds(6), {.clients = 8, .keys = 2, .bucket = bucket});
}

TEST_CASE("kv: where values are merged nothing that was acknowledged is missing in what is read") {
  const auto bucket = ruled("union");
  const auto verdict = checked_seeds(seeds(10), {.bucket = bucket});
  CHECK(verdict.conditions > 0);
  CHECK(verdict.replaced > 0);
  checked_seeds(seeds(6), {.clients = 8, .keys = 2, .bucket = bucket});
}

TEST_CASE("kv: what has a time to live is there until it is over, and does not come back") {
  CHECK(checked_seeds(seeds(10), {.ttl = 0.4}).forgotten > 0);
  checked_seeds(seeds(6), {.ttl = 0.4, .faults = without({KvFault::clocks})});
  checked_seeds(seeds(6), {.bucket = ruled("last"), .ttl = 0.4});
  checked_seeds(seeds(4), {.bucket = ruled("union"), .ttl = 0.4});
}

// A late greeting of a process that had been killed kept another node from settling, for ever.
TEST_CASE("kv: a word that outlives its process keeps nobody from settling, nor members from leaving") {
  auto bucket = ruled("last");
  bucket.n = 5;
  bucket.r = bucket.w = 3;
  CHECK(checked_seeds(
            seeds(6),
            {.nodes = 7, .clients = 8, .keys = 2, .bucket = bucket, .faults = without({KvFault::full})})
            .left > 0);
}

TEST_CASE("kv: what is asked for together is judged as if each had come alone") {
  CHECK(checked_seeds(seeds(10), {.batches = 0.5}).conditions > 0);
}

TEST_CASE("kv: what three replicas acknowledged is there after two disks were lost at once") {
  const proto::KvBucket one_reads{.n = 3, .r = 1, .w = 3};
  const proto::KvBucket two_read{.n = 3, .r = 2, .w = 3};
  checked_seeds(seeds(10), {.bucket = one_reads, .disks_at_once = 2});
  checked_seeds(seeds(10), {.bucket = two_read, .disks_at_once = 2});
  const KvScenario disks{.bucket = one_reads, .faults = {KvFault::disks}, .disks_at_once = 2};
  CHECK(checked_seeds(seeds(3), disks).disks_lost > 0);
}

TEST_CASE("kv: each planted mistake is found within its number of seeds") {
  for (const auto& bug : kv_planted_bugs()) {
    CAPTURE(bug.name);
    auto scenario = scenario_for(bug.bug);
    while (scenario.seed <= bug.seeds && run(scenario).violations.empty()) ++scenario.seed;
    CHECK(scenario.seed <= bug.seeds);
  }
}

TEST_CASE("kv: one seed is one course of events") {
  CHECK(run({.seed = 3, .duration = 10s}).trace == run({.seed = 3, .duration = 10s}).trace);
}

}  // namespace cluster::sim
