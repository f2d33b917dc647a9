#include "cluster/proto/ring_state.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "cluster/base/rng.hpp"
#include "cluster/wire/codec.hpp"
#include "ring_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::testing;

namespace {

/// Random edits at random replicas that now and then hear of each other. Keeps every state that ever was.
struct History {
  explicit History(std::uint64_t seed) : rng(seed) {
    for (const char* id : {"a", "b", "c", "d"}) replicas.push_back(state_of(id));
    for (int step = 0; step < 60; ++step) {
      wall += std::chrono::microseconds(rng.between(-300'000, 500'000));  // clocks also run backwards
      auto& replica = pick();
      switch (rng.below(6)) {
        case 0:
          (void)replica.insert(member(), endpoint(), weight(), wall);
          break;
        case 1:
          replica.remove(member(), wall);
          break;
        case 2:
          (void)replica.update(member(), endpoint(), {}, wall);
          break;
        case 3:
          (void)replica.update(member(), {}, weight(), wall);
          break;
        default:
          pull(replica, pick(), wall);
          break;
      }
      for (auto& delta : replica.deltas_since({})) deltas.push_back(std::move(delta));
    }
  }
  RingState& pick() { return replicas[static_cast<std::size_t>(rng.below(replicas.size()))]; }
  NodeId member() { return NodeId("m" + std::to_string(rng.below(4))); }
  Endpoint endpoint() { return {"h", static_cast<std::uint16_t>(rng.between(1, 5))}; }
  std::uint32_t weight() { return static_cast<std::uint32_t>(rng.between(1, 5)); }

  Rng rng;
  WallTime wall = kStart;
  std::vector<RingState> replicas{};
  std::vector<RingDelta> deltas{};
};

/// The slow and obvious merge: of all registers ever seen, the greatest of each field.
std::vector<MemberView> oracle(const std::vector<RingDelta>& deltas, const RingState& observer) {
  struct Greatest {
    Presence presence;
    std::tuple<WallTime, WallTime, std::string, std::uint64_t, std::uint32_t> weight;
    std::tuple<WallTime, Boot, WallTime, std::string, std::uint64_t, Endpoint> endpoint;
  };
  std::map<NodeId, Greatest> all;
  const auto add = [&](const RingMember& m) {
    auto& greatest = all[m.id];
    const auto key = [](const Presence& p) {
      return std::tuple(p.born, p.removed, p.changed_at, p.editor.str(), p.count);
    };
    if (key(m.presence) > key(greatest.presence)) greatest.presence = m.presence;
    const auto& w = m.weight;
    greatest.weight =
        std::max(greatest.weight, std::tuple(w.born, w.changed_at, w.editor.str(), w.count, w.value));
    const auto& e = m.endpoint;
    greatest.endpoint = std::max(greatest.endpoint,
                                 std::tuple(e.born, e.boot, e.changed_at, e.editor.str(), e.count, e.value));
  };
  for (const auto& delta : deltas)
    for (const auto& member : delta.members) add(member);
  add(*observer.find(observer.self()));
  std::vector<MemberView> views;
  for (const auto& [id, greatest] : all)
    if (!greatest.presence.removed)
      views.push_back(
          {id, std::get<5>(greatest.endpoint), std::get<4>(greatest.weight), std::get<1>(greatest.endpoint)});
  return views;
}

}  // namespace

TEST_CASE("ring state: all orders and groupings of merging give one state, the one of the slow merge") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    History history(seed);
    auto deltas = history.deltas;
    auto in_order = state_of("observer");
    for (const auto& delta : deltas) in_order.merge(delta, history.wall);
    CHECK(in_order.members() == oracle(deltas, in_order));

    history.rng.shuffle(deltas);
    auto shuffled = state_of("observer");
    for (const auto& delta : deltas) shuffled.merge(delta, history.wall);
    CHECK(shuffled.hash({}) == in_order.hash({}));

    std::array<RingState, 3> groups{state_of("observer"), state_of("observer"), state_of("observer")};
    for (const auto& delta : deltas)
      groups[static_cast<std::size_t>(history.rng.below(3))].merge(delta, history.wall);
    merge_all(groups[1], groups[2], history.wall);
    merge_all(groups[0], groups[1], history.wall);
    CHECK(groups[0].hash({}) == in_order.hash({}));

    const auto version = in_order.version();
    for (const auto& delta : deltas) CHECK(in_order.merge(delta, history.wall).changed.empty());
    CHECK(in_order.version() == version);
  }
}

