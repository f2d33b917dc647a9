#include "cluster/node/drain_server.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/runtime/server_harness.hpp"

using namespace cluster;

namespace {

const Endpoint kPlace{"host", 1};

/// The server `drain` of the node `a`, between a ring, members and servers that are as the test says.
class Drains {
 public:
  struct Other {
    const char* id;
    std::uint32_t weight = 128;
    MemberState state = MemberState::alive;
  };

  Drains() { set({{"b"}}); }

  /// The ring's members beside `a`; without any, `a` is alone.
  void set(const std::vector<Other>& others, std::string ring = "ring") {
    std::vector<proto::MemberView> members{{.id = "a", .endpoint = kPlace, .weight = 128}};
    MemberBoard::View states{{.id = "a", .state = MemberState::alive}};
    for (const auto& other : others) {
      members.push_back({.id = other.id, .endpoint = kPlace, .weight = other.weight});
      states.push_back({.id = other.id, .state = other.state});
    }
    board->post({.ring = std::move(ring), .members = std::move(members)});
    healths->post(std::move(states));
  }

  std::uint64_t ask(Duration wait, std::uint64_t by = 0) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
    const auto id = server.start_call(DrainNode{static_cast<std::uint32_t>(ms), by});
    serve();
    return id;
  }
  std::optional<DrainState> answer_to(std::uint64_t id) {
    auto answer = server.take_answer<DrainNode>(id);
    if (!answer) return std::nullopt;
    REQUIRE(*answer);
    return answer->value();
  }
  void end(std::uint64_t by = 0) {
    server.cast(EndDrain{by});
    serve();
  }
  /// In steps, with all that is asked meanwhile answered.
  void pass(Duration time) {
    for (const Instant end = server.now() + time; server.now() < end;) {
      server.advance(std::min<Duration>(10ms, end - server.now()));
      serve();
    }
  }
  /// What the ring was told: for how long the weight is 0 from now on.
  [[nodiscard]] Duration drains_for() const { return std::max<Duration>(drains_until - server.now(), {}); }

  std::shared_ptr<RingBoard> board = std::make_shared<RingBoard>();
  std::shared_ptr<MemberBoard> healths = std::make_shared<MemberBoard>();
  ServerHarness<DrainServer> server{NodeId("a"), Ref<GossipRing>(runtime::Target{"ring"}),
                                    std::shared_ptr<const RingBoard>(board),
                                    std::shared_ptr<const MemberBoard>(healths)};
  Instant drains_until{};
  Result<void> ring_says{};
  std::optional<DrainState> kv_says =
      DrainState{.left = 3, .text = "3 keys are left"};  // none: nothing at all
  std::size_t kv_asked = 0;

 private:
  void serve() {
    for (bool any = true; any;) {
      any = false;
      for (auto& sent : server.take_sent()) {
        const auto* change = sent.as<ChangeRing>();
        REQUIRE(change != nullptr);
        if (ring_says) drains_until = server.now() + std::get<proto::DrainCommand>(change->command).time;
        if (sent.is_call()) server.answer<void>(sent, ring_says);
        any = true;
      }
      for (auto& sent : server.take_sent_events()) {
        CHECK(sent.event == AskDrained::event);
        ++kv_asked;
        if (kv_says) server.answer<DrainState>(sent, *kv_says);
        if (!kv_says) unanswered_.push_back(std::move(sent));
        any = true;
      }
    }
  }

  std::vector<ServerHarness<DrainServer>::SentEvent> unanswered_;
};

}  // namespace

TEST_CASE("drain: it is done when its servers are, and the weight stays 0 for a while in which to go") {
  Drains a;
  a.server.cast(DrainFirst{"kv"});
  const auto asked = a.ask(60s);
  a.pass(20s);
  CHECK_FALSE(a.answer_to(asked));
  CHECK(a.drains_for() > 9s);  // asked for anew, all the time
  a.kv_says = DrainState{.done = true};
  a.pass(100ms);
  CHECK(a.answer_to(asked).value().done);
  CHECK(a.drains_for() > 9s);
  a.pass(10s);
  CHECK(a.drains_for() == 0s);
}

