#include "cluster/proto/detector.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <vector>

#include "actions.hpp"
#include "cluster/proto/ring_records.hpp"
#include "detector_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::test;

namespace {

template <class Message>
auto sent(const DetectorActions& actions) {
  return cluster::testing::sent<Message, DetectorSend>(actions);
}

/// Fires all that is due up to `end`, each at its time.
DetectorActions advance(Detector& detector, Instant end) {
  DetectorActions all;
  while (detector.next_deadline() <= end)
    for (auto& action : detector.on_time(detector.next_deadline())) all.push_back(std::move(action));
  return all;
}
/// The same, with every ping answered at once.
std::vector<NodeId> probed_until(Detector& detector, Instant end) {
  std::vector<NodeId> probed;
  while (detector.next_deadline() <= end) {
    const auto now = detector.next_deadline();
    for (const auto& [to, ping] : sent<SwimPing>(detector.on_time(now))) {
      probed.push_back(to);
      static_cast<void>(detector.on_message({now, kWall}, to, SwimAck{ping.sequence}));
    }
  }
  return probed;
}

}  // namespace

TEST_CASE("detector: the formulas give what the papers say") {
  const DetectorConfig config{};
  struct Limit {
    std::size_t members;
    std::uint32_t expected;  // 4 * ceil(log10(members + 1))
  };
  for (const auto& row : std::array{Limit{1, 4}, Limit{9, 4}, Limit{10, 8}, Limit{99, 8}, Limit{100, 12},
                                    Limit{999, 12}, Limit{1000, 16}}) {
    CAPTURE(row.members);
    CHECK(retransmit_limit(row.members, config) == row.expected);
    CHECK(row.expected ==
          4 * static_cast<std::uint32_t>(std::ceil(std::log10(static_cast<double>(row.members) + 1) - 1e-9)));
  }
  CHECK(confirmations_expected(1, config) == 0);
  CHECK(confirmations_expected(2, config) == 0);
  CHECK(confirmations_expected(3, config) == 1);
  CHECK(confirmations_expected(5, config) == 3);
  CHECK(confirmations_expected(1000, config) == 3);
  // 7 s - 3.5 s * ln(C + 1) / ln(4)
  CHECK(suspicion_timeout(0, 3, config) == 7s);
  CHECK(suspicion_timeout(1, 3, config) == 5'250ms);
  CHECK(std::chrono::round<std::chrono::milliseconds>(suspicion_timeout(2, 3, config)) == 4'226ms);
  CHECK(suspicion_timeout(3, 3, config) == 3'500ms);
  CHECK(suspicion_timeout(9, 3, config) == 3'500ms);
  CHECK(suspicion_timeout(0, 0, config) == 3'500ms);
  CHECK(scaled(500ms, 0) == 500ms);
  CHECK(scaled(500ms, 8) == 4'500ms);
  CHECK(expected_first_detection(2, config) == config.probe_interval);
  const auto limit = 0.5 * std::exp(1.0) / (std::exp(1.0) - 1);
  for (const std::size_t members : {100, 1000, 10'000})
    CHECK(std::chrono::duration<double>(expected_first_detection(members, config)).count() ==
          doctest::Approx(limit).epsilon(0.01));
}

TEST_CASE("detector: with nobody to ask, silence means suspect, then unreachable, each at its stated time") {
  auto detector = make(ring(1), 1, {.probe_jitter = 0});
  Instant first = kNever;
  while (first == kNever) {
    const auto now = detector.next_deadline();
    if (!sent<SwimPing>(detector.on_time(now)).empty()) first = now;
  }
  struct Row {
    const char* when;
    Duration elapsed;
    MemberState expected;
  };
  const std::array rows{Row{"before the interval ends", 499ms, MemberState::alive},
                        Row{"when it ends", 500ms, MemberState::suspect},
                        Row{"before suspicion runs out", 3'999ms, MemberState::suspect},
                        Row{"when it has", 4'000ms, MemberState::unreachable}};
  for (const auto& row : rows) {
    CAPTURE(row.when);
    static_cast<void>(advance(detector, first + row.elapsed));
    CHECK(detector.state_of("b1000") == row.expected);
  }
}

TEST_CASE("detector: each confirmation by another member brings the end of a suspicion nearer, up to K") {
  struct Row {
    std::size_t accusers;
    Duration ends;
  };
  // Of 7 members K is 3; the first accuser is no confirmation, nor is one who says it again, nor a stranger.
  for (const auto& row : std::array{Row{1, 7s}, Row{2, 5'250ms}, Row{4, 3'500ms}, Row{5, 3'500ms}}) {
    CAPTURE(row.accusers);
    auto detector = make(ring(6), 1, {.probe_interval = 1h, .probe_timeout = 1h, .remind_interval = 1h});
    const auto begin = kThen + 1ms;
    for (std::size_t i = 0; i < 2 * row.accusers; ++i)
      static_cast<void>(detector.on_message(
          {begin, kWall}, "b1001",
          SwimGossip{{claim("b1000", MemberState::suspect, 0, NodeId("b" + std::to_string(1001 + i / 2))),
                      claim("b1000", MemberState::suspect, 0, "stranger"),
                      claim("b1000", MemberState::suspect, 0, "b1001")}}));
    static_cast<void>(advance(detector, begin + row.ends - 1ms));
    CHECK(detector.state_of("b1000") == MemberState::suspect);
    static_cast<void>(advance(detector, begin + row.ends + 1ms));
    CHECK(detector.state_of("b1000") == MemberState::unreachable);
  }
}

TEST_CASE("detector: claims heard in any order, and any number of times, lead to the same") {
  Rng rng(1);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    SwimClaims claims;
    for (std::uint64_t i = 0, count = 1 + rng.below(12); i < count; ++i)
      claims.push_back(claim(rng.chance(0.5) ? "b1000" : "b1002", static_cast<MemberState>(rng.below(4)),
                             rng.below(3), "b1001", {5 + rng.below(2), 1 + rng.below(2)}));
    std::optional<std::vector<MemberHealth>> first;
    for (int order = 0; order < 5; ++order) {
      auto detector = make(ring(3));
      for (const auto& one : claims)
        static_cast<void>(detector.on_message({kThen, kWall}, "b1001", SwimGossip{{one}}));
      const auto held = detector.members();
      if (!first) first = held;
      for (std::size_t i = 0; i < held.size(); ++i) {
        CHECK(held[i].state == (*first)[i].state);
        CHECK(held[i].incarnation == (*first)[i].incarnation);
        CHECK(held[i].boot == (*first)[i].boot);
      }
      rng.shuffle(claims);
      claims.push_back(claims[static_cast<std::size_t>(rng.below(claims.size()))]);
    }
  }
}

TEST_CASE("detector: what is said of this node it answers with a greater incarnation, once") {
  auto detector = make(ring(3));
  for (const auto state : {MemberState::suspect, MemberState::unreachable, MemberState::stopped}) {
    CAPTURE(name(state));
    const auto before = detector.incarnation();
    for (int i = 0; i < 2; ++i) {  // the second time it is an old claim, and answered alike
      const auto answers = sent<SwimGossip>(
          detector.on_message({kThen, kWall}, "b1000", SwimGossip{{claim("a", state, before)}}));
      REQUIRE(answers.size() == 1);
      CHECK(answers[0].first == "b1000");
      CHECK(answers[0].second.claims == SwimClaims{claim("a", MemberState::alive, before + 1, "a")});
    }
    CHECK(detector.incarnation() == before + 1);
  }
  CHECK(detector.counters().refutations == 3);
  CHECK(detector.health() == 3);  // whoever is suspected has reason to doubt itself
  // Of an earlier process of this node: nothing to object to, but news for who says so. Of a later one that
  // lives: not for this process to say.
  CHECK(sent<SwimGossip>(
            detector.on_message({kThen, kWall}, "b1000",
                                SwimGossip{{claim("a", MemberState::stopped, 9, "b1001", {4, 9})}}))
            .size() == 1);
  CHECK(
      sent<SwimGossip>(detector.on_message({kThen, kWall}, "b1000",
                                           SwimGossip{{claim("a", MemberState::alive, 9, "b1001", {6, 0})}}))
          .empty());
  CHECK(detector.incarnation() == 3);
  CHECK(detector.counters().foreign_boots == 1);
}

TEST_CASE("detector: whoever holds an older claim is told the newer one") {
  auto detector = make(ring(3));
  const auto newer = claim("b1000", MemberState::unreachable, 2);
  static_cast<void>(detector.on_message({kThen, kWall}, "b1001", SwimGossip{{newer}}));
  const auto answers = sent<SwimGossip>(detector.on_message(
      {kThen, kWall}, "b1002", SwimGossip{{claim("b1000", MemberState::suspect, 2, "b1002")}}));
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].second.claims == SwimClaims{newer});
  // The member itself is told when it speaks, once a gossip interval.
  auto now = kThen;
  for (const DetectorMessage& message : {DetectorMessage(SwimAck{99}), DetectorMessage(SwimGossip{})}) {
    const auto told = sent<SwimGossip>(detector.on_message({now, kWall}, "b1000", message));
    REQUIRE(told.size() == 1);
    CHECK(told[0].second.claims == SwimClaims{newer});
    CHECK(sent<SwimGossip>(detector.on_message({now, kWall}, "b1000", message)).empty());
    now += DetectorConfig{}.gossip_interval;
  }
  const auto acks = sent<SwimAck>(detector.on_message({now, kWall}, "b1000", SwimPing{1}));
  REQUIRE(acks.size() == 1);
  REQUIRE(!acks[0].second.claims.empty());
  CHECK(acks[0].second.claims[0] == newer);
}

TEST_CASE("detector: each member is probed once a round, in an order that differs; who is new, within two") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    auto ids = ring(10);
    auto detector = make(ids, seed, {.probe_jitter = 0});
    // Members that came one by one have a place in the first round; the following ones are whole.
    auto first = probed_until(detector, kThen + 10s);
    std::erase_if(first, [&](const NodeId& id) { return id == "a"; });
    REQUIRE(first.size() >= 20);
    std::vector<NodeId> second(first.begin() + 10, first.begin() + 20);
    first.resize(10);
    CHECK(first != second);
    for (auto* round : {&first, &second}) {
      std::ranges::sort(*round);
      CHECK(std::ranges::equal(*round, std::span(ids).subspan(1)));
    }
    ids.emplace_back("c");
    const auto now = kThen + 10s;
    static_cast<void>(detector.on_members(now, ids));
    CHECK(std::ranges::count(probed_until(detector, now + 10s), NodeId("c")) == 0);  // unknown: not probed
    static_cast<void>(detector.on_peer_up(now + 10s, "c", kBoot));
    CHECK(std::ranges::count(probed_until(detector, now + 10s + 2 * 11 * 500ms), NodeId("c")) >= 1);
  }
}

TEST_CASE(
    "detector: three others are asked, their ack is as good, and their nacks leave this node's health") {
  enum class Others { silent, nack, ack };
  for (const auto others : {Others::silent, Others::nack, Others::ack}) {
    CAPTURE(static_cast<int>(others));
    auto detector = make(ring(5), 1, {.probe_jitter = 0});
    NodeId target;
    Instant at{};
    while (target.empty()) {
      at = detector.next_deadline();
      for (const auto& [to, ping] : sent<SwimPing>(detector.on_time(at))) target = to;
    }
    CHECK(sent<SwimPingReq>(advance(detector, at + 199ms)).empty());
    const auto requests = sent<SwimPingReq>(advance(detector, at + 200ms));
    CHECK(requests.size() == 3);
    for (const auto& [to, request] : requests) {
      CHECK(to != target);
      CHECK(request.target == target);
      if (others == Others::nack)
        static_cast<void>(detector.on_message({at + 300ms, kWall}, to, SwimNack{request.sequence}));
      if (others == Others::ack)
        static_cast<void>(detector.on_message({at + 300ms, kWall}, to, SwimAck{request.sequence}));
    }
    static_cast<void>(advance(detector, at + 500ms));
    CHECK(detector.state_of(target) == (others == Others::ack ? MemberState::alive : MemberState::suspect));
    CHECK(detector.health() == (others == Others::silent ? 3 : 0));
  }
}

TEST_CASE("detector: acks and nacks of who was not asked count for nothing") {
  auto detector = make(ring(5), 1, {.probe_jitter = 0});
  std::vector<std::pair<NodeId, SwimPing>> pings;
  Instant at{};
  while (pings.empty()) {
    at = detector.next_deadline();
    pings = sent<SwimPing>(detector.on_time(at));
  }
  const auto& [target, ping] = pings[0];
  const NodeId liar = target == "b1000" ? "b1001" : "b1000";
  static_cast<void>(detector.on_message({at, kWall}, liar, SwimAck{ping.sequence}));
  static_cast<void>(detector.on_message({at, kWall}, "stranger", SwimAck{ping.sequence}));
  static_cast<void>(detector.on_message({at, kWall}, target, SwimAck{ping.sequence + 1}));
  static_cast<void>(advance(detector, at + 500ms));
  CHECK(detector.state_of(target) == MemberState::suspect);
}

TEST_CASE("detector: a relay passes the answer on, and says in time that there is none") {
  auto detector = make(ring(3), 1, {.probe_interval = 1h, .probe_timeout = 200ms});
  const auto ask = [&](Instant now, std::uint64_t sequence) {
    const auto pings =
        sent<SwimPing>(detector.on_message({now, kWall}, "b1000", SwimPingReq{sequence, "b1001", true}));
    REQUIRE(pings.size() == 1);
    CHECK(pings[0].first == "b1001");
    return pings[0].second.sequence;
  };
  const auto probe = ask(kThen, 77);
  CHECK(sent<SwimAck>(detector.on_message({kThen, kWall}, "b1002", SwimAck{probe}))
            .empty());  // not its to answer
  const auto acks = sent<SwimAck>(detector.on_message({kThen, kWall}, "b1001", SwimAck{probe}));
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].first == "b1000");
  CHECK(acks[0].second.sequence == 77);
  CHECK(sent<SwimAck>(detector.on_message({kThen, kWall}, "b1001", SwimAck{probe})).empty());  // once
  ask(kThen, 78);
  CHECK(sent<SwimNack>(advance(detector, kThen + 159ms)).empty());
  const auto nacks = sent<SwimNack>(advance(detector, kThen + 160ms));
  REQUIRE(nacks.size() == 1);
  CHECK(nacks[0].first == "b1000");
  CHECK(nacks[0].second.sequence == 78);
}

TEST_CASE("detector: a lost link that is not made anew within 200 ms is a suspicion; one that is, is not") {
  for (const bool relinked : {false, true}) {
    CAPTURE(relinked);
    auto detector = make(ring(3), 1, {.probe_interval = 1h});
    static_cast<void>(detector.on_peer_down(kThen, "b1000", PeerEnd::lost));
    static_cast<void>(advance(detector, kThen + 199ms));
    CHECK(detector.state_of("b1000") == MemberState::alive);
    if (relinked) static_cast<void>(detector.on_peer_up(kThen + 199ms, "b1000", kBoot));
    static_cast<void>(advance(detector, kThen + 200ms));
    CHECK(detector.state_of("b1000") == (relinked ? MemberState::alive : MemberState::suspect));
  }
  auto detector = make(ring(3), 1, {.probe_interval = 1h});
  static_cast<void>(detector.on_peer_down(kThen, "b1000", PeerEnd::closed));
  static_cast<void>(advance(detector, kThen + 10s));
  CHECK(detector.state_of("b1000") == MemberState::alive);
}

TEST_CASE("detector: a new boot is alive whatever the old one was; the old one's news is none any more") {
  for (const auto state : {MemberState::suspect, MemberState::unreachable, MemberState::stopped}) {
    CAPTURE(name(state));
    auto detector = make(ring(3));
    static_cast<void>(detector.on_message({kThen, kWall}, "b1001", SwimGossip{{claim("b1000", state, 7)}}));
    CHECK(detector.state_of("b1000") == state);
    // A new connection of the same process proves nothing about time to come: it is told, to object.
    const auto told = sent<SwimGossip>(detector.on_peer_up(kThen, "b1000", kBoot));
    REQUIRE(told.size() == 1);
    CHECK(told[0].second.claims == SwimClaims{claim("b1000", state, 7)});
    CHECK(detector.state_of("b1000") == state);
    static_cast<void>(detector.on_peer_up(kThen, "b1000", {6, 0}));
    CHECK(detector.state_of("b1000") == MemberState::alive);
    static_cast<void>(detector.on_message({kThen, kWall}, "b1001", SwimGossip{{claim("b1000", state, 8)}}));
    CHECK(detector.state_of("b1000") == MemberState::alive);
  }
}

TEST_CASE(
    "detector: after standing still, its open probe is void and suspicions get the time that it slept") {
  auto detector = make(ring(3), 1, {.probe_jitter = 0});
  Instant at{};
  for (bool probing = false; !probing;) {
    at = detector.next_deadline();
    probing = !sent<SwimPing>(detector.on_time(at)).empty();
  }
  static_cast<void>(detector.on_message({at, kWall}, "b1001",
                                        SwimGossip{{claim("b1000", MemberState::suspect, 0, "b1001")}}));
  const auto woken = at + 1h;
  const auto actions = detector.on_time(woken);
  CHECK(std::ranges::none_of(
      actions, [](const auto& action) { return std::holds_alternative<StateChanged>(action); }));
  CHECK(detector.counters().probes_voided == 1);
  CHECK(detector.health() == 1);
  CHECK(detector.state_of("b1000") == MemberState::suspect);
  // It objects, as all that it said meanwhile is still to be read.
  static_cast<void>(detector.on_message({woken, kWall}, "b1000",
                                        SwimGossip{{claim("b1000", MemberState::alive, 1, "b1000")}}));
  CHECK(detector.state_of("b1000") == MemberState::alive);
}

TEST_CASE(
    "detector: who is no member of the ring any more has left, is forgotten in time, and may come back") {
  auto ids = ring(3);
  auto detector = make(ids);
  static_cast<void>(
      detector.on_message({kThen, kWall}, "b1001", SwimGossip{{claim("b1000", MemberState::suspect)}}));
  const auto without = std::vector<NodeId>{"a", "b1001", "b1002"};
  const auto actions = detector.on_members(kThen, without);
  REQUIRE(actions.size() == 1);
  CHECK(std::get<StateChanged>(actions[0]).to == MemberState::left);
  CHECK(detector.members().size() == 3);
  // Nothing that is said of it matters.
  static_cast<void>(
      detector.on_message({kThen, kWall}, "b1001", SwimGossip{{claim("b1000", MemberState::alive, 9)}}));
  CHECK(detector.state_of("b1000") == MemberState::left);
  static_cast<void>(advance(detector, kThen + 20s));
  CHECK(detector.state_of("b1000") == MemberState::left);
  static_cast<void>(detector.on_members(kThen + 20s, ids));
  CHECK(detector.state_of("b1000") == MemberState::alive);  // its link is still up
  // Many that come and go leave a bounded trace.
  for (int wave = 0; wave < 10; ++wave) {
    std::vector<NodeId> crowd{"a"};
    for (int i = 0; i < 100; ++i) crowd.emplace_back("c" + std::to_string(1000 + 100 * wave + i));
    static_cast<void>(detector.on_members(kThen + 20s, crowd));
  }
  CHECK(detector.members().size() == 100 + 256);
}

TEST_CASE("detector: where few links are kept, those are probed, and one other in each round") {
  const auto ids = ring(100);
  const LinkPlan plan(ids.size(), 64);
  auto detector = make(ids, 3, {.mesh_max = 64});
  std::map<NodeId, int> probed;
  for (int i = 0; i < 1000; ++i)  // answered at once
    for (const auto& [to, ping] : sent<SwimPing>(detector.on_time(detector.next_deadline()))) {
      ++probed[to];
      static_cast<void>(
          detector.on_message({detector.next_deadline(), kWall}, to, SwimAck{ping.sequence, {}}));
    }
  int kept = 0;
  int others = 0;
  for (const auto& [id, count] : probed) (plan.keeps("a", id) ? kept : others) += count;
  CHECK(others > 0);
  CHECK(kept > 9 * others);
}

TEST_CASE("detector: each probe names one of those held for dead, in turn, until who knows better says so") {
  auto detector = make(ring(4), 1, {.mesh_max = 8});
  static_cast<void>(detector.on_members(kThen, ring(40)));  // and asks after those that it does not know
  static_cast<void>(detector.on_message(
      {kThen, kWall}, "b1002",
      SwimGossip{{claim("b1000", MemberState::stopped), claim("b1001", MemberState::unreachable)}}));
  auto end = kThen;
  const auto named_until = [&] {
    std::vector<NodeId> named;
    while (detector.next_deadline() <= end) {
      const auto now = detector.next_deadline();
      for (const auto& [to, ping] : sent<SwimPing>(detector.on_time(now))) {
        for (const auto& one : ping.claims)
          if (one.state != MemberState::alive) named.push_back(one.id);
        static_cast<void>(detector.on_message({now, kWall}, to, SwimAck{ping.sequence, {}}));
      }
    }
    return named;
  };
  end += 30s;
  static_cast<void>(named_until());  // as news
  end += 30s;
  const auto named = named_until();
  REQUIRE(named.size() > 20);
  for (std::size_t i = 1; i < named.size(); ++i) CHECK(named[i] != named[i - 1]);
  static_cast<void>(detector.on_message(
      {end, kWall}, "b1002",
      SwimAck{0, {claim("b1000", MemberState::alive, 1), claim("b1001", MemberState::alive, 1)}}));
  end += 30s;
  static_cast<void>(named_until());
  end += 30s;
  CHECK(named_until().empty());
}

TEST_CASE("detector: news is passed on as often as its limit says, the least told first, and then no more") {
  RumorQueue rumors;
  rumors.add(claim("b1000", MemberState::suspect));
  rumors.add(claim("b1001", MemberState::suspect));
  rumors.add_confirmation(claim("b1001", MemberState::suspect, 0, "b1002"));
  rumors.add(claim("b1000", MemberState::alive, 1));  // in place of the suspicion
  CHECK(rumors.size() == 3);
  std::map<std::pair<NodeId, NodeId>, int> told;
  SwimClaims claims;
  rumors.take(claims, 1, 4);
  CHECK(claims == SwimClaims{claim("b1000", MemberState::alive, 1)});  // the newest
  while (!rumors.empty()) rumors.take(claims, 2, 4);
  for (const auto& one : claims) ++told[{one.id, one.by}];
  CHECK(claims.size() == 12);
  for (const auto& [what, times] : told) CHECK(times == 4);
  rumors.add(claim("b1001", MemberState::suspect));
  rumors.forget("b1001");
  CHECK(rumors.empty());
}