TEST_CASE(
    "ring state: replicas that pull from each other agree, clocks and all, and then have nothing to send") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    History history(seed);
    auto& all = history.replicas;
    for (int round = 0; round < 3; ++round)
      for (auto& to : all)
        for (auto& from : all)
          if (&to != &from) pull(to, from, history.wall);
    for (auto& replica : all) {
      CHECK(replica.hash({}) == all[0].hash({}));
      CHECK(replica.clock() == all[0].clock());
      CHECK(replica.deltas_since(all[0].clock_entries()).empty());
    }
  }
}

TEST_CASE(
    "ring state: who collected a tombstone and who did not stay equal, whatever old states still come") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    History history(seed);
    auto& all = history.replicas;
    for (int round = 0; round < 3; ++round)
      for (auto& to : all)
        for (auto& from : all)
          if (&to != &from) pull(to, from, history.wall);
    auto& collector = all[0];
    auto keeper = collector;
    const auto later = history.wall + std::chrono::hours(26);
    for (const auto& replica : all) collector.hear_equal(replica.self());
    for (const auto& view : collector.members()) collector.hear_equal(view.id);
    const auto tombstones = collector.record_count() - collector.present_count();
    CHECK(collector.collect(later) == tombstones);
    CHECK(collector.record_count() == collector.present_count());
    const auto horizon = RingState::horizon(later);
    CHECK(collector.hash(horizon) == keeper.hash(horizon));

    history.rng.shuffle(history.deltas);  // a removed node that was away for a day and a bit
    for (const auto& delta : history.deltas) {
      collector.merge(delta, later);
      keeper.merge(delta, later);
    }
    CHECK(collector.members() == keeper.members());
    CHECK(collector.hash(horizon) == keeper.hash(horizon));
  }
}

TEST_CASE(
    "ring state: a tombstone is collected after a day, and only when every present member is known to have "
    "it") {
  auto a = state_of("a"), b = state_of("b");
  REQUIRE(a.insert("x", kPlace, 1, kStart));
  pull(a, b, kStart);
  a.remove("x", kStart);
  const auto due = kStart + RingState::kTombstoneAge + RingState::kClockSkewMax + 1s;
  CHECK(a.collect(due) == 0);  // b has not shown that it has it
  a.hear_clock("b", b.clock_entries(), {}, due);
  CHECK(a.collect(due) == 0);
  pull(b, a, kStart);
  a.hear_clock("b", b.clock_entries(), {}, due);
  CHECK(a.collect(due - 2s) == 0);
  CHECK(a.collect(due) == 1);
  CHECK(a.find("x") == nullptr);
}

TEST_CASE("ring state: a removal beats every edit of its life, and only a later insert begins another") {
  auto a = state_of("a"), b = state_of("b");
  REQUIRE(a.insert("x", kPlace, 5, kStart));
  pull(b, a, kStart);
  a.remove("x", kStart);
  REQUIRE(b.update("x", Endpoint{"later", 1}, 9, kStart + 1h));  // later, and without knowing
  pull(a, b, kStart + 1h);
  pull(b, a, kStart + 1h);
  CHECK_FALSE(a.present("x"));
  CHECK_FALSE(b.present("x"));
  CHECK(b.update("x", {}, 9, kStart + 1h).error().code() == Errc::not_found);
  CHECK(b.update("x", {}, 9, kStart + 1h).error().message() == "'x' is not defined in this ring.");
  REQUIRE(b.insert("x", kPlace, 7, kStart));  // by a clock that is an hour behind
  pull(a, b, kStart + 1h);
  CHECK(a.present("x"));
  CHECK(a.members().back() == MemberView{"x", kPlace, 7});
}

TEST_CASE("ring state: an insert has no effect on a present member") {
  auto a = state_of("a");
  CHECK(a.insert("x", kPlace, 5, kStart).value() == 1);
  CHECK(a.insert("x", Endpoint{"other", 9}, 6, kStart).value() == 0);
  CHECK(a.members().back() == MemberView{"x", kPlace, 5});
}

TEST_CASE("ring state: hybrid times and counts grow although the clock runs backwards") {
  auto a = state_of("a");
  auto wall = kStart;
  Presence last = a.find("a")->presence;
  for (int i = 0; i < 20; ++i) {
    wall -= 1min;
    REQUIRE(a.insert(NodeId("m" + std::to_string(i)), kPlace, 1, wall));
    const auto now = a.find(NodeId("m" + std::to_string(i)))->presence;
    CHECK(now.changed_at > last.changed_at);
    CHECK(now.count > last.count);
    last = now;
  }
}