TEST_CASE("drain: who never can hand over says so at once") {
  Drains a;
  a.server.cast(DrainFirst{"kv"});
  a.kv_says = DrainState{.failed = true, .text = "its store has failed"};
  const auto asked = a.ask(60s);
  a.pass(100ms);
  const auto state = a.answer_to(asked).value();
  CHECK_FALSE(state.done);
  CHECK(state.failed);
  CHECK(state.text == "its store has failed");
}

TEST_CASE("drain: who has failed before a drain begins keeps its weight, unless it drains in another name") {
  Drains a;
  a.server.cast(DrainFirst{"kv"});
  Duration left{};

  SUBCASE("it does not") {}
  SUBCASE("it does, for as long as it was told to") {
    std::ignore = a.answer_to(a.ask(0s, 1));
    a.pass(4s);
    left = 6s;
  }
  a.kv_says = DrainState{.failed = true, .text = "its store has failed"};
  CHECK(a.answer_to(a.ask(60s, 2)).value().failed);
  CHECK(a.drains_for() == left);
  a.end(2);
  CHECK(a.drains_for() == left);
}

TEST_CASE("drain: at the deadline it says what is left, and is not asked about it any more") {
  Drains a;
  a.server.cast(DrainFirst{"kv"});
  const auto asked = a.ask(2s);
  a.pass(1900ms);
  CHECK_FALSE(a.answer_to(asked));
  a.pass(100ms);
  const auto state = a.answer_to(asked).value();
  CHECK_FALSE(state.done);
  CHECK(state.left == 3);
  CHECK(state.text == "3 keys are left");
  const auto looks = a.kv_asked;
  a.pass(5s);
  CHECK(a.kv_asked == looks);
  // No time is one look.
  CHECK(a.answer_to(a.ask(0s)).value().left == 3);
  CHECK(a.kv_asked == looks + 1);
}

TEST_CASE("drain: a server that does not answer, or is not there yet, is waited for and named") {
  Drains a;
  CHECK(a.answer_to(a.ask(0s)).value().text == "it has just started");
  a.server.cast(DrainFirst{"kv"});
  a.kv_says.reset();
  const auto asked = a.ask(0s);
  a.pass(990ms);
  CHECK_FALSE(a.answer_to(asked));
  a.pass(10ms);
  const auto state = a.answer_to(asked).value();
  CHECK_FALSE(state.done);
  CHECK(state.text == "'kv' does not answer");
}

TEST_CASE("drain: what the ring refuses is said") {
  Drains a;
  a.server.cast(DrainFirst{"kv"});
  a.ring_says = Error(Errc::stopped, "it is leaving");
  CHECK(a.answer_to(a.ask(0s)).value().text == "it is leaving");
  CHECK(a.kv_asked == 1);  // before
}

TEST_CASE("drain: who has a clock that nobody believes says so at once") {
  Drains a;
  a.server.cast(DrainFirst{"kv"});
  a.ring_says = Error(Errc::refused, "its clock is ahead");
  const auto answer = a.answer_to(a.ask(10s));
  REQUIRE(answer);
  CHECK(answer->failed);
  CHECK(answer->text == "its clock is ahead");
}

TEST_CASE("drain: who is in no ring, or alone in one, is done at once") {
  Drains a;
  a.server.cast(DrainFirst{"kv"});
  for (const auto* ring : {"", "ring"}) {
    a.set({}, ring);
    CHECK(a.answer_to(a.ask(60s)).value().done);
    CHECK(a.drains_for() == 0s);
  }
}

TEST_CASE("drain: others that do not answer can be handed nothing, so it is never done") {
  Drains a;
  a.server.cast(DrainFirst{"kv"});
  a.kv_says = DrainState{.done = true};
  a.set({{"b", 128, MemberState::unreachable}, {"c", 0}});
  const auto asked = a.ask(60s);
  a.pass(59s);
  CHECK_FALSE(a.answer_to(asked));
  a.pass(1s);
  const auto state = a.answer_to(asked).value();
  CHECK_FALSE(state.done);
  CHECK(state.text == "no other member that stays answers");
  CHECK(a.kv_asked == 0);
}

