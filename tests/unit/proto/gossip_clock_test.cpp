// Gossip: clocks that are wrong.
#include <doctest/doctest.h>

#include <string>
#include <tuple>

#include "gossip_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::testing;

namespace {

RingDigest digest_at(WallTime wall) { return {"ring", {}, RingState::horizon(wall)}; }

/// A member whose clock has jumped, which it can tell from another's.
struct Jumped {
  Gossip a = make("a");
  Moment right = kThen;

  Jumped() {
    std::ignore = a.on_message(right, "b", RingUpdate{"ring", make("b").state().statement("b")});
    std::ignore = a.on_message(right, "b", digest_at(right.wall));
  }
  void pass(Duration time) {
    right.now += time;
    right.wall += std::chrono::duration_cast<WallTime::duration>(time);
  }
  [[nodiscard]] Moment wrong() const { return {right.now, right.wall + 2h}; }
  Result<void> run(Moment at, const RingCommand& what) {
    for (const auto& done : all_of<Done>(a.on_command(at, 1, what))) return done.result;
    return Error(Errc::timeout, "not done yet");
  }
  [[nodiscard]] std::uint32_t weight() const { return a.state().find("a")->weight.value; }
};

}  // namespace

TEST_CASE(
    "gossip: who has seen times far ahead of its clock edits by force alone, and lets nobody of the future "
    "in") {
  auto gossip = make("a");
  const Moment late{kThen.now, kWall + std::chrono::hours(9'000)};
  const auto edit = [&](Moment at, const RingCommand& what) {
    return all_of<Done>(gossip.on_command(at, 1, what)).at(0).result;
  };
  REQUIRE(edit(late, InsertCommand{{{"m", kHere}}}));  // its clock is wrong
  const auto refused = edit(kThen, UpdateCommand{.id = "m", .weight = 9});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::refused);
  CHECK(refused.error().message().find("ahead of its clock") != std::string::npos);
  CHECK(refused.error().message().find("-f") != std::string::npos);
  CHECK_FALSE(edit(kThen, InsertCommand{{{"n", kHere}}}));
  CHECK_FALSE(edit(kThen, RemoveCommand{{"m"}}));
  CHECK(edit(kThen, UpdateCommand{.id = "m", .weight = 9, .force = true}));
  CHECK(gossip.state().find("m")->weight.value == 9);

  auto other = make("b");
  const auto answers =
      all_of<Send>(other.on_message(kThen, "a", MeetAsk{1, "ring", true, *gossip.state().find("a")}));
  CHECK(std::get<MeetAnswer>(answers.at(0).message).refusal == 0);  // what it says of itself is of no time
  auto self = *gossip.state().find("a");
  self.endpoint.boot.number = millis(late.wall);
  const auto actions = other.on_message(kThen, "a", MeetAsk{2, "ring", true, self});
  CHECK(count_events<MessageRefused>(actions) == 1);
  const auto refusal = std::get<MeetAnswer>(all_of<Send>(actions).at(0).message);
  CHECK(refusal.refusal == static_cast<std::uint16_t>(Errc::refused));
  CHECK(refusal.text.find("ahead of the clock here") != std::string::npos);
}

TEST_CASE("gossip: a node whose clock is ahead of those of all others edits by force alone") {
  const auto edit = [](Gossip& gossip, Moment at, bool force = false) {
    return all_of<Done>(gossip.on_command(at, 1, InsertCommand{{{"x", kHere, 3}}, force})).front().result;
  };
  const Moment jumped{kThen.now + 5s, kThen.wall + 2h};
  auto alone = make("a");
  CHECK(edit(alone, jumped));  // nobody knows better
  const auto with_members = [] {
    auto a = make("a");
    for (const auto* id : {"b", "c"})
      (void)a.on_message(kThen, id, RingUpdate{"ring", make(id).state().statement(id)});
    return a;
  };
  auto gossip = with_members();
  (void)gossip.on_message(kThen, "b", digest_at(kThen.wall));
  (void)gossip.on_message(kThen, "c", RingClockPart{.ring = "ring"});  // says nothing of its clock
  const auto refused = edit(gossip, jumped);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::refused);
  CHECK(refused.error().message().find("ahead of those of all others") != std::string::npos);
  CHECK(edit(gossip, jumped, true));
  auto lied_to = with_members();  // by some
  (void)lied_to.on_message(kThen, "b", digest_at(kThen.wall - 100h));
  (void)lied_to.on_message(kThen, "c", digest_at(kThen.wall));
  CHECK(edit(lied_to, kThen));
  auto heckled = make("a");  // by who is no member
  (void)heckled.on_message(kThen, "d", digest_at(kThen.wall - 100h));
  CHECK(edit(heckled, kThen));
  auto patient = with_members();  // what was heard long ago says nothing
  (void)patient.on_message(kThen, "b", digest_at(kThen.wall));
  CHECK(edit(patient, {kThen.now + 90s, kThen.wall + 2h}));
}

