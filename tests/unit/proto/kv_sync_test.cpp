// The comparison of two nodes, message by message.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "actions.hpp"
#include "cluster/proto/kv.hpp"
#include "on_memory.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

constexpr WallTime kSyncBegin{std::chrono::hours(480'000)};

constexpr std::uint64_t kLife = 7;

/// Reads none of its records.
class SpoiltStorage final : public cluster::testing::OnMemory<> {
 public:
  Result<KvOutline> outline(const KvKey&) const override { return Error(Errc::corrupt, "spoilt"); }
};

/// Node foo in a ring with bar, which the test speaks for.
template <class Storage = KvMemory>
struct Compared {
  Storage memory{};
  Kv kv{{.self = "foo", .boot = {1, 2}, .ring_rest = {}}, memory, Rng(1)};
  Instant now{};
  KvHello hello{};  // of bar

  std::vector<KvHello> enter() {
    CHash ring;
    for (const auto* id : {"foo", "bar"}) REQUIRE(ring.insert({.id = id}, 8));
    static_cast<void>(kv.on_start(now, kSyncBegin));
    return sent<KvHello>(kv.on_ring(now, "ring", {1, 1}, ring));
  }
  void begin() {
    const auto hellos = enter();
    REQUIRE(!hellos.empty());
    hello = hellos.front();
    hello.life = kLife;
    hello.asks = hello.tells = false;
    static_cast<void>(kv.on_message(now, kSyncBegin, "bar", hello));
  }
  /// The question that begins the next comparison.
  KvSyncAsk next_ask() {
    std::vector<KvSyncAsk> asks;
    for (const auto end = now + 30s; asks.empty() && now < end; now += 10ms)
      asks = sent<KvSyncAsk>(kv.on_time(now, kSyncBegin));
    REQUIRE(asks.size() == 1);
    return asks.front();
  }
  template <class Message>
  static std::vector<Message> sent(const KvActions& actions) {
    std::vector<Message> messages;
    for (auto& [to, message] : cluster::testing::sent<Message, KvSend>(actions)) messages.push_back(message);
    return messages;
  }
  template <class Answer>
  std::vector<Answer> say(KvMessage message) {
    return sent<Answer>(kv.on_message(now, kSyncBegin, "bar", std::move(message)));
  }
};

}  // namespace

TEST_CASE(
    "kv sync: keys that share a position all go to who lacks them, though a portion has no room for two") {
  Compared<> foo;
  constexpr std::uint16_t kLeaf = kKvBranches + 6;
  const auto position = KvTrees::begin_of(kLeaf) + 5;
  const std::vector<std::string> names{"one", "three", "two"};
  for (const auto& name : names) {
    const KvKey key{"default", name};
    KvRecord record;
    record.put({}, {{1, 1}, 1}, {.data = Bytes(200u << 10, 1)});
    REQUIRE(foo.memory.write({position, key, fingerprint(key, record)}, record));
  }
  foo.begin();
  const auto session = foo.next_ask().session;
  const auto leaves = foo.say<KvSyncLeaf>(KvSyncDiffer{
      .session = session, .life = kLife, .branches = {{1, std::vector<std::uint64_t>(kKvBranches)}}});
  REQUIRE(leaves.size() == 1);
  CHECK(leaves[0].leaf == kLeaf);
  CHECK(leaves[0].held.size() == names.size());

  std::vector<std::string> came;
  auto portions = foo.say<KvSyncRecords>(KvSyncRecords{.session = session,
                                                       .ring = leaves[0].ring,
                                                       .leaf = kLeaf,
                                                       .entries = {},
                                                       .wanted = {position},
                                                       .end = true});
  while (!portions.empty() && came.size() <= names.size()) {
    REQUIRE(portions.size() == 1);
    for (const auto& entry : portions[0].entries) came.push_back(entry.key.key);
    portions = foo.say<KvSyncRecords>(KvSyncTaken{session, kLeaf});
  }
  CHECK(came == names);
  CHECK(foo.kv.counters().sessions_completed == 1);
}

TEST_CASE("kv sync: a record that cannot be read here does not keep the others from being compared") {
  Compared<SpoiltStorage> foo;
  foo.begin();
  const auto session = foo.next_ask().session;
  std::vector<std::uint64_t> differ(kKvBranches);
  differ[0] = differ[1] = 1;
  auto leaves =
      foo.say<KvSyncLeaf>(KvSyncDiffer{.session = session, .life = kLife, .branches = {{0, differ}}});
  REQUIRE(leaves.size() == 1);
  const KvKey key{"default", "key"};
  KvRecord record;
  record.put({}, {{1, 1}, 1}, {.data = {1}});
  leaves = foo.say<KvSyncLeaf>(KvSyncRecords{.session = session,
                                             .ring = leaves[0].ring,
                                             .leaf = leaves[0].leaf,
                                             .entries = {{key, record}},
                                             .wanted = {},
                                             .end = true});
  REQUIRE(leaves.size() == 1);  // the next one
  foo.say<KvSyncLeaf>(KvSyncRecords{.session = session,
                                    .ring = leaves[0].ring,
                                    .leaf = leaves[0].leaf,
                                    .entries = {},
                                    .wanted = {},
                                    .end = true});
  CHECK(foo.kv.counters().sessions_completed == 1);
  const auto taken = foo.say<KvSyncTaken>(KvSyncRecords{
      .session = 5, .ring = leaves[0].ring, .leaf = 0, .entries = {{key, record}}, .wanted = {}});
  CHECK(taken.size() == 1);
}

TEST_CASE("kv sync: a member whose disk failed is greeted at times, not with each comparison") {
  Compared<> foo;
  foo.enter();
  foo.say<KvHello>(KvHello{.life = kLife, .bases = {}, .history = {}, .failed = true});
  std::size_t greeted = 0;
  for (const auto end = foo.now + 60s; foo.now < end; foo.now += 10ms)
    greeted += Compared<>::sent<KvHello>(foo.kv.on_time(foo.now, kSyncBegin)).size();
  CHECK(greeted >= 3);
  CHECK(greeted <= 8);
}

TEST_CASE(
    "kv sync: a late word of a node's earlier process does not keep who compares with it from settling") {
  Compared<> foo;
  foo.begin();
  foo.hello.verified = foo.hello.settled = foo.hello.tells = true;
  foo.hello.life = kLife - 1;
  foo.say<KvHello>(foo.hello);
  bool asked = false;
  for (int i = 0; i < 3 && !foo.kv.settled(); ++i) {
    const auto hellos =
        foo.say<KvHello>(KvSyncDiffer{.session = foo.next_ask().session, .life = kLife, .branches = {}});
    for (const auto& hello : hellos)
      if (hello.asks) {
        asked = true;
        foo.hello.life = kLife;
        foo.say<KvHello>(foo.hello);
      }
  }
  CHECK(asked);
  CHECK(foo.kv.settled());
}

TEST_CASE("kv sync: who leaves asks who could not be reached, or is heard of late, whether it has settled") {
  KvMemory memory;
  Kv foo({.self = "foo", .boot = {1, 2}, .ring_rest = {}}, memory, Rng(1));
  CHash ring;
  REQUIRE(ring.insert({.id = "bar"}, 8));
  Instant now{};
  static_cast<void>(foo.on_start(now, kSyncBegin));
  const auto hellos = Compared<>::sent<KvHello>(foo.on_ring(now, "ring", {1, 1}, ring, {"foo"}));
  REQUIRE(!hellos.empty());
  auto hello = hellos.front();
  hello.life = kLife;
  hello.verified = hello.tells = true;
  hello.settled = hello.asks = false;
  static_cast<void>(foo.on_message(now, kSyncBegin, "bar", hello));
  const auto asks_within = [&](Duration time) {
    bool asked = false;
    for (const auto end = now + time; now < end; now += 10ms)
      for (const auto& m : Compared<>::sent<KvHello>(foo.on_time(now, kSyncBegin))) asked = asked || m.asks;
    return asked;
  };
  CHECK(asks_within(2s));
  CHECK(foo.settled());
  static_cast<void>(foo.on_peer(now, "bar", false));
  static_cast<void>(asks_within(2s));
  CHECK_FALSE(asks_within(2s));
  static_cast<void>(foo.on_peer(now, "bar", true));
  CHECK(asks_within(2s));
  hello.settled = true;  // its word of that had been lost
  static_cast<void>(foo.on_message(now, kSyncBegin, "bar", hello));
  static_cast<void>(asks_within(2s));
  CHECK(foo.has_drained());
  CHECK_FALSE(asks_within(2s));
  hello.settled = false;  // a late word, of before
  static_cast<void>(foo.on_message(now, kSyncBegin, "bar", hello));
  CHECK(asks_within(2s));
  int asked = 0;  // of who answers each time that it has not settled
  for (const auto end = now + 10s; now < end; now += 10ms)
    for (const auto& m : Compared<>::sent<KvHello>(foo.on_time(now, kSyncBegin)))
      if (m.asks && ++asked > 0) static_cast<void>(foo.on_message(now, kSyncBegin, "bar", hello));
  CHECK(asked >= 15);
  CHECK(asked <= 25);
}
