// The key-value store under faults, judged by a checker; and the checker by planted mistakes.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

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

proto::KvConfig as_a(proto::KvConfig config) {
  config.self = NodeId("a");
  config.boot = {1, 1};
  return config;
}

/// Node `a` in a ring with `b` and `c`.
struct OneOfThree {
  proto::KvMemory storage{};
  proto::Kv kv;

  explicit OneOfThree(proto::KvConfig config = {}) : kv(as_a(std::move(config)), storage, Rng(1)) {
    CHash ring;
    for (const auto* id : {"a", "b", "c"}) REQUIRE(ring.insert({.id = NodeId(id)}, 16));
    static_cast<void>(kv.on_start(Instant{}, WallTime{}));
    static_cast<void>(kv.on_ring(Instant{}, "ring", {1, 1}, ring));
  }
};

}  // namespace

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
    "kv: with a fixed ring nothing acknowledged is lost or stale, as long as one disk is lost at a time") {
  for (std::uint64_t seed = 1; seed <= seeds(10); ++seed)
    CHECK(checked({.seed = seed, .faults = kFixedRing}).acknowledged > 0);
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

TEST_CASE("kv: nothing acknowledged is lost or stale while whole zones fail and nodes change theirs") {
  for (std::uint64_t seed = 1; seed <= seeds(16); ++seed)
    CHECK(checked({.seed = seed, .nodes = 6, .zones = 2 + seed % 3}).acknowledged > 0);
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

TEST_CASE("kv: each planted mistake is found within its number of seeds") {
  for (const auto& bug : kv_planted_bugs()) {
    CAPTURE(bug.name);
    auto scenario = scenario_for(bug.bug);
    while (scenario.seed <= bug.seeds && run(scenario).violations.empty()) ++scenario.seed;
    CHECK(scenario.seed <= bug.seeds);
  }
}

TEST_CASE("kv: a message out of bounds is refused, and leaves nothing behind") {
  OneOfThree one;
  auto& kv = one.kv;

  const proto::KvKey key{"default", "key"};
  proto::KvRecord unordered;
  unordered.context.entries = {{{2, 2}, 1}, {{1, 1}, 1}};
  proto::KvRecord uncovered;
  uncovered.siblings.push_back({{{1, 1}, 1}, {}});
  proto::KvSyncLeaf leaf{.leaf = 0, .held = {{2, 1}, {1, 1}}};
  proto::KvHello hello;
  hello.history.resize(1000);
  const proto::KvMessage hostile[] = {
      proto::KvRead{1, {"default", ""}, 0},
      proto::KvRead{1, {"a/b", "key"}, 0},
      proto::KvRead{1, {"default", std::string(proto::kKvKeyBytesMax + 1, 'k')}, 0},
      proto::KvWrite{1, key, 0, unordered},
      proto::KvWrite{1, key, 0, uncovered},
      proto::KvReadReply{.id = 1, .record = unordered},
      proto::KvForward{1, {.verb = proto::KvVerb::put, .key = {"", "key"}}},
      proto::KvSyncAsk{.session = 1, .branches = {1, 2, 3}},
      proto::KvSyncDiffer{.session = 1, .branches = {{64, std::vector<std::uint64_t>(64)}}},
      proto::KvSyncDiffer{.session = 1, .branches = {{0, std::vector<std::uint64_t>(63)}}},
      leaf,
      proto::KvSyncLeaf{.leaf = proto::kKvLeaves},
      proto::KvSyncRecords{.leaf = proto::kKvLeaves},
      proto::KvSyncRecords{.entries = {{key, uncovered}}},
      proto::KvForget{.entries = std::vector<proto::KvForget::Entry>(proto::kKvForgetMax + 1)},
      hello};
  for (const auto& message : hostile) {
    CAPTURE(message.index());
    const auto actions = kv.on_message(Instant{}, WallTime{}, NodeId("b"), message);
    CHECK(std::ranges::count_if(
              actions, [](const auto& a) { return std::holds_alternative<proto::KvRefused>(a); }) == 1);
    CHECK(one.storage.size() == 0);
  }
  const auto from_itself = kv.on_message(Instant{}, WallTime{}, NodeId("a"), proto::KvSyncTaken{});
  CHECK(std::holds_alternative<proto::KvRefused>(from_itself.front()));
}

TEST_CASE("kv: a coordinator whose own copy answers last does not write to itself over the network") {
  OneOfThree one;
  auto& kv = one.kv;
  const proto::KvKey key{"default", "key"};
  std::uint64_t ticket = 0;
  for (const auto& action : kv.on_request(Instant{}, WallTime{}, 1, {.verb = proto::KvVerb::put, .key = key}))
    if (const auto* sync = std::get_if<proto::KvSync>(&action)) ticket = sync->ticket;
  REQUIRE(ticket != 0);
  std::uint64_t read = 0;  // waits here for the disk
  for (const auto& action : kv.on_request(Instant{}, WallTime{}, 2, {.key = key}))
    if (const auto* send = std::get_if<proto::KvSend>(&action))
      if (const auto* asked = std::get_if<proto::KvRead>(&send->message)) read = asked->id;
  REQUIRE(read != 0);
  for (const auto* id : {"b", "c"})
    static_cast<void>(
        kv.on_message(Instant{}, WallTime{}, NodeId(id), proto::KvReadReply{.id = read, .ready = true}));
  for (const auto& action : kv.on_synced(Instant{}, ticket, true))
    if (const auto* send = std::get_if<proto::KvSend>(&action)) CHECK(send->to != NodeId("a"));
}

TEST_CASE("kv: a forwarded request that its coordinator does not take is placed anew, as a new one") {
  OneOfThree one;
  std::uint64_t first = 0, again = 0;
  NodeId coordinator;
  const auto forwards = [&](const proto::KvActions& actions, std::uint64_t& id) {
    for (const auto& action : actions)
      if (const auto* send = std::get_if<proto::KvSend>(&action))
        if (const auto* forward = std::get_if<proto::KvForward>(&send->message))
          id = forward->id, coordinator = send->to;
  };
  for (int i = 0; first == 0 && i < 100; ++i)
    forwards(one.kv.on_request(Instant{}, WallTime{}, 1,
                               {.verb = proto::KvVerb::put,
                                .key = {"default", "key " + std::to_string(i)},
                                .condition = proto::KvCondition::replace}),
             first);
  REQUIRE(first != 0);
  const proto::KvForwarded refused{
      .id = first, .answer = {}, .failure = proto::KvFailure{Errc::cancelled, "this node is no replica"}};
  static_cast<void>(one.kv.on_message(Instant{}, WallTime{}, coordinator, refused));
  for (auto now = Instant{}; again == 0 && now < Instant{} + 1s; now += 10ms)
    forwards(one.kv.on_time(now, WallTime{}), again);
  CHECK(again != 0);
  CHECK(again != first);  // the coordinator takes no request twice
}

TEST_CASE("kv: a node compares itself with those that have told of themselves, not with whom it waits for") {
  OneOfThree one;
  std::optional<proto::KvHello> own;
  std::vector<NodeId> asked;
  const auto look = [&](const proto::KvActions& actions) {
    for (const auto& action : actions)
      if (const auto* send = std::get_if<proto::KvSend>(&action)) {
        if (const auto* hello = std::get_if<proto::KvHello>(&send->message)) own = *hello;
        if (std::holds_alternative<proto::KvSyncAsk>(send->message)) asked.push_back(send->to);
      }
  };
  auto now = Instant{};
  const auto run_for = [&](Duration time) {
    for (const auto end = now + time; now < end; now += 10ms) look(one.kv.on_time(now, WallTime{}));
  };
  for (const auto* id : {"b", "c"}) look(one.kv.on_peer(now, NodeId(id), true));
  run_for(2s);
  CHECK(asked.empty());
  REQUIRE(own);
  own->life = 7;
  own->asks = own->tells = false;
  look(one.kv.on_message(now, WallTime{}, NodeId("b"), *own));
  run_for(1s);
  REQUIRE(!asked.empty());
  for (const auto& peer : asked) CHECK(peer == NodeId("b"));
}

TEST_CASE("kv: readers of great values wait for room, all of them together, or are told that there is none") {
  proto::KvMemory storage;
  proto::Kv kv({.self = NodeId("a"), .boot = {1, 1}, .operation_bytes_max = 256u << 20}, storage, Rng(1));
  CHash ring;
  for (const auto* id : {"a", "b", "c", "d"}) REQUIRE(ring.insert({.id = NodeId(id)}, 16));
  static_cast<void>(kv.on_start(Instant{}, WallTime{}));
  static_cast<void>(kv.on_ring(Instant{}, "ring", {1, 1}, ring));
  proto::KvRecord record;
  record.put({}, {{1, 1}, 1}, {.data = Bytes(3, 1)});
  constexpr std::uint64_t kBytes = 50u << 20;  // as they say: their message tells the size, and comes later

  std::map<std::uint64_t, std::pair<NodeId, proto::KvKey>> sent_for;  // by operation
  std::size_t most = 0, answered = 0, refused = 0, timeouts = 0;
  auto now = Instant{};
  std::function<void(const proto::KvActions&)> heed = [&](const proto::KvActions& actions) {
    for (const auto& action : actions) {
      if (const auto* reply = std::get_if<proto::KvReply>(&action)) {
        ++(reply->answer ? answered : refused);
        if (reply->answer) CHECK(reply->answer->values.size() == 1);
        if (!reply->answer) timeouts += reply->answer.error().code() == Errc::overloaded ? 0 : 1;
      }
      const auto* send = std::get_if<proto::KvSend>(&action);
      const auto* read = send == nullptr ? nullptr : std::get_if<proto::KvRead>(&send->message);
      if (read == nullptr) continue;
      if (read->whole) {
        sent_for[read->id] = {send->to, read->key};
        most = std::max(most, sent_for.size());
      } else {
        heed(kv.on_message(now, WallTime{}, send->to,
                           proto::KvReadReply{.id = read->id,
                                              .status = proto::KvStatus::large,
                                              .ready = true,
                                              .record = {},
                                              .hash = proto::fingerprint(read->key, record),
                                              .bytes = kBytes}));
      }
    }
  };
  std::uint64_t asked = 0;
  for (int i = 0; asked < 64; ++i) {
    const proto::KvKey key{"default", "key " + std::to_string(i)};
    if (kv.replicas(key).has(NodeId("a"))) continue;
    heed(kv.on_request(now, WallTime{}, ++asked, {.key = key}));
  }
  CHECK(sent_for.size() == 2);  // and each is twice in memory: as a record, and as an answer
  for (; now < Instant{} + 6s; now += 10ms) {
    heed(kv.on_time(now, WallTime{}));
    if ((now - Instant{}) % 300ms != 0ms || sent_for.empty()) continue;
    const auto [id, from] = *sent_for.begin();
    sent_for.erase(sent_for.begin());
    heed(kv.on_message(now, WallTime{}, from.first,
                       proto::KvReadReply{.id = id, .ready = true, .record = record}));
  }
  CHECK(most == 2);
  CHECK(answered > 10);
  CHECK(answered + refused == 64);
  CHECK(timeouts <= 2);  // they were sent for
}

TEST_CASE(
    "kv: what a node missed goes to it in portions, behind all else, the next when one is on its disk") {
  OneOfThree one({.spread_bytes_max = 1u << 20});
  auto now = Instant{};
  std::map<std::uint64_t, std::size_t> under_way;
  std::size_t delivered = 0, most = 0;
  const auto heed = [&](const proto::KvActions& actions) {
    for (const auto& action : actions)
      if (const auto* send = std::get_if<proto::KvSend>(&action); send != nullptr && send->bulk) {
        const auto& write = std::get<proto::KvWrite>(send->message);
        CHECK(send->to == NodeId("c"));
        under_way[write.id] = bytes_of(write.record);
      }
    std::size_t bytes = 0;
    for (const auto& [id, size] : under_way) bytes += size;
    most = std::max(most, bytes);
  };
  heed(one.kv.on_peer(now, NodeId("c"), false));
  for (std::uint64_t i = 1; i <= 40; ++i)
    heed(one.kv.on_request(now, WallTime{}, i,
                           {.verb = proto::KvVerb::put,
                            .key = {"default", "key " + std::to_string(i)},
                            .value = Bytes(100'000, 1)}));
  CHECK(under_way.empty());
  heed(one.kv.on_peer(now, NodeId("c"), true));
  for (; now < Instant{} + 4s; now += 10ms) {
    heed(one.kv.on_time(now, WallTime{}));
    if ((now - Instant{}) % 50ms != 0ms || under_way.empty()) continue;
    const auto id = under_way.begin()->first;
    under_way.erase(under_way.begin());
    ++delivered;
    heed(one.kv.on_message(now, WallTime{}, NodeId("c"), proto::KvWriteReply{id, proto::KvStatus::ok, true}));
  }
  CHECK(delivered >= 40);
  CHECK(most <= (1u << 20) + 100'000);
  CHECK(most > 900'000);
}

TEST_CASE(
    "kv: in a comparison what the other wants goes to it in portions, the next when one is on its disk") {
  OneOfThree one;
  std::vector<std::uint64_t> positions;
  for (int i = 0; i < 12; ++i) {
    const proto::KvKey key{"default", "key " + std::to_string(i)};
    proto::KvRecord record;
    record.put({}, {{1, 1}, 1}, {.data = Bytes(100'000, 1)});
    positions.push_back(proto::kv_position(key));
    REQUIRE(one.storage.write({positions.back(), key, proto::fingerprint(key, record)}, record));
  }
  std::optional<proto::KvHello> own;
  std::optional<proto::KvSyncAsk> ask;
  std::optional<proto::KvSyncLeaf> leaf;
  std::vector<proto::KvSyncRecords> sent;
  auto now = Instant{};
  const auto heed = [&](const proto::KvActions& actions) {
    for (const auto& action : actions)
      if (const auto* send = std::get_if<proto::KvSend>(&action)) {
        if (const auto* m = std::get_if<proto::KvHello>(&send->message)) own = *m;
        if (const auto* m = std::get_if<proto::KvSyncAsk>(&send->message)) ask = *m;
        if (const auto* m = std::get_if<proto::KvSyncLeaf>(&send->message)) leaf = *m;
        if (const auto* m = std::get_if<proto::KvSyncRecords>(&send->message)) sent.push_back(*m);
      }
  };
  const NodeId b("b");
  const auto hear = [&](const proto::KvMessage& m) { heed(one.kv.on_message(now, WallTime{}, b, m)); };
  for (const auto* id : {"b", "c"}) heed(one.kv.on_peer(now, NodeId(id), false));
  for (const auto* id : {"b", "c"}) heed(one.kv.on_peer(now, NodeId(id), true));
  REQUIRE(own);
  own->life = 7;
  own->asks = own->tells = false;
  hear(*own);
  for (const Instant end = now + 2s; now < end && !ask; now += 10ms) heed(one.kv.on_time(now, WallTime{}));
  REQUIRE(ask);
  proto::KvSyncDiffer differ{
      .session = ask->session, .life = 7, .status = proto::KvStatus::ok, .branches = {}};
  differ.branches.push_back({0, std::vector<std::uint64_t>(proto::kKvBranches, 1)});
  hear(differ);
  REQUIRE(leaf);
  hear(proto::KvSyncRecords{
      .session = leaf->session, .ring = leaf->ring, .leaf = leaf->leaf, .entries = {}, .wanted = positions});
  std::size_t records = 0;
  for (std::size_t portion = 0; records < positions.size(); ++portion) {
    REQUIRE(sent.size() == portion + 1);
    CHECK(sent.back().entries.size() <= 2);
    records += sent.back().entries.size();
    hear(proto::KvSyncTaken{ask->session, leaf->leaf});
  }
  CHECK(records == positions.size());
}

TEST_CASE("kv: one seed is one course of events") {
  CHECK(run({.seed = 3, .duration = 10s}).trace == run({.seed = 3, .duration = 10s}).trace);
}

}  // namespace cluster::sim