TEST_CASE("drain: where all others leave as well it is done once none of them can stay after all") {
  Drains a;
  a.server.cast(DrainFirst{"kv"});
  a.set({{"b", 0}, {"c", 0}});
  const auto asked = a.ask(60s);
  a.pass(15'900ms);
  CHECK_FALSE(a.answer_to(asked));

  SUBCASE("they leave") {
    a.pass(100ms);
    CHECK(a.answer_to(asked).value().done);
    CHECK(a.kv_asked == 0);
  }
  SUBCASE("one stays after all, and leaves again: the time begins anew") {
    a.set({{"b", 0}, {"c", 1}});
    a.pass(100ms);
    CHECK(a.kv_asked > 0);
    a.set({{"b", 0}, {"c", 0}});
    a.pass(15'900ms);
    CHECK_FALSE(a.answer_to(asked));
    a.pass(200ms);
    CHECK(a.answer_to(asked).value().done);
  }
  SUBCASE("one stays after all, and takes what there is") {
    a.set({{"b", 0}, {"c", 1}});
    a.kv_says = DrainState{.done = true};
    a.pass(100ms);
    CHECK(a.answer_to(asked).value().done);
    CHECK(a.kv_asked > 0);
  }
}

TEST_CASE(
    "drain: the time in which all others leave counts over requests, as long as they follow each other") {
  Drains a;
  a.set({{"b", 0}});
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(a.answer_to(a.ask(0s)).value().done);
    a.pass(5s);
  }
  CHECK_FALSE(a.answer_to(a.ask(0s)).value().done);  // at 15 s
  a.pass(1s);
  CHECK(a.answer_to(a.ask(0s)).value().done);
  a.pass(11s);
  CHECK_FALSE(a.answer_to(a.ask(0s)).value().done);  // its weight was what it was, meanwhile
}

TEST_CASE("drain: who ends it ends it for himself; the weight returns when nobody has it drain any more") {
  Drains a;
  a.server.cast(DrainFirst{"kv"});
  std::ignore = a.answer_to(a.ask(0s, 1));
  a.pass(4s);
  std::ignore = a.answer_to(a.ask(0s, 2));
  a.end(3);  // has not asked for it
  CHECK(a.drains_for() == 10s);

  SUBCASE("the one who asked last") {
    a.end(2);
    CHECK(a.drains_for() == 6s);
    a.end(2);
    CHECK(a.drains_for() == 6s);
    a.end(1);
    CHECK(a.drains_for() == 0s);
  }
  SUBCASE("the one who asked first") {
    a.end(1);
    CHECK(a.drains_for() == 10s);
    a.end(2);
    CHECK(a.drains_for() == 0s);
  }
  SUBCASE("each in its time, when he says nothing more") {
    a.pass(6s);
    CHECK(a.drains_for() == 4s);
    a.end(2);
    CHECK(a.drains_for() == 0s);
  }
  SUBCASE("a wait goes on when another's ends") {
    const auto waits = a.ask(60s, 1);
    a.end(2);
    a.pass(20s);
    CHECK_FALSE(a.answer_to(waits));
    CHECK(a.drains_for() > 9s);
  }
}

TEST_CASE("drain: so many at a time, and no more until one has ended") {
  Drains a;
  a.server.cast(DrainFirst{"kv"});
  for (std::uint64_t by = 0; by < 16; ++by) CHECK(a.answer_to(a.ask(0s, by)).value().left == 3);
  CHECK(a.answer_to(a.ask(60s, 16)).value().text == "it drains for 16 others already");
  CHECK(a.answer_to(a.ask(0s, 15)).value().left == 3);
  a.end(7);
  CHECK(a.answer_to(a.ask(0s, 16)).value().left == 3);
  a.pass(10s);
  CHECK(a.answer_to(a.ask(0s, 17)).value().left == 3);
}
