#include "cluster/proto/gossip.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "cluster/wire/codec.hpp"
#include "gossip_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::testing;

TEST_CASE(
    "gossip: content out of bounds is refused with a reason, on both sides of each limit, and changes "
    "nothing") {
  struct Row {
    const char* what;
    std::function<void(RingMember&)> spoil;
    bool good = false;
  };
  constexpr auto kAhead = millis(kWall + kAheadMax);
  const std::array rows{
      Row{"nothing", [](RingMember&) {}, true},
      Row{"no id", [](RingMember& m) { m.id = {}; }},
      Row{"no editor", [](RingMember& m) { m.presence.editor = {}; }},
      Row{"count 0", [](RingMember& m) { m.weight.count = 0; }},
      Row{"greatest count", [](RingMember& m) { m.weight.count = kAhead; }, true},
      Row{"count of the future", [](RingMember& m) { m.weight.count = kAhead + 1; }},
      Row{"count over it", [](RingMember& m) { m.weight.count = kCountMax + 1; }},
      Row{"weight 0: it drains", [](RingMember& m) { m.weight.value = 0; }, true},
      Row{"greatest weight", [](RingMember& m) { m.weight.value = 65'535; }, true},
      Row{"weight over it", [](RingMember& m) { m.weight.value = 65'536; }},
      Row{"port 0", [](RingMember& m) { m.endpoint.value.port = 0; }},
      Row{"no host", [](RingMember& m) { m.endpoint.value.host.clear(); }},
      Row{"longest host", [](RingMember& m) { m.endpoint.value.host = std::string(255, 'h'); }, true},
      Row{"host over it", [](RingMember& m) { m.endpoint.value.host = std::string(256, 'h'); }},
      Row{"a control character", [](RingMember& m) { m.endpoint.value.host = "a\nb"; }},
      Row{"longest zone", [](RingMember& m) { m.endpoint.zone = std::string(255, 'z'); }, true},
      Row{"zone over it", [](RingMember& m) { m.endpoint.zone = std::string(256, 'z'); }},
      Row{"a zone that is no text", [](RingMember& m) { m.endpoint.zone = "\xff"; }},
      Row{"a zone of two lines", [](RingMember& m) { m.endpoint.zone = "a\nb"; }},
      Row{"zone since before 1970", [](RingMember& m) { m.endpoint.zone_since = WallTime{} - 1us; }},
      Row{"time before 1970", [](RingMember& m) { m.endpoint.changed_at = WallTime{} - 1us; }},
      Row{"greatest time", [](RingMember& m) { m.presence.changed_at = kWall + kAheadMax; }, true},
      Row{"time of the future", [](RingMember& m) { m.endpoint.changed_at = kWall + kAheadMax + 1us; }},
      Row{"replaced in the future", [](RingMember& m) { m.weight.replaced_at = kTimeMax; }},
      Row{"born in the future", [](RingMember& m) { m.presence.born = kTimeMax; }},
      Row{"time over it", [](RingMember& m) { m.presence.born = kTimeMax + 1us; }},
      Row{"zone since the future", [](RingMember& m) { m.endpoint.zone_since = kTimeMax; }},
      Row{"greatest boot", [](RingMember& m) { m.endpoint.boot.number = kAhead; }, true},
      Row{"boot of the future", [](RingMember& m) { m.endpoint.boot.number = kAhead + 1; }},
      Row{"boot over its bound", [](RingMember& m) { m.endpoint.boot.number = kCountMax + 1; }},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    auto gossip = make("a");
    auto spoilt = member("m");
    row.spoil(spoilt);
    const auto version = gossip.state().version();
    const auto actions = gossip.on_message(kThen, "b", RingUpdate{"ring", {.members = {spoilt}}});
    CHECK(count_events<MessageRefused>(actions) == (row.good ? 0 : 1));
    CHECK((gossip.state().version() != version) == row.good);
    // And whatever was taken, edits still work after it.
    CHECK(all_of<Done>(gossip.on_command(kThen, 1, InsertCommand{{{"n", kHere}}}))[0].result.has_value());
  }
}

TEST_CASE("gossip: states that stay different are mended by whole ones, also where no two are equal") {
  auto gossip = make("a");
  auto at = kThen;
  for (int i = 0; i < 8; ++i) {
    at.now += GossipConfig{}.period / 4;
    RingClockPart part{.ring = "ring", .horizon = RingState::horizon(at.wall), .answer = false};
    part.state.fill(static_cast<std::uint8_t>(1 + i % 2));
    part.clock = gossip.state().clock_hash();
    part.entries = gossip.state().clock_entries();
    static_cast<void>(gossip.on_message(at, i % 2 == 0 ? "b" : "c", part));
  }
  CHECK(gossip.counters().whole_states > 0);
}

TEST_CASE("gossip: malformed messages of every kind are refused with a reason") {
  const std::string long_text(2'000, 'x');
  RingClockPart unordered{.ring = "ring", .entries = {{"b", 1}, {"a", 1}}};
  RingClockPart twice{.ring = "ring", .entries = {{"a", 1}, {"a", 1}}};
  RingClockPart many{.ring = "ring", .entries = std::vector<ClockEntry>(1'025)};
  RingUpdate backwards{.ring = "ring", .delta = {.ranges = {{"x", 5, 5}}}};
  RingUpdate crowd{.ring = "ring", .delta = {.members = std::vector<RingMember>(1'025, member("m"))}};
  RingUpdate restless{.ring = "ring", .rounds = 17};
  const std::vector<GossipMessage> bad{RingDigest{},
                                       RingDigest{.ring = "ring", .horizon = kTimeMax + 1us},
                                       unordered,
                                       twice,
                                       many,
                                       RingClockPart{.ring = "ring", .entries = {{{}, 1}}},
                                       backwards,
                                       crowd,
                                       restless,
                                       RingPull{long_text},
                                       RingForeign{"ring", ""},
                                       RingGone{},
                                       MeetAsk{.attempt = 1, .ring = "ring"},
                                       MeetAsk{.attempt = 1, .ring = "ring", .self = member("another")},
                                       MeetAnswer{.attempt = 1, .refusal = 1, .text = long_text},
                                       MeetAnswer{.attempt = 1},
                                       LeaveNotice{.attempt = 1}};
  for (std::size_t i = 0; i < bad.size(); ++i) {
    CAPTURE(i);
    auto gossip = make("a");
    const auto version = gossip.state().version();
    CHECK(count_events<MessageRefused>(gossip.on_message(kThen, "b", bad[i])) == 1);
    CHECK(gossip.state().version() == version);
  }
  auto gossip = make("a");
  CHECK(count_events<MessageRefused>(gossip.on_message(kThen, "a", RingPull{"ring"})) == 1);  // from itself
  CHECK(count_events<MessageRefused>(gossip.on_message(kThen, {}, RingPull{"ring"})) == 1);
}

TEST_CASE("gossip: random content never crashes a node, and its own edits still work") {
  Rng rng(7);
  auto gossip = make("a");
  const std::array<const char*, 4> ids{"a", "b", "c", "d"};
  const auto id = [&] { return NodeId(ids[static_cast<std::size_t>(rng.below(4))]); };
  const auto count = [&] { return rng.chance(0.2) ? kCountMax - rng.below(3) : rng.below(5); };
  const auto time = [&] {
    return rng.chance(0.2) ? kTimeMax - std::chrono::microseconds(rng.below(3))
                           : WallTime{std::chrono::microseconds(rng.below(5))};
  };
  const auto record = [&] {
    return RingMember{.id = id(),
                      .presence = {time(), rng.chance(0.3), time(), id(), count(), time()},
                      .weight = {time(), time(), id(), count(), 3, time()},
                      .endpoint = {time(), {count(), rng.below(3)}, time(), id(), count(), kHere, time()}};
  };
  auto at = kThen;
  for (int i = 0; i < 20'000; ++i) {
    at.now += 10ms;
    RingDelta delta;
    for (auto n = rng.below(3); n > 0; --n) delta.members.push_back(record());
    for (auto n = rng.below(3); n > 0; --n) delta.ranges.push_back({id(), count(), count()});
    const std::string ring = rng.chance(0.9) ? "ring" : "other";
    const std::array<GossipMessage, 8> messages{
        RingUpdate{ring, delta, static_cast<std::uint8_t>(rng.below(4)), rng.chance(0.5)},
        RingClockPart{
            .ring = ring, .clock = rng.next(), .entries = {{id(), count()}}, .answer = rng.chance(0.5)},
        RingDigest{.ring = ring, .horizon = time()},
        RingPull{ring},
        RingGone{ring, record().presence},
        MeetAsk{.attempt = rng.below(3), .ring = ring, .self = record()},
        MeetAnswer{.attempt = rng.below(3), .ring = ring, .state = delta},
        LeaveNotice{.attempt = 1, .ring = ring, .edits = delta}};
    (void)gossip.on_message(at, id(), messages[static_cast<std::size_t>(rng.below(messages.size()))]);
    (void)gossip.on_time(at);
    if (gossip.ring().empty()) (void)gossip.on_command(at, 1, JoinCommand{"ring"});
  }
  for (int i = 0; i < 2'000 && !gossip.ring().empty(); ++i) {  // what is under way ends
    at.now += 10ms;
    (void)gossip.on_time(at);
  }
  CHECK(gossip.state().present(gossip.self()));
}

TEST_CASE("gossip: an edit is passed on ceil(log2 n) times") {
  struct Row {
    std::size_t members;
    int rounds;
  };
  for (const auto& row : {Row{0, 1}, Row{1, 1}, Row{2, 1}, Row{3, 2}, Row{4, 2}, Row{5, 3}, Row{64, 6},
                          Row{65, 7}, Row{4096, 12}, Row{1'000'000, 16}}) {
    CAPTURE(row.members);
    CHECK(push_rounds(row.members) == row.rounds);
  }
}

TEST_CASE("gossip: an edit is pushed at once to three others, and connects to the new member") {
  auto gossip = make("a");
  (void)gossip.on_command(kThen, 1, InsertCommand{{{"b", kHere}, {"c", kHere}, {"d", kHere}, {"e", kHere}}});
  const auto actions = gossip.on_command(kThen, 2, InsertCommand{{{"f", {"h", 9}, 7}}});
  CHECK(all_of<Send>(actions).size() == 3);
  for (const auto& send : all_of<Send>(actions)) {
    const auto& update = std::get<RingUpdate>(send.message);
    REQUIRE(update.delta.members.size() == 1);
    CHECK(update.delta.members[0].weight.value == 7);
    CHECK(update.rounds == 2);  // of 3 for six members; this was the first
  }
  REQUIRE(all_of<Connect>(actions).size() == 1);
  CHECK(all_of<Connect>(actions)[0].endpoint == Endpoint{"h", 9});
  CHECK(all_of<Done>(actions).size() == 1);
}

TEST_CASE("gossip: whoever is lost while it is being met is dialled again") {
  auto gossip = make("a");
  const auto dials = [](const Actions& actions) { return all_of<Dial>(actions).size(); };
  CHECK(dials(gossip.on_command(kThen, 1, MeetCommand{.endpoint = kHere})) == 1);
  (void)gossip.on_peer_up(kThen, "b");
  CHECK(all_of<Send>(gossip.on_dialed(kThen, 1, NodeId("b"))).size() == 1);
  (void)gossip.on_peer_down(kThen, "b");  // and with the link the question
  CHECK(dials(gossip.on_time({kThen.now + 500ms, kThen.wall})) == 1);
}

TEST_CASE("gossip: members that nobody can reach take nothing from those with a link") {
  auto gossip = make("a");
  (void)gossip.on_command(kThen, 1, InsertCommand{{{"b", kHere}}});
  (void)gossip.on_peer_up(kThen, "b");
  for (int i = 0; i < 50; ++i) {
    const NodeId ghost("ghost" + std::to_string(i));
    const auto actions = gossip.on_command(kThen, 2, InsertCommand{{{ghost, kHere}}});
    REQUIRE(all_of<Send>(actions).size() == 1);
    CHECK(all_of<Send>(actions)[0].to == NodeId("b"));
  }
  Moment at = kThen;
  for (int i = 0; i < 10; ++i) {  // the rounds of anti-entropy too
    at.now += 2s;
    for (const auto& send : all_of<Send>(gossip.on_time(at))) CHECK(send.to == NodeId("b"));
  }
}

TEST_CASE("gossip: above a number of members few links are kept, and rounds go over those that are open") {
  Gossip gossip(
      {.self = {.id = "a", .boot = {1, 1}, .endpoint = kHere, .weight = 4}, .ring = "ring", .mesh_max = 16},
      Rng(1), kThen);
  std::vector<NewMember> others;
  for (int i = 0; i < 99; ++i) others.push_back({NodeId("n" + std::to_string(i)), kHere});
  std::map<NodeId, bool> standing;
  const auto note = [&](const Actions& actions) {
    for (const auto& connect : all_of<Connect>(actions)) standing[connect.peer] = connect.standing;
  };
  const auto kept = [&] {
    std::size_t count = 0;
    for (const auto& [id, is_standing] : standing) count += is_standing ? 1u : 0u;
    return count;
  };
  const LinkPlan plan(100, 16);
  for (std::size_t i = 0; i < 15; ++i) note(gossip.on_command(kThen, 1, InsertCommand{{others[i]}}));
  CHECK(kept() == 15);  // a mesh of sixteen
  for (std::size_t i = 15; i < 99; ++i) note(gossip.on_command(kThen, 1, InsertCommand{{others[i]}}));
  CHECK(standing.size() == 99);
  CHECK(kept() < 40);
  for (const auto& [id, is_standing] : standing) CHECK(is_standing == plan.keeps("a", id));

  std::set<NodeId> linked;
  for (int i = 0; i < 7; ++i) linked.insert(others[static_cast<std::size_t>(i)].id);
  for (const auto& id : linked) (void)gossip.on_peer_up(kThen, id);
  std::size_t others_asked = 0;
  Moment at = kThen;
  while (at.now < kThen.now + 320s) {
    at.now = gossip.next_deadline();
    for (const auto& send : all_of<Send>(gossip.on_time(at)))
      others_asked += linked.contains(send.to) ? 0u : 1u;
  }
  CHECK(others_asked <= 10);  // in 32 s one round goes to any member
  CHECK(others_asked >= 6);

  std::vector<NodeId> gone;
  for (std::size_t i = 12; i < 99; ++i) gone.push_back(others[i].id);
  note(gossip.on_command(at, 2, RemoveCommand{gone}));
  for (std::size_t i = 0; i < 12; ++i) CHECK(standing[others[i].id]);  // a mesh again
}

TEST_CASE(
    "gossip: who has less than ceil(log2 n) links looks for members among all, ever less often, until it "
    "has") {
  Gossip gossip(
      {.self = {.id = "a", .boot = {1, 1}, .endpoint = kHere, .weight = 4}, .ring = "ring", .mesh_max = 16},
      Rng(1), kThen);
  std::vector<NewMember> others;
  for (int i = 0; i < 99; ++i) others.push_back({NodeId("n" + std::to_string(i)), kHere});
  (void)gossip.on_command(kThen, 1, InsertCommand{others});
  Moment at = kThen;
  std::set<NodeId> asked;
  const auto count_asked = [&](Duration span) {
    std::size_t count = 0;
    const auto end = at.now + span;
    while (gossip.next_deadline() < end) {
      at.now = gossip.next_deadline();
      for (const auto& send : all_of<Send>(gossip.on_time(at))) asked.insert(send.to), ++count;
    }
    at.now = end;
    return count;
  };
  CHECK(links_enough(100) == 7);
  for (std::size_t i = 0; i < 6; ++i) (void)gossip.on_peer_up(at, others[i].id);
  CHECK(count_asked(9s) > 80);
  CHECK(count_asked(300s) < 600);
  CHECK(count_asked(300s) < 350);  // three in 4 s, beside the rounds
  CHECK(asked.size() > 95);
  (void)gossip.on_peer_up(at, others[6].id);
  CHECK(count_asked(64s) < 30);
  (void)gossip.on_peer_down(at, others[6].id);
  CHECK(count_asked(9s) > 80);
}

TEST_CASE("gossip: force is in the disconnect of who removes and of who hears of it") {
  for (const bool force : {false, true}) {
    CAPTURE(force);
    auto gossip = make("a"), other = make("b");
    (void)gossip.on_command(kThen, 1, InsertCommand{{{"b", kHere}, {"c", kHere}}});
    for (const auto& delta : gossip.state().deltas_since({}))
      (void)other.on_message(kThen, "a", RingUpdate{"ring", delta});
    const auto actions = gossip.on_command(kThen, 2, RemoveCommand{{"c"}, force});
    REQUIRE(all_of<Disconnect>(actions).size() == 1);
    CHECK(all_of<Disconnect>(actions)[0].force == force);
    bool told = false;
    for (const auto& send : all_of<Send>(actions)) {
      told = told || send.to == NodeId("c");
      if (send.to != NodeId("b")) continue;
      const auto there = all_of<Disconnect>(other.on_message(kThen, "a", send.message));
      REQUIRE(there.size() == 1);
      CHECK(there[0].force == force);
    }
    CHECK(told);
  }
}

TEST_CASE("gossip: the one timer is due within a period and a bit, and early calls do nothing") {
  auto gossip = make("a");
  (void)gossip.on_command(kThen, 1, InsertCommand{{{"b", kHere}}});
  const auto due = gossip.next_deadline();
  CHECK(due >= kThen.now + 225ms);  // there was an edit
  CHECK(due <= kThen.now + 275ms);
  CHECK(all_of<Send>(gossip.on_time({due - 1ns, kWall})).empty());
  const auto sent = all_of<Send>(gossip.on_time({due, kWall}));
  REQUIRE(sent.size() == 1);
  CHECK(std::holds_alternative<RingDigest>(sent[0].message));
  CHECK(wire::encode(sent[0].message).size() <= 80);
  CHECK(all_of<Send>(gossip.on_time({due, kWall})).empty());
}

TEST_CASE("gossip: without news rounds become rarer, and any news or difference hurries them again") {
  auto gossip = make("a");
  (void)gossip.on_command(kThen, 1, InsertCommand{{{"b", kHere}}});
  Moment at = kThen;
  const auto next_in = [&] { return gossip.next_deadline() - at.now; };
  const auto rest = [&] {
    for (int i = 0; i < 5; ++i) {
      at.now = gossip.next_deadline();
      (void)gossip.on_time(at);
    }
    CHECK(next_in() >= 3'600ms);
    CHECK(next_in() <= 4'400ms);
  };
  const auto is_hurried = [&] { return next_in() <= 275ms; };
  CHECK(is_hurried());
  rest();

  const RingDigest same{.ring = "ring", .state = gossip.state().hash({}), .horizon = {}};
  (void)gossip.on_message(at, "b", same);
  CHECK_FALSE(is_hurried());
  (void)gossip.on_message(at, "b", RingDigest{.ring = "ring", .state = {}, .horizon = {}});
  CHECK(is_hurried());
  rest();
  (void)gossip.on_command(at, 2, UpdateCommand{.id = "b", .weight = 7});
  CHECK(is_hurried());
  rest();
  (void)gossip.on_message(at, "b", RingUpdate{"ring", {.members = {member("c")}}});
  CHECK(is_hurried());
  const auto due = gossip.next_deadline();
  (void)gossip.on_command({due - 1ms, kWall}, 3, UpdateCommand{.id = "b", .weight = 8});
  CHECK(gossip.next_deadline() == due);  // news does not put a round off
}

TEST_CASE("gossip: messages survive the wire") {
  auto gossip = make("a");
  const GossipMessage update = RingUpdate{"ring", gossip.state().statement("a"), 3, true};
  const auto back = wire::decode<GossipMessage>(wire::encode(update));
  REQUIRE(back.has_value());
  CHECK(std::get<RingUpdate>(*back).delta == std::get<RingUpdate>(update).delta);
}

TEST_CASE("gossip: no member is taken out of its ring as forgotten before that can be") {
  auto gossip = make("a");
  const auto gone = [&] { return RingGone{"ring", gossip.state().find("a")->presence}; };
  CHECK(count_events<MessageRefused>(gossip.on_message(kThen, "b", gone())) == 1);
  CHECK(gossip.state().present("a"));
  (void)gossip.on_message({kThen.now, kThen.wall + RingState::kTombstoneAge}, "b", gone());
  CHECK_FALSE(gossip.state().present("a"));
}

TEST_CASE("gossip: commands in no ring say so") {
  auto gossip = make("a", "");
  for (const RingCommand& command :
       {RingCommand{InsertCommand{{{"b", kHere}}}}, RingCommand{UpdateCommand{.id = "b"}},
        RingCommand{RemoveCommand{{"b"}}}, RingCommand{LeaveCommand{}}}) {
    const auto done = all_of<Done>(gossip.on_command(kThen, 1, command));
    REQUIRE(done.size() == 1);
    CHECK(done[0].result.error().message() == "Node 'a' belongs to no ring");
  }
}
