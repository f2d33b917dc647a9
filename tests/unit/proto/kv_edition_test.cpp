// Editions of the ring never come back, though the ring forgets who was removed.
#include <doctest/doctest.h>

#include <optional>

#include "actions.hpp"
#include "cluster/proto/kv.hpp"
#include "cluster/proto/ring_state.hpp"
#include "kv_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using cluster::proto::test::ring_of;

namespace {

constexpr WallTime kEditionBegin{std::chrono::hours(480'000)};

/// The first hello among the actions.
std::optional<KvHello> hello_in(const KvActions& actions) {
  const auto hellos = cluster::testing::sent<KvHello, KvSend>(actions);
  return hellos.empty() ? std::nullopt : std::optional(hellos.front().second);
}

struct Store {
  explicit Store(const char* id)
      : kv({.self = id, .boot = {1, 2}, .bucket = {}, .buckets = {}}, memory, Rng(1)) {
    static_cast<void>(kv.on_start({}, kEditionBegin));
  }
  /// What it says when the ring has rested.
  std::optional<KvHello> enter(const KvEdition& edition) {
    const auto hello = hello_in(kv.on_ring(now, "ring", edition, ring_of({"foo", "bar"})));
    if (hello) return hello;
    now += KvConfig{}.ring_rest;
    return hello_in(kv.on_time(now, kEditionBegin));
  }
  Instant now{};
  KvMemory memory;
  Kv kv;
};

}  // namespace

TEST_CASE("kv edition: a member that came and went leaves another one, until its tombstone is a day old") {
  RingState ring({.id = "foo", .boot = {1, 1}, .endpoint = {"h", 1}}, kEditionBegin);
  const auto alone = edition_of(ring, kEditionBegin);
  CHECK(alone.until == WallTime::max());
  REQUIRE(ring.insert("bar", {"h", 2}, 8, kEditionBegin + 1s));
  const auto both = edition_of(ring, kEditionBegin + 1s);
  CHECK(both.edition.time > alone.edition.time);
  REQUIRE(ring.remove("bar", kEditionBegin + 2s) == 1);
  const auto gone = edition_of(ring, kEditionBegin + 2s);
  CHECK(gone.edition.time > both.edition.time);
  CHECK(gone.edition.hash != alone.edition.hash);
  CHECK(edition_of(ring, gone.until - 1us).edition == gone.edition);
  const auto old = edition_of(ring, gone.until);
  CHECK(old.edition.hash == alone.edition.hash);
  CHECK(old.edition.time == gone.edition.time);
  REQUIRE(ring.collect(kEditionBegin + 48h) == 1);
  CHECK(edition_of(ring, kEditionBegin + 48h).edition ==
        alone.edition);  // which is why the store keeps the time
}

TEST_CASE("kv edition: what the ring forgot takes no store back to an earlier one, nor does a restart") {
  Store foo("foo");
  CHECK(foo.enter({.time = 20, .hash = 7}));
  CHECK(!foo.enter({.time = 10, .hash = 7}));
  const auto later = foo.enter({.time = 10, .hash = 8});
  REQUIRE(later);
  CHECK(later->edition == KvEdition{20, 8});
  Kv again({.self = "foo", .boot = {2, 3}, .bucket = {}, .buckets = {}}, foo.memory, Rng(2));
  static_cast<void>(again.on_start({}, kEditionBegin));
  const auto hello = hello_in(again.on_ring({}, "ring", {.time = 10, .hash = 8}, ring_of({"foo", "bar"})));
  REQUIRE(hello);
  CHECK(hello->edition == KvEdition{20, 8});
}

TEST_CASE("kv edition: who never heard of the removal takes the time from a member with the same edits") {
  Store foo("foo");
  Store bar("bar");
  const auto of_foo = foo.enter({.time = 20, .hash = 7});
  const auto of_bar = bar.enter({.time = 10, .hash = 7});
  REQUIRE(of_foo);
  REQUIRE(of_bar);
  CHECK(of_foo->ring != of_bar->ring);
  const auto taken = hello_in(bar.kv.on_message(bar.now, kEditionBegin, "foo", *of_foo));
  CHECK(bar.kv.replicas({"default", "key"}).view == foo.kv.replicas({"default", "key"}).view);
  REQUIRE(taken);

  auto lie = *of_foo;
  SUBCASE("but not from one with other edits") { lie.edition.hash = 8; }
  SUBCASE("and not a time that nobody's clock can have shown") {}
  lie.edition.time = static_cast<std::uint64_t>(micros(kEditionBegin + 3h));
  static_cast<void>(bar.kv.on_message(bar.now, kEditionBegin, "foo", lie));
  CHECK(bar.kv.replicas({"default", "key"}).view == foo.kv.replicas({"default", "key"}).view);
}

TEST_CASE("kv edition: who was away hears of rings that are no later by their time than its own last one") {
  KvMemory memory;
  Kv foo({.self = "foo", .boot = {1, 2}, .bucket = {.n = 1, .r = 1, .w = 1}, .buckets = {}}, memory, Rng(1));
  static_cast<void>(foo.on_start({}, kEditionBegin));
  // Its base: it has all keys.
  static_cast<void>(foo.on_ring({}, "ring", {10, 1}, ring_of({"foo"})));
  REQUIRE(foo.progress().settled);

  const KvRing base{{10, 1}, {{"foo", 8}}};
  const KvRing joined{{10, 2}, {{"bar", 8}, {"baz", 8}, {"foo", 8}, {"qux", 8}}};  // by itself
  const KvRing other{{10, 3}, {{"foo", 8}}};
  struct Row {
    const char* what;
    std::vector<KvRing> history;
    bool gap;
    bool complete;
  };
  std::vector<Row> rows{{"no other ring", {base}, false, true},
                        {"no other ring since the one that begins what is told", {base}, true, true},
                        {"one with a member more", {base, joined}, false, false},
                        {"the same, told by one that was not in the base", {joined}, false, false},
                        {"there may have been one between the base and the first told", {other}, true, false},
                        {"one before the base", {joined, base}, false, true}};
  std::optional<Row> row;
  for (std::size_t i = 0; i < rows.size(); ++i) SUBCASE(rows[i].what) {
      row = rows[i];
    }
  if (!row) return;

  auto now = Instant{} + KvConfig{}.ring_rest;
  static_cast<void>(foo.on_ring({}, "ring", {20, 4}, ring_of({"foo", "bar", "baz"})));
  auto hello = hello_in(foo.on_time(now, kEditionBegin));
  REQUIRE(hello);
  hello->asks = hello->settled = false;
  hello->verified = hello->tells = true;
  hello->bases = {joined};
  hello->history = row->history;
  hello->gap = row->gap;
  for (const auto* id : {"bar", "baz"}) {
    static_cast<void>(foo.on_peer(now, id, true));
    static_cast<void>(foo.on_message(now, kEditionBegin, id, *hello));
  }
  for (const auto end = now + 1s; now < end; now += 10ms) static_cast<void>(foo.on_time(now, kEditionBegin));
  CHECK(foo.progress().settled == row->complete);
}

TEST_CASE("kv edition: changes of a moment are entered as one ring, but no change waits for ever") {
  const KvConfig config;
  Store foo("foo");
  CHECK(foo.enter({.time = 1, .hash = 1}));
  const auto view = [&] { return foo.kv.replicas({"default", "key"}).view; };
  const auto first = view();
  std::uint64_t edits = 1;
  const auto change = [&](Duration after) {
    foo.now += after;
    ++edits;
    CHECK(!hello_in(foo.kv.on_ring(foo.now, "ring", {edits, edits}, ring_of({"foo", "bar"}))));
  };
  change(1s);
  for (int i = 0; i < 5; ++i) change(config.ring_rest - 1ms);
  CHECK(!foo.kv.progress().settled);
  CHECK(view() == first);

  SUBCASE("when the ring rests") {
    const auto told = hello_in(foo.kv.on_time(foo.now + config.ring_rest, kEditionBegin));
    REQUIRE(told);
    CHECK(told->edition == KvEdition{edits, edits});
  }
  SUBCASE("nor does an edit that places nothing anew put it off") {
    CHECK(!hello_in(
        foo.kv.on_ring(foo.now + config.ring_rest - 1ms, "ring", {edits, edits}, ring_of({"foo", "bar"}))));
    static_cast<void>(foo.kv.on_time(foo.now + config.ring_rest, kEditionBegin));
    CHECK(view() != first);
  }
  SUBCASE("when it has changed for long enough") {
    const auto until = foo.now - 5 * (config.ring_rest - 1ms) + config.ring_rest_max;
    while (foo.now + config.ring_rest < until) change(config.ring_rest - 1ms);
    CHECK(foo.kv.next_deadline() <= until);
    CHECK(hello_in(foo.kv.on_time(until, kEditionBegin)));
  }
  SUBCASE("not at all when it is again as it was") {
    CHECK(!hello_in(foo.kv.on_ring(foo.now, "ring", {1, 1}, ring_of({"foo", "bar"}))));
    static_cast<void>(foo.kv.on_time(foo.now + config.ring_rest, kEditionBegin));
    CHECK(view() == first);
  }
}

TEST_CASE("kv edition: the more members a ring has, the longer it rests before it is entered") {
  const KvConfig config;
  Store foo("foo");
  CHECK(foo.enter({.time = 1, .hash = 1}));
  const auto view = [&] { return foo.kv.replicas({"default", "key"}).view; };
  const auto first = view();
  CHash ring = ring_of({"foo", "bar"});
  std::uint64_t edits = 1;
  const auto grow = [&](std::size_t members) {
    while (ring.node_count() < members)
      REQUIRE(ring.insert({.id = NodeId("n" + std::to_string(ring.node_count()))}, 8));
    ++edits;
    return foo.kv.on_ring(foo.now, "ring", {edits, edits}, ring);
  };
  static_cast<void>(grow(48));
  for (std::size_t members = 49; members < 53; ++members) {
    foo.now += 4 * config.ring_rest - 1ms;
    static_cast<void>(foo.kv.on_time(foo.now, kEditionBegin));
    static_cast<void>(grow(members));
    CHECK(view() == first);
  }
  foo.now += 4 * config.ring_rest;
  const auto told = hello_in(foo.kv.on_time(foo.now, kEditionBegin));
  REQUIRE(told);
  CHECK(told->edition == KvEdition{edits, edits});
}

TEST_CASE("kv edition: who joins while others do enters their ring once it rests, not one for each of them") {
  Store foo("foo");
  CHash ring = ring_of({"foo"});
  std::optional<KvHello> hello;
  const auto note = [&](const KvActions& actions) {
    CHECK(!hello);
    hello = hello_in(actions);
  };
  for (std::uint64_t i = 1; i <= 20; ++i, foo.now += 50ms) {
    REQUIRE(ring.insert({.id = NodeId("n" + std::to_string(i))}, 8));
    note(foo.kv.on_ring(foo.now, "ring", {1, i}, ring));
    CHECK(!foo.kv.progress().settled);
  }
  CHECK(!hello);
  for (int i = 0; i < 20 && !hello; ++i, foo.now += 50ms) note(foo.kv.on_time(foo.now, kEditionBegin));
  REQUIRE(hello);
  CHECK(hello->edition == KvEdition{1, 20});
  CHECK(hello->history.empty());
  CHECK(hello->bases.empty());
}

TEST_CASE("kv edition: the rings that others tell of, each in bounds, are bounded together") {
  Store foo("foo");
  const auto enter = [&](std::uint64_t edit) {
    static_cast<void>(foo.kv.on_ring(foo.now, "ring", {edit, edit}, ring_of({"foo", "bar", "baz"})));
    foo.now += KvConfig{}.ring_rest;
    return hello_in(foo.kv.on_time(foo.now, kEditionBegin));
  };
  static_cast<void>(foo.kv.on_ring(foo.now, "ring", {1, 1}, ring_of({"foo"})));
  foo.now += 1s;
  static_cast<void>(foo.kv.on_time(foo.now, kEditionBegin));
  REQUIRE(foo.kv.settled());
  auto hello = enter(2);
  REQUIRE(hello);
  REQUIRE(hello->history.size() == 1);
  const auto base = hello->history.front();
  hello->asks = false;
  hello->tells = true;
  hello->verified = true;
  hello->life = 7;
  for (std::uint64_t i = 3; i < 30; ++i) {
    KvRing told{.edition = {i, i}, .members = {}};
    for (int member = 0; member < 4; ++member)
      told.members.push_back(
          {.id = NodeId("n" + std::to_string(i * 10) + std::to_string(member)), .weight = 60'000});
    hello->history = {base, told};
    static_cast<void>(foo.kv.on_message(foo.now, kEditionBegin, "bar", *hello));
  }
  hello = enter(100);
  REQUIRE(hello);
  std::size_t points = 0;
  for (const auto& ring : hello->bases)
    for (const auto& member : ring.members) points += member.weight;
  CHECK(points < 1u << 20);
}