TEST_CASE("gossip: whose clock is ahead leaves by force alone") {
  Jumped jumped;
  const auto refused = jumped.run(jumped.wrong(), LeaveCommand{});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::refused);
  CHECK(refused.error().message().find("ahead of those of all others") != std::string::npos);
  CHECK(refused.error().message().find("-f") != std::string::npos);
  CHECK(jumped.a.ring() == "ring");
  CHECK(jumped.a.state().present("a"));
  CHECK(jumped.run(jumped.wrong(), LeaveCommand{true}));
  CHECK(jumped.a.ring().empty());

  Jumped mended;
  CHECK_FALSE(mended.run(mended.wrong(), LeaveCommand{}));
  CHECK(mended.run(mended.right, LeaveCommand{}).error().code() == Errc::timeout);  // waits to be heard
  CHECK_FALSE(mended.a.state().present("a"));
}

TEST_CASE("gossip: who does not take the removal of a member that leaves does not acknowledge it") {
  const auto acknowledged = [](const RingDelta& edits) {
    auto b = make("b");
    std::ignore = b.on_message(kThen, "a", RingUpdate{"ring", make("a").state().statement("a")});
    for (const auto& send : all_of<Send>(b.on_message(kThen, "a", LeaveNotice{1, "ring", edits})))
      if (std::holds_alternative<LeaveAck>(send.message)) return true;
    return false;
  };
  for (const auto ahead : {WallTime::duration(1h), WallTime::duration(2h)}) {
    auto a = make("a").state();
    REQUIRE(a.remove("a", kWall + ahead) == 1);
    CHECK(acknowledged(a.statement("a")) == (ahead == 1h));
  }
}

TEST_CASE("gossip: whose clock is ahead does not drain, and no drain ends by an edit that nobody takes") {
  Jumped jumped;
  const auto refused = jumped.run(jumped.wrong(), DrainCommand{10s});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::refused);
  CHECK(jumped.weight() == 128);
  CHECK(jumped.run(jumped.wrong(), DrainCommand{}));

  REQUIRE(jumped.run(jumped.right, DrainCommand{10s}));
  REQUIRE(jumped.weight() == 0);
  const auto version = jumped.a.state().version();
  CHECK(jumped.run(jumped.wrong(), DrainCommand{}));
  auto edited = *jumped.a.state().find("a");  // by somebody who had not heard of the drain
  edited.weight = {edited.presence.born, kWall - 1s, "b", 1, 9, edited.weight.replaced_at};
  std::ignore = jumped.a.on_message(jumped.wrong(), "b", RingUpdate{"ring", {.members = {edited}}});
  CHECK(jumped.weight() == 0);
  CHECK(jumped.a.state().version() == version);
  jumped.pass(5s);
  std::ignore = jumped.a.on_time(jumped.right);
  CHECK(jumped.weight() == 9);
}
