// Gossip: what a side without a quorum may do, and whom a meet makes a member.
#include <doctest/doctest.h>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <tuple>

#include "gossip_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::testing;

TEST_CASE("gossip: a side without a quorum changes the ring only by force; to leave it is always allowed") {
  auto gossip = make("a");
  const auto outcome = [&](const RingCommand& what) {
    return all_of<Done>(gossip.on_command(kThen, 1, what)).at(0).result;
  };
  REQUIRE(outcome(InsertCommand{{{"b", kHere}, {"c", kHere}}}));
  const auto before = gossip.state().version();
  gossip.on_quorum({.found = false, .here = 1, .members = 3});
  const std::array refused{RingCommand(InsertCommand{{{"d", kHere}}}), RingCommand(UpdateCommand{"b", {}, 7}),
                           RingCommand(RemoveCommand{{"c"}})};
  for (const auto& command : refused) {
    const auto result = outcome(command);
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::no_quorum);
    CHECK(result.error().message() ==
          "only 1 of the 3 members of ring 'ring' are on the side of 'a', which by its partition policy must "
          "not change the ring: wait for the others, ask one of them, or force it (-f)");
  }
  CHECK(gossip.state().version() == before);
  CHECK(outcome(InsertCommand{{{"d", kHere}}, true}));
  CHECK(outcome(UpdateCommand{"b", {}, 7, true}));
  CHECK(outcome(RemoveCommand{{"c"}, true}));
  CHECK(gossip.state().present_count() == 3);
  CHECK(outcome(LeaveCommand{true}));
  CHECK(gossip.ring().empty());

  auto growing = make("a");  // nobody is missing
  growing.on_quorum({.found = false, .here = 1, .members = 1});
  CHECK(all_of<Done>(growing.on_command(kThen, 1, refused[0])).at(0).result);
}

TEST_CASE("gossip: without a quorum nobody becomes a member by a meet, but members may meet") {
  const auto asks = [](const Actions& actions) {
    return std::ranges::count_if(all_of<Send>(actions), [](const Send& send) {
      return std::holds_alternative<MeetAsk>(send.message);
    });
  };
  auto gossip = make("a");
  REQUIRE(all_of<Done>(gossip.on_command(kThen, 1, InsertCommand{{{"b", kHere}, {"c", kHere}}})).size() == 1);
  gossip.on_quorum({.found = false, .here = 1, .members = 3});
  // A person is told; the automatic meet of a start is tried on.
  std::ignore = gossip.on_command(kThen, 2, MeetCommand{.endpoint = kHere});
  CHECK(asks(gossip.on_dialed(kThen, 2, NodeId("stranger"))) == 0);
  const auto ended = all_of<Done>(gossip.on_time(kThen));
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].result.error().code() == Errc::no_quorum);
  std::ignore = gossip.on_command(
      kThen, 3, MeetCommand{.endpoint = kHere, .timeout = Duration::max(), .revive = false});
  CHECK(asks(gossip.on_dialed(kThen, 3, NodeId("stranger"))) == 0);
  const Moment later{kThen.now + 10s, kWall};
  CHECK(all_of<Done>(gossip.on_time(later)).empty());
  std::ignore = gossip.on_command(later, 4, MeetCommand{.endpoint = kHere});
  CHECK(asks(gossip.on_dialed(later, 4, NodeId("b"))) == 1);

  const auto answer = [&](const char* from) {
    const MeetAsk ask{9, "ring", true, member(from)};
    for (const auto& send : all_of<Send>(gossip.on_message(later, from, ask)))
      if (const auto* found = std::get_if<MeetAnswer>(&send.message)) return *found;
    return MeetAnswer{};
  };
  CHECK(answer("stranger").refusal == static_cast<std::uint16_t>(Errc::no_quorum));
  CHECK_FALSE(gossip.state().present("stranger"));
  CHECK(answer("b").refusal == 0);

  gossip.on_quorum({.found = true, .here = 2, .members = 3});
  CHECK(asks(gossip.on_time({later.now + 10s, kWall})) == 1);
  CHECK(answer("stranger").refusal == 0);
}

