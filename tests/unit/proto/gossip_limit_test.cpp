// Gossip: how much a ring holds, and how often one node is answered.
#include <doctest/doctest.h>

#include <array>
#include <set>
#include <string>
#include <tuple>

#include "gossip_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::testing;

TEST_CASE("gossip: no edit adds more weight than a ring has room for") {
  auto gossip = make("a");
  const auto run = [&](const RingCommand& command) {
    return all_of<Done>(gossip.on_command(kThen, 1, command)).front().result;
  };
  InsertCommand insert;
  for (int i = 0; i < 32; ++i)
    insert.members.push_back({NodeId("n" + std::to_string(i)), kHere, CHash::kWeightMax});
  const auto refused = run(insert);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::too_large);
  CHECK(gossip.state().present_count() == 1);
  insert.members.pop_back();
  REQUIRE(run(insert));
  CHECK(run(insert));  // all are members
  REQUIRE(run(InsertCommand{{{"x", kHere, 1}}}));
  CHECK_FALSE(run(UpdateCommand{"x", {}, CHash::kWeightMax}));
  CHECK(run(UpdateCommand{"x", {}, 7}));
  CHECK(run(UpdateCommand{"n0", {}, 1}));
  CHECK(run(UpdateCommand{"x", {}, CHash::kWeightMax}));
}

