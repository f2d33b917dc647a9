// One node of the key-value store, and what it makes of messages.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/sim/kv_cluster.hpp"

namespace cluster::sim {
namespace {

proto::KvConfig as_a(proto::KvConfig config) {
  config.self = NodeId("a");
  config.boot = {1, 1};
  config.ring_rest = {};
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
  for (const auto& action : kv.on_synced(Instant{}, ticket, {}))
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
  proto::Kv kv({.self = NodeId("a"), .boot = {1, 1}, .ring_rest = {}, .operation_bytes_max = 256u << 20},
               storage, Rng(1));
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

}  // namespace cluster::sim