TEST_CASE("ring state: the same dot with another value shows that two processes have one id") {
  auto a = state_of("a"), twin = state_of("a"), b = state_of("b");
  pull(b, a, kStart);
  auto other = twin.statement("a");
  other.members[0].weight.value = 77;
  const auto report = b.merge(other, kStart);
  REQUIRE(report.duplicate_editors.size() == 1);
  CHECK(report.duplicate_editors[0] == NodeId("a"));
}

TEST_CASE(
    "ring state: a part of a delta that is lost leaves a gap, which shows and does not count as known") {
  auto a = state_of("a"), b = state_of("b");
  pull(a, b, kStart);
  for (int i = 0; i < 2'000; ++i)
    REQUIRE(a.insert(NodeId(std::string(60, 'x') + std::to_string(i)), kPlace, 1, kStart));
  auto parts = a.deltas_since({});
  REQUIRE(parts.size() > 10);
  for (const auto& part : parts) {
    CHECK(wire::encode(part).size() <= 32 * 1024);
    CHECK(check(part).has_value());
  }
  const auto lost = parts[3];
  parts.erase(parts.begin() + 3);
  bool gap = false;
  for (const auto& part : parts) gap = b.merge(part, kStart).gap || gap;
  CHECK(gap);
  CHECK(b.known_count("a") < a.known_count("a"));
  for (const auto& part : a.deltas_since(b.clock_entries())) CHECK_FALSE(b.merge(part, kStart).gap);
  CHECK(b.hash({}) == a.hash({}));
  CHECK(b.clock() == a.clock());

  auto c = state_of("c");  // the parts in reverse: all is merged, and what does not follow yet is asked for
  auto reversed = a.deltas_since({});
  std::ranges::reverse(reversed);
  for (const auto& part : reversed) c.merge(part, kStart);
  CHECK(c.present_count() == a.present_count() + 1);
}

TEST_CASE(
    "ring state: a restart without state asks for what its earlier process edited, and reissues under a "
    "clock set back") {
  auto b = state_of("b");
  std::optional<RingState> a = state_of("a", kStart);
  REQUIRE(a->insert("old", kPlace, 3, kStart + 1min));
  pull(b, *a, kStart);
  pull(*a, b, kStart);
  pull(b, *a, kStart);
  a.emplace(Self{.id = "a", .boot = {1, 2}, .endpoint = kPlace}, kStart - 2min);
  REQUIRE(a->insert("new", kPlace, 4, kStart - 2min));
  CHECK(a->find("new")->presence.count < b.known_count("a"));  // would pass for known at b
  pull(*a, b, kStart - 2min);
  CHECK(a->present("old"));
  CHECK(a->find("new")->presence.count > b.known_count("a"));
  pull(b, *a, kStart);
  CHECK(b.present("new"));
  CHECK(b.hash({}) == a->hash({}));
  CHECK(b.clock() == a->clock());
}

TEST_CASE("ring state: a member's own newer boot wins over an update, whichever came later") {
  auto b = state_of("b");
  std::optional<RingState> a = state_of("a");
  pull(b, *a, kStart);
  REQUIRE(b.update("a", Endpoint{"elsewhere", 1}, {}, kStart + 1h));
  a.emplace(Self{.id = "a", .boot = {2, 2}, .endpoint = kPlace}, kStart + 1min);
  pull(*a, b, kStart + 1min);
  pull(b, *a, kStart + 1h);
  CHECK(b.members()[0].endpoint == kPlace);
  REQUIRE(b.update("a", Endpoint{"elsewhere", 1}, {}, kStart + 1h));  // of the present boot: that holds
  pull(*a, b, kStart + 1h);
  CHECK(a->members()[0].endpoint == Endpoint{"elsewhere", 1});
}

TEST_CASE("ring state: the hash ring has the members with their weights") {
  auto a = state_of("a");
  REQUIRE(a.insert("b", kPlace, 7, kStart));
  REQUIRE(a.insert("c", kPlace, 9, kStart));
  a.remove("c", kStart);
  const auto ring = a.chash({.rfactor = 3, .pfactor = 2});
  CHECK(ring.weight("a") == 128);
  CHECK(ring.weight("b") == 7);
  CHECK_FALSE(ring.contains("c"));
  CHECK(ring.size() == 135);
}

TEST_CASE("ring state: weights that come to more than a ring has room for are divided, and all keep a part") {
  auto a = state_of("a");
  for (int i = 0; i < 64; ++i)
    REQUIRE(a.insert(NodeId("n" + std::to_string(i)), kPlace, CHash::kWeightMax, kStart));
  constexpr CHashConfig kFast{.policy = HashPolicy::xxh3};
  const auto before = a.chash(kFast);
  CHECK(before.size() <= RingState::kPointsMax + a.present_count());
  CHECK(before.node_count() == a.present_count());
  CHECK(before.weight("n0") == CHash::kWeightMax / 3);
  a.remove("n0", kStart);
  REQUIRE(a.update("n1", {}, 1, kStart));
  const auto after = a.chash(before);
  CHECK(after.weight("n1") == 1);
  CHECK(after.weight("n2") == CHash::kWeightMax / 2);
}

TEST_CASE("ring state: a node that drains has no part in the hash ring, made anew or brought up to date") {
  auto a = state_of("a");
  REQUIRE(a.insert("b", kPlace, 7, kStart));
  const auto before = a.chash(CHashConfig());
  CHECK_FALSE(a.update("b", {}, 0, kStart));
  REQUIRE(a.update("a", {}, 0, kStart));
  CHECK(a.chash(CHashConfig()).size() == 7);
  CHECK(a.chash(before) == a.chash(CHashConfig()));
  CHECK(a.members().size() == 2);
  const auto drained = a.chash(before);
  REQUIRE(a.update("a", {}, 3, kStart));
  CHECK(a.chash(drained).size() == 10);
}

TEST_CASE("ring state: a hash ring brought up to date is the one that would be made anew") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    for (const auto policy : {HashPolicy::sha256, HashPolicy::xxh3}) {
      CAPTURE(seed);
      Rng rng(seed);
      auto a = state_of("a");
      CHash hash({.rfactor = 3, .pfactor = 2, .policy = policy});
      for (int round = 0; round < 30; ++round) {
        for (auto edits = rng.below(12); edits > 0; --edits) {
          const NodeId id("n" + std::to_string(rng.below(24)));
          const Endpoint place{"host", static_cast<std::uint16_t>(1 + rng.below(3))};
          const auto weight = static_cast<std::uint32_t>(1 + rng.below(9));
          const auto what = rng.below(3);
          if (what == 0)
            a.remove(id, kStart);
          else if (what == 1 && a.present(id))
            REQUIRE(a.update(id, place, weight, kStart));
          else
            REQUIRE(a.insert(id, place, weight, kStart));
        }
        hash = a.chash(hash);
        REQUIRE(hash == a.chash(hash.config()));
        REQUIRE(hash.node_count() == a.present_count());
      }
    }
}