TEST_CASE("gossip: nobody is let in by a meet for whom a ring has no room") {
  auto gossip = make("a");
  const auto run = [&](const RingCommand& command) {
    return all_of<Done>(gossip.on_command(kThen, 1, command)).front().result;
  };
  const auto ask = [&](const char* id, std::uint32_t weight) {
    auto self = member(id);
    self.weight.value = weight;
    for (const auto& send : all_of<Send>(gossip.on_message(kThen, id, MeetAsk{9, "ring", true, self})))
      if (const auto* answer = std::get_if<MeetAnswer>(&send.message)) return *answer;
    return MeetAnswer{};
  };
  InsertCommand insert;
  for (int i = 0; i < 31; ++i)
    insert.members.push_back({NodeId("n" + std::to_string(i)), kHere, CHash::kWeightMax});
  REQUIRE(run(insert));
  const auto refused = ask("x", CHash::kWeightMax);
  CHECK(refused.refusal == static_cast<std::uint16_t>(Errc::too_large));
  CHECK(refused.text.find("a ring has room for") != std::string::npos);
  CHECK_FALSE(gossip.state().present("x"));
  CHECK(ask("n0", CHash::kWeightMax).refusal == 0);  // is a member
  CHECK(ask("x", 1'000).refusal == 0);

  // A person meets one that was removed.
  REQUIRE(run(RemoveCommand{{"n0"}}));
  REQUIRE(run(InsertCommand{{{"y", kHere, CHash::kWeightMax}}}));
  auto n0 = *gossip.state().find("n0");
  CHECK(ask("n0", CHash::kWeightMax).refusal == static_cast<std::uint16_t>(Errc::too_large));
  n0.presence.removed = false;  // it has not heard
  n0.presence.changed_at -= 1s;
  std::ignore = gossip.on_command(kThen, 5, MeetCommand{.endpoint = kHere});
  std::ignore = gossip.on_dialed(kThen, 5, NodeId("n0"));
  const MeetAnswer answer{.attempt = 5, .ring = "ring", .state = {.members = {n0}}};
  const auto ended = all_of<Done>(gossip.on_message(kThen, "n0", answer));
  REQUIRE(ended.size() == 1);
  REQUIRE_FALSE(ended[0].result);
  CHECK(ended[0].result.error().code() == Errc::too_large);
  CHECK_FALSE(gossip.state().present("n0"));
}

TEST_CASE("gossip: whom a meet cannot make a member, since too many are remembered, is told") {
  auto gossip = make("a");
  for (std::size_t i = 0; i < RingState::kRecordsMax;) {
    RingUpdate update{"ring"};
    for (; update.delta.members.size() < RingDelta::kMembersMax && i < RingState::kRecordsMax; ++i) {
      update.delta.members.push_back(member(("r" + std::to_string(i)).c_str()));
      update.delta.members.back().presence.removed = true;
    }
    std::ignore = gossip.on_message(kThen, "b", update);
  }
  REQUIRE(gossip.state().record_count() == RingState::kRecordsMax);
  const auto answers = all_of<Send>(gossip.on_message(kThen, "new", MeetAsk{1, "", true, member("new")}));
  REQUIRE(answers.size() == 1);
  CHECK(std::get<MeetAnswer>(answers[0].message).refusal == static_cast<std::uint16_t>(Errc::overloaded));
}

TEST_CASE("gossip: who asks for the state again and again is answered no more, and others are") {
  auto gossip = make("a");
  auto at = kThen;
  std::size_t refused = 0;
  const auto answers = [&](const char* from, const GossipMessage& message) {
    const auto actions = gossip.on_message(at, from, message);
    refused += count_events<MessageRefused>(actions);
    return all_of<Send>(actions).size();
  };
  RingClockPart part{.ring = "ring", .after = "b", .entries = {}, .answer = true};
  part.state.fill(1);
  std::size_t answered = 0;
  for (int i = 0; i < 1'000; ++i) {
    answered += answers("b", RingPull{"ring"});
    answered += answers("b", part);
    answered += answers("b", RingDigest{.ring = "ring", .horizon = RingState::horizon(at.wall)});
  }
  CHECK(answered >= 16);
  CHECK(answered < 200);
  CHECK(refused == 1);  // at a time
  CHECK(answers("c", RingPull{"ring"}) > 0);
  CHECK(answers("b", RingPull{"ring"}) == 0);
  at.now += 1s;
  CHECK(answers("b", RingPull{"ring"}) > 0);
}

TEST_CASE("gossip: to ask costs the same, whatever is asked with") {
  auto gossip = make("a");
  auto at = kThen;
  const auto insert = [&](int first, int count) {
    InsertCommand members;
    for (int i = 0; i < count; ++i)
      members.members.push_back({NodeId("m" + std::to_string(first + i)), kHere, 1});
    REQUIRE(all_of<Done>(gossip.on_command(at, 1, members)).at(0).result);
  };
  insert(0, 500);
  insert(500, 500);
  RingUpdate outdated{"ring"};
  for (int i = 0; i < 1'000; ++i) {
    auto old = *gossip.state().find(NodeId("m" + std::to_string(i)));
    old.weight.changed_at -= 1s;
    outdated.delta.members.push_back(old);
  }
  const auto horizon = RingState::horizon(at.wall);
  RingClockPart nearly_whole{.ring = "ring", .horizon = horizon, .through = "zzz"};
  nearly_whole.state.fill(1);
  const RingDigest equal{"ring", gossip.state().hash(horizon), horizon};
  const std::array<GossipMessage, 4> ways{RingPull{"ring"}, MeetAsk{1, "ring", true, member("m7")}, outdated,
                                          nearly_whole};
  for (const auto& way : ways) {
    CAPTURE(way.index());
    at.now += 10s;
    std::set<NodeId> told;
    std::size_t sent = 0;
    for (const auto& send : all_of<Send>(gossip.on_message(at, "m7", way))) {
      ++sent;
      if (const auto* update = std::get_if<RingUpdate>(&send.message))
        for (const auto& one : update->delta.members) told.insert(one.id);
    }
    CHECK(told.size() >= 1'000);
    CHECK(sent < 30);
    std::size_t answered = 1;
    for (int i = 1; i < 1'000; ++i)
      answered += all_of<Send>(gossip.on_message(at, "m7", way)).empty() ? 0 : 1;
    CHECK(answered >= 16);
    CHECK(answered <= 65);
    // Nor is anything compared for it now, not even what is equal.
    const auto compared = gossip.counters().digests_equal;
    std::ignore = gossip.on_message(at, "m7", equal);
    CHECK(gossip.counters().digests_equal == compared);
    CHECK_FALSE(all_of<Send>(gossip.on_message(at, "m8", RingPull{"ring"})).empty());
  }
  // Who is new gets in, and who asked too often is heard again.
  CHECK_FALSE(all_of<Send>(gossip.on_message(at, "new", MeetAsk{1, "", true, member("new")})).empty());
  CHECK(gossip.state().present("new"));
  at.now += 1s;
  for (const auto& way : ways) CHECK_FALSE(all_of<Send>(gossip.on_message(at, "m7", way)).empty());
}

TEST_CASE("gossip: who asks too often is answered no more, however many do") {
  auto gossip = make("a");
  for (int i = 0; i < 200; ++i) {
    const NodeId asker("b" + std::to_string(i));
    std::size_t answered = 0;
    for (int ask = 0; ask < 100; ++ask)
      answered += all_of<Send>(gossip.on_message(kThen, asker, RingPull{"ring"})).size();
    CHECK(answered == 64);
  }
}