TEST_CASE("gossip: who asks a side without a quorum to meet is told, or goes on asking if nobody waits") {
  for (const bool revive : {true, false}) {
    CAPTURE(revive);
    auto gossip = make("a");
    const MeetCommand meet{.endpoint = kHere, .timeout = Duration::max(), .revive = revive};
    std::ignore = gossip.on_command(kThen, 1, meet);
    std::ignore = gossip.on_dialed(kThen, 1, NodeId("b"));
    const MeetAnswer refusal{
        .attempt = 1, .refusal = static_cast<std::uint16_t>(Errc::no_quorum), .text = "too few"};
    CHECK(all_of<Done>(gossip.on_message(kThen, "b", refusal)).empty());
    const auto ended = all_of<Done>(gossip.on_time({kThen.now + 10s, kWall}));
    REQUIRE(ended.size() == (revive ? 1 : 0));
    if (revive) {
      CHECK(ended[0].result.error().code() == Errc::no_quorum);
      CHECK(ended[0].result.error().message() == "Node at localhost:7022 did not meet: too few");
    }
  }
}

namespace {

/// Two nodes that hear each other at once.
struct Pair {
  Gossip a = make("a");
  Gossip b = make("b", "");
  Moment at = kThen;

  /// All that follows from `actions` of a (or b); the outcomes of commands.
  std::vector<Result<void>> settle(Actions actions, bool of_a = true) {
    std::vector<Result<void>> results;
    std::deque<std::pair<bool, Actions>> open;
    open.emplace_back(of_a, std::move(actions));
    for (; !open.empty(); open.pop_front()) {
      const bool from_a = open.front().first;
      const auto said = std::move(open.front().second);
      auto& self = from_a ? a : b;
      auto& other = from_a ? b : a;
      for (const auto& done : all_of<Done>(said)) results.push_back(done.result);
      for (const auto& dial : all_of<Dial>(said))
        open.emplace_back(from_a, self.on_dialed(at, dial.command, other.self()));
      for (const auto& send : all_of<Send>(said))
        if (send.to == other.self())
          open.emplace_back(!from_a, other.on_message(at, self.self(), send.message));
    }
    at.now += 10s;
    at.wall += 10s;
    return results;
  }
  Result<void> meet(bool by_a, bool revive) {
    auto& asker = by_a ? a : b;
    const auto results =
        settle(asker.on_command(at, 1, MeetCommand{.endpoint = kHere, .revive = revive}), by_a);
    return results.empty() ? Result<void>(Error(Errc::internal, "no outcome")) : results.front();
  }
};

}  // namespace

TEST_CASE("gossip: no automatic meet, by whichever side, brings back who was removed; one by a person does") {
  for (const bool by_a : {true, false}) {
    CAPTURE(by_a);
    Pair pair;
    REQUIRE(pair.meet(true, true));
    REQUIRE(pair.b.ring() == "ring");
    REQUIRE(pair.settle(pair.a.on_command(pair.at, 2, RemoveCommand{{"b"}})).front());
    REQUIRE(pair.b.ring().empty());
    const auto refused = pair.meet(by_a, false);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::refused);
    CHECK(pair.b.ring().empty());
    CHECK_FALSE(pair.a.state().present("b"));
    CHECK(pair.meet(by_a, true));
    CHECK(pair.b.ring() == "ring");
    CHECK(pair.a.state().present("b"));
  }
}

TEST_CASE("gossip: who has not heard of its removal hears of it when it is met, and is not brought back") {
  Pair pair;
  REQUIRE(pair.meet(true, true));
  std::ignore = pair.a.on_command(pair.at, 2, RemoveCommand{{"b"}});  // all that is sent is lost
  const auto refused = pair.meet(true, false);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::refused);
  CHECK_FALSE(pair.a.state().present("b"));
  CHECK(pair.b.ring().empty());
}

TEST_CASE(
    "gossip: a node that drains has weight 0, until it says otherwise, or says nothing more, or leaves") {
  auto gossip = make("a");
  auto now = kThen;
  std::uint64_t commands = 0;
  const auto run = [&](const RingCommand& what) {
    return static_cast<bool>(all_of<Done>(gossip.on_command(now, ++commands, what)).at(0).result);
  };
  const auto weight = [&] { return gossip.state().find("a")->weight.value; };
  REQUIRE(run(InsertCommand{{{"b", kHere, 7}}}));
  REQUIRE(run(UpdateCommand{.id = "a", .weight = 9}));
  CHECK_FALSE(run(UpdateCommand{.id = "a", .weight = 0}));  // a state, and no weight
  CHECK_FALSE(run(UpdateCommand{.id = "b", .weight = 0}));

  REQUIRE(run(DrainCommand{10s}));
  CHECK(weight() == 0);
  CHECK(gossip.state().present("a"));
  CHECK_FALSE(gossip.state().chash(CHashConfig()).contains("a"));
  REQUIRE(run(DrainCommand{}));
  CHECK(weight() == 9);

  REQUIRE(run(DrainCommand{10s}));
  now.now += 6s;
  REQUIRE(run(DrainCommand{10s}));
  now.now += 9s;
  std::ignore = gossip.on_time(now);
  CHECK(weight() == 0);
  CHECK(gossip.next_deadline() <= now.now + 1s);
  now.now += 1s;
  std::ignore = gossip.on_time(now);
  CHECK(weight() == 9);

  REQUIRE(run(DrainCommand{10s}));
  REQUIRE(run(LeaveCommand{true}));
  CHECK_FALSE(run(DrainCommand{10s}));
  REQUIRE(run(JoinCommand{"ring"}));
  CHECK(weight() == 128);
}