TEST_CASE("ring state: editors are known up to a count also where clocks travel in parts") {
  auto a = state_of("a"), b = state_of("b"), c = state_of("c");
  pull(a, b, kStart);
  pull(a, c, kStart);
  pull(a, b, kStart);
  const auto deltas = a.deltas_since({}, {.after = "a", .through = "b"});
  REQUIRE(deltas.size() == 1);
  for (const auto& member : deltas[0].members) CHECK(member.id == NodeId("b"));
  CHECK(EditorInterval{}.contains("a"));
  CHECK(EditorInterval{"a", "b"}.contains("b"));
  CHECK_FALSE(EditorInterval{"a", "b"}.contains("a"));
  CHECK_FALSE(EditorInterval{"a", "b"}.contains("c"));
}

TEST_CASE(
    "ring state: the echo of its own first edit does not keep a restarted node from vouching for its edits") {
  auto a = state_of("a"), b = state_of("b");
  pull(b, a, kStart);
  pull(a, b, kStart);
  REQUIRE(a.insert("x", kPlace, 5, kStart + 1s));  // b never heard of this one before the restart
  RingState again(a.image(), {.id = "a", .boot = {2, 1}, .endpoint = kPlace}, kStart + 10s);
  for (const auto& delta : again.own_edits_since(again.issued() - 1)) CHECK(b.merge(delta, kStart + 10s).gap);
  merge_all(again, b, kStart + 11s);  // the echo comes before b's clock
  pull(again, b, kStart + 11s);
  CHECK(again.known_count("a") == again.issued());
  pull(b, again, kStart + 12s);
  CHECK(b.present("x"));
  CHECK(b.clock_hash() == again.clock_hash());
  CHECK(b.hash({}) == again.hash({}));
}
