// The key-value store of several nodes, step by step.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cluster/sim/kv_cluster.hpp"
#include "seeds.hpp"

namespace cluster::sim {

TEST_CASE("kv: without faults all is answered, and nothing is lost") {
  for (std::uint64_t seed = 1; seed <= seeds(4); ++seed) {
    KvCluster cluster({.seed = seed, .faults = {.delay = Latency::uniform(200us, 2ms)}});
    std::map<std::size_t, std::uint32_t> ring;
    for (int i = 0; i < 5; ++i) ring[cluster.add()] = 16;
    cluster.set_ring(ring);
    cluster.simulator().run_for(5s);
    CHECK(cluster.settled());
    int done = 0;
    for (std::uint64_t i = 0; i < 200; ++i) {
      const proto::KvKey key{"default", "key " + std::to_string(i)};
      cluster.request(i % 5, {.verb = proto::KvVerb::put, .key = key, .value = {1, 2, 3}},
                      [&, key, i](auto put) {
                        REQUIRE(put.has_value());
                        cluster.request((i + 1) % 5, {.key = key}, [&](auto got) {
                          REQUIRE(got.has_value());
                          CHECK(got->values == std::vector<Bytes>{{1, 2, 3}});
                          ++done;
                        });
                      });
    }
    cluster.simulator().run_for(10s);
    CHECK(done == 200);
    CHECK(cluster.differences() == "");
  }
}

TEST_CASE(
    "kv: a node in no ring answers nothing: what it alone held would hide what a ring has acknowledged") {
  KvCluster cluster({.seed = 1});
  const auto place = cluster.add();
  cluster.set_ring({{cluster.add(), 16}});
  cluster.simulator().run_for(5s);
  int refused = 0;
  for (const auto verb : {proto::KvVerb::get, proto::KvVerb::put, proto::KvVerb::del})
    cluster.request(place, {.verb = verb, .key = {"default", "key"}}, [&](auto answer) {
      REQUIRE(!answer);
      CHECK(answer.error().executed() == Executed::no);
      ++refused;
    });
  cluster.simulator().run_for(5s);
  CHECK(refused == 3);
  CHECK(cluster.held(place).size() == 0);
}

TEST_CASE(
    "kv: members that leave at once, more than a key has replicas, leave all keys with those who stay") {
  struct Row {
    std::uint32_t copies;
    std::size_t members;
    std::size_t leavers;
  };
  for (const auto& [copies, members, leavers] : {Row{1, 4, 1}, Row{3, 7, 4}, Row{2, 5, 4}}) {
    CAPTURE(copies);
    KvClusterConfig config{.seed = members, .faults = {.delay = Latency::uniform(200us, 2ms)}};
    config.kv.bucket.n = copies;
    config.kv.bucket.r = config.kv.bucket.w = copies / 2 + 1;
    KvCluster cluster(config);
    std::map<std::size_t, std::uint32_t> ring;
    for (std::size_t i = 0; i < members; ++i) ring[cluster.add()] = 16;
    cluster.set_ring(ring);
    cluster.simulator().run_for(5s);
    int put = 0, got = 0, missing = 0;
    constexpr int kKeys = 300;
    const auto key = [](int i) { return proto::KvKey{"default", "key " + std::to_string(i)}; };
    for (int i = 0; i < kKeys; ++i)
      cluster.request(0, {.verb = proto::KvVerb::put, .key = key(i), .value = {1}},
                      [&](auto answer) { put += answer.has_value() ? 1 : 0; });
    cluster.simulator().run_for(2s);
    REQUIRE(put == kKeys);
    for (std::size_t i = 0; i < leavers; ++i) ring[i] = 0;
    cluster.set_ring(ring);
    const auto reader = members - 1;
    const auto read_all = [&] {
      for (int i = 0; i < kKeys; ++i)
        cluster.request(reader, {.key = key(i)}, [&](auto answer) {
          got += answer && answer->values.size() == 1 ? 1 : 0;
          missing += answer && answer->values.empty() ? 1 : 0;
        });
    };
    const auto drained = [&] {
      for (std::size_t i = 0; i < leavers; ++i)
        if (!cluster.drained(i)) return false;
      return true;
    };
    for (int i = 0; i < 100 && !drained(); ++i) {
      cluster.simulator().run_for(100ms);
      read_all();
    }
    CHECK(drained());
    CHECK(cluster.differences() == "");
    for (std::size_t i = 0; i < leavers; ++i) {
      ring.erase(i);
      cluster.kill(i);
    }
    cluster.set_ring(ring);
    cluster.simulator().run_for(10s);
    CHECK(missing == 0);
    got = 0;
    read_all();
    cluster.simulator().run_for(5s);
    CHECK(got == kKeys);
  }
}

TEST_CASE("kv: fifty members that join within seconds settle soon after the last of them, with little work") {
  KvCluster cluster({.seed = 1, .faults = {.delay = Latency::uniform(200us, 2ms)}, .ring_delay_max = 20ms});
  std::map<std::size_t, std::uint32_t> ring;
  for (int i = 0; i < 50; ++i) {
    ring[cluster.add()] = 128;
    cluster.set_ring(ring);
    cluster.simulator().run_for(60ms);
  }
  cluster.simulator().run_for(3s);
  CHECK(cluster.settled());
  std::uint64_t sessions = 0, steps = 0;
  for (const auto& [place, weight] : ring) {
    sessions += cluster.at(place).counters().sessions;
    steps += cluster.at(place).counters().look_steps;
  }
  CHECK(sessions < 120 * ring.size());     // each has to ask each other once
  CHECK(steps < 1'000'000 * ring.size());  // about 10 ms
}

TEST_CASE("kv: replicas span the zones, and without one of them every key is read, and written with W left") {
  struct Row {
    const char* what;
    std::size_t zones;
    proto::KvBucket bucket;
    bool reads;
    bool writes;
  };
  const Row rows[] = {{"three zones, two of three", 3, {.n = 3, .r = 2, .w = 2}, true, true},
                      {"three zones, one of three", 3, {.n = 3, .r = 1, .w = 3}, true, false},
                      {"two zones, one of two", 2, {.n = 2, .r = 1, .w = 2}, true, false},
                      {"two zones, two of three", 2, {.n = 3, .r = 2, .w = 2}, false, false},
                      {"no zones, two of three", 0, {.n = 3, .r = 2, .w = 2}, false, false}};
  for (const auto& row : rows) {
    CAPTURE(row.what);
    KvClusterConfig config{.seed = 7, .faults = {.delay = Latency::uniform(200us, 2ms)}};
    config.kv.bucket = row.bucket;
    KvCluster cluster(config);
    std::map<std::size_t, std::uint32_t> ring;
    for (std::size_t i = 0; i < 6; ++i) ring[cluster.add()] = 16;
    for (std::size_t i = 0; i < 6 && row.zones > 0; ++i) cluster.set_zone(i, std::to_string(i % row.zones));
    cluster.set_ring(ring);
    cluster.simulator().run_for(5s);
    REQUIRE(cluster.settled());
    constexpr std::size_t kKeys = 60;
    std::size_t acknowledged = 0;
    const auto key = [](std::size_t i) { return proto::KvKey{"default", "key " + std::to_string(i)}; };
    for (std::size_t i = 0; i < kKeys; ++i) {
      std::set<std::string> spanned;
      for (const auto& node : cluster.at(0).replicas(key(i)).nodes)
        spanned.insert(cluster.zone(static_cast<std::size_t>(std::stoul(node.str().substr(1)))));
      CHECK(spanned.size() == std::clamp<std::size_t>(row.zones, 1, row.bucket.n));
      cluster.request(i % 6, {.verb = proto::KvVerb::put, .key = key(i), .value = {1}},
                      [&](auto put) { acknowledged += put ? 1 : 0; });
    }
    cluster.simulator().run_for(5s);
    CHECK(acknowledged == kKeys);
    const auto lost = row.zones == 2 ? std::vector<std::size_t>{1, 3, 5} : std::vector<std::size_t>{1, 4};
    for (const auto place : lost) cluster.kill(place);
    cluster.simulator().run_for(3s);  // it is noticed: what was handed on to them may fail until then
    std::size_t read = 0, written = 0;
    for (std::size_t i = 0; i < kKeys; ++i) {
      cluster.request(0, {.key = key(i)}, [&](auto got) {
        if (got) CHECK(got->values == std::vector<Bytes>{{1}});
        read += got ? 1 : 0;
      });
      cluster.request(2, {.verb = proto::KvVerb::put, .key = {"default", "new " + std::to_string(i)}},
                      [&](auto put) { written += put ? 1 : 0; });
    }
    cluster.simulator().run_for(20s);
    CHECK((read == kKeys) == row.reads);
    CHECK((written == kKeys) == row.writes);
    for (const auto place : lost) cluster.restart(place, true);
    cluster.simulator().run_for(30s);
    CHECK(cluster.differences() == "");
  }
}

TEST_CASE(
    "kv: a put whose first replica is paused is coordinated by another one after a moment and once only") {
  for (std::uint64_t seed = 1; seed <= seeds(10); ++seed) {
    CAPTURE(seed);
    KvCluster cluster({.seed = seed, .faults = {.delay = Latency::uniform(200us, 5ms)}});
    std::map<std::size_t, std::uint32_t> ring;
    for (int i = 0; i < 5; ++i) ring[cluster.add()] = 16;
    cluster.set_ring(ring);
    cluster.simulator().run_for(5s);
    const auto place_of = [](const NodeId& id) {
      return static_cast<std::size_t>(std::stoul(id.str().substr(1)));
    };
    const proto::KvKey key{"default", "key " + std::to_string(seed)};
    const auto first = place_of(cluster.at(0).replicas(key).nodes.front());
    cluster.pause(first);
    std::uint8_t value = 0;
    for (std::size_t place = 0; place < 5; ++place) {
      if (place == first) continue;
      for (const auto condition : {proto::KvCondition::replace, proto::KvCondition::none}) {
        bool done = false;
        proto::KvRequest put{
            .verb = proto::KvVerb::put, .key = key, .value = {++value}, .condition = condition};
        if (condition == proto::KvCondition::none)  // of what it has read
          cluster.request(place, {.key = key}, [&](auto got) { put.context = got.value().context; });
        cluster.simulator().run_for(100ms);
        const auto began = cluster.simulator().now();
        cluster.request(place, put, [&](auto answer) {
          CHECK(answer.has_value());
          done = true;
        });
        while (!done && cluster.simulator().now() < began + 5s) cluster.simulator().run_for(10ms);
        CHECK(cluster.simulator().now() - began < 1s);
      }
    }
    cluster.resume(first);  // and finds all that was forwarded to it
    cluster.simulator().run_for(20s);
    for (std::size_t place = 0; place < 5; ++place) {
      if (!cluster.at(place).replicas(key).has(cluster.id(place))) continue;
      const auto& record = cluster.held(place).records().at(key);
      REQUIRE(record.siblings.size() == 1);
      CHECK(record.siblings.front().value.data == Bytes{value});
    }
  }
}

}  // namespace cluster::sim