TEST_CASE("gossip: who finds that an earlier process of it drained has its weight again") {
  const auto run = [](Gossip& gossip, const RingCommand& what) {
    REQUIRE(all_of<Done>(gossip.on_command(kThen, 1, what)).at(0).result);
  };
  const auto restarted = [](const SavedRing& saved) {
    Gossip again({.self = {.id = "a", .boot = {2, 1}, .endpoint = kHere, .weight = 5}, .ring = "ring"},
                 Rng(1), kThen, decode_ring_file(encode_ring_file(saved)).value());
    std::ignore = again.on_start(kThen);
    return again;
  };
  auto before = make("a");
  run(before, UpdateCommand{.id = "a", .weight = 9});
  run(before, DrainCommand{10s});
  CHECK(restarted(before.saved()).state().find("a")->weight.value == 9);
  run(before, UpdateCommand{.id = "a", .weight = 7});
  CHECK(before.state().find("a")->weight.value == 0);
  CHECK(restarted(before.saved()).state().find("a")->weight.value == 7);
  run(before, DrainCommand{});
  CHECK(before.state().find("a")->weight.value == 7);

  // Without its file: as it was started.
  auto lost = before.saved();
  run(before, DrainCommand{10s});
  lost.state = before.saved().state;
  lost.weight.reset();
  CHECK(restarted(lost).state().find("a")->weight.value == 5);
}

TEST_CASE("gossip: a weight that another gives to a node before he hears that it drains is not lost") {
  const auto later = [](std::chrono::milliseconds time) {
    return Moment{kThen.now + time, kThen.wall + time};
  };
  const auto weight = [](const Gossip& gossip) { return gossip.state().find("a")->weight.value; };
  auto a = make("a");
  auto b = make("b");
  std::ignore = b.on_message(kThen, "a", RingUpdate{"ring", a.state().statement("a")});
  const auto first = b.state().statement("a");
  std::ignore = b.on_command(later(1ms), 1, UpdateCommand{.id = "a", .weight = 9});
  const auto second = b.state().statement("a");
  std::ignore = b.on_command(later(2ms), 1, UpdateCommand{.id = "a", .weight = 8});
  std::ignore = a.on_command(later(3ms), 1, DrainCommand{10s});
  REQUIRE(weight(a) == 0);
  for (const auto& statement : {b.state().statement("a"), second, first, b.state().statement("a")}) {
    std::ignore = a.on_message(later(4ms), "b", RingUpdate{"ring", statement});
    CHECK(weight(a) == 0);
  }
  // Both know the same now, and what they know does not grow by hearing it again.
  const auto version = a.state().version();
  std::ignore = b.on_message(later(5ms), "a", RingUpdate{"ring", a.state().statement("a")});
  CHECK(weight(b) == 0);
  std::ignore = a.on_message(later(6ms), "b", RingUpdate{"ring", b.state().statement("a")});
  CHECK(a.state().version() == version);
  std::ignore = a.on_time(later(11s));
  CHECK(weight(a) == 8);
}

TEST_CASE("gossip: so many nodes are being met at a time, and no more until one is, or its time is over") {
  auto gossip = make("a");
  const auto meet = [&](Moment at, std::uint64_t command) {
    return all_of<Done>(gossip.on_command(at, command, MeetCommand{.endpoint = kHere, .timeout = 10s}));
  };
  std::uint64_t command = 0;
  std::vector<Done> done;
  while (done.empty() && command < 10'000) done = meet(kThen, ++command);
  REQUIRE(done.size() == 1);
  CHECK(done[0].command == command);
  CHECK(done[0].result.error().code() == Errc::overloaded);
  Moment later{kThen.now + 11s, kThen.wall + 11s};
  CHECK(all_of<Done>(gossip.on_time(later)).size() == command - 1);
  CHECK(meet(later, ++command).empty());
}
