// Commands before which members hand over what they hold, to members whose drains do as the test says.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cluster/node/drain.hpp"
#include "cluster/node/node.hpp"
#include "cluster/proto/command.hpp"
#include "eventually.hpp"

using namespace cluster;
using testing::eventually;

namespace {

/// What a drain of the test does, and what it was asked.
struct DrainScript {
  std::mutex mutex{};
  bool done = false;
  Duration takes{};
  std::vector<std::uint64_t> asked{};
  std::vector<std::uint64_t> ended{};
};

class ScriptedDrain : public GenServer<ScriptedDrain, DrainNode, EndDrain> {
 public:
  static constexpr bool reentrant = true;

  explicit ScriptedDrain(std::shared_ptr<DrainScript> script) : script_(std::move(script)) {}

  Task<DrainState> handle_call(DrainNode ask) {
    Duration takes{};
    {
      const std::lock_guard lock(script_->mutex);
      script_->asked.push_back(ask.by);
      takes = std::min<Duration>(script_->takes, std::chrono::milliseconds(ask.wait_ms));
    }
    if (takes > Duration::zero()) co_await sleep(takes);
    const std::lock_guard lock(script_->mutex);
    co_return DrainState{.done = script_->done, .left = script_->done ? 0u : 5u, .text = "5 keys"};
  }
  void handle_cast(const EndDrain& end) {
    const std::lock_guard lock(script_->mutex);
    script_->ended.push_back(end.by);
  }

 private:
  std::shared_ptr<DrainScript> script_;
};

NodeConfig config_of(std::size_t place) {
  NodeConfig config{
      .id = "n" + std::to_string(place), .host = "127.0.0.1", .port = 0, .cookie = "a cookie for tests"};
  config.rfactor = 3;
  config.scrypt = net::Keyring::cost_for_tests();
  config.engine.workers = 1;
  return config;
}

/// n0, which is asked, and n1 and n2, which are to go.
struct DrainedRing {
  DrainedRing() {
    for (std::size_t i = 0; i < 3; ++i) {
      auto config = config_of(i);
      if (i == 0) config.ring = "ring";
      nodes.push_back(Node::start(std::move(config)).value());
      scripts.push_back(std::make_shared<DrainScript>());
      REQUIRE(nodes.back().spawn<ScriptedDrain>({.name = "drain"}, scripts.back()));
    }
    for (std::size_t i = 1; i < nodes.size(); ++i) REQUIRE(nodes[0].meet(nodes[i].endpoint()));
    REQUIRE(eventually(
        [&] { return state_of("n1") == MemberState::alive && state_of("n2") == MemberState::alive; }));
  }

  [[nodiscard]] MemberState state_of(const char* id) const {
    const auto members = nodes[0].members();
    const auto found = std::ranges::find(members, NodeId(id), &NodeMember::id);
    return found == members.end() ? MemberState::unknown : found->state;
  }
  /// That it does not answer any more is known.
  void stop(std::size_t place) {
    const auto id = "n" + std::to_string(place);
    REQUIRE(nodes[place].stop());
    REQUIRE(eventually([&] { return state_of(id.c_str()) == MemberState::stopped; }));
  }
  void set_done(std::size_t place, bool done = true) {
    const std::lock_guard lock(scripts[place]->mutex);
    scripts[place]->done = done;
  }
  [[nodiscard]] Result<wire::Value> run(proto::CommandRequest request) {
    const auto timeout =
        request.timeout_ms == 0 ? 10s : Duration(std::chrono::milliseconds(request.timeout_ms));
    return nodes[0].call("command", "run", wire::Value::of(request), timeout);
  }
  /// That of a client that follows.
  [[nodiscard]] wire::Value follow(std::uint64_t drain = 0) {
    auto reply = run({.name = "mremove", .args = {"n1", "n2"}, .follow = true, .drain = drain});
    REQUIRE(reply);
    REQUIRE(*reply->find("ok")->boolean());
    return *std::move(reply);
  }
  [[nodiscard]] std::size_t member_count() const { return nodes[0].ring()->members.size(); }

  std::vector<Node> nodes;
  std::vector<std::shared_ptr<DrainScript>> scripts;
};

std::uint64_t number(const wire::Value& value) { return static_cast<std::uint64_t>(*value.integer()); }

}  // namespace

TEST_CASE("command: who was asked to hand over and was gone before it had is named when all are removed") {
  DrainedRing ring;
  ring.set_done(1);
  const auto first = ring.follow();
  const auto* data = first.find("data");
  REQUIRE(data != nullptr);
  CHECK(*data->find("draining")->boolean());
  CHECK(number(*data->find("left")) == 5);
  const auto drain = number(*data->find("drain"));
  CHECK(drain != 0);
  for (std::size_t place : {1u, 2u}) {
    const std::lock_guard lock(ring.scripts[place]->mutex);
    CHECK(ring.scripts[place]->asked.front() == drain);
  }
  ring.stop(2);
  const auto last = ring.follow(drain);
  CHECK(last.find("data") == nullptr);
  REQUIRE(last.find("not_handed_over") != nullptr);
  CHECK(*last.find("not_handed_over") == wire::Value(wire::Value::Array{"n2"}));
  CHECK(last.find("note")->text()->find("'n2' did not answer any more") == 0);
  CHECK(ring.member_count() == 1);
}

TEST_CASE("command: who had handed over all before it was gone is not named") {
  DrainedRing ring;
  ring.set_done(2);
  const auto drain = number(*ring.follow().find("data")->find("drain"));
  ring.stop(2);
  ring.set_done(1);
  const auto last = ring.follow(drain);
  CHECK(last.find("not_handed_over") == nullptr);
  CHECK(last.find("note") == nullptr);
  CHECK(ring.member_count() == 1);
}

TEST_CASE("command: a drain that is not done in time is ended in the name in which it was begun") {
  DrainedRing ring;
  const auto reply = ring.run({.name = "remove", .args = {"n1"}, .drain_ms = 10}).value();
  CHECK_FALSE(*reply.find("ok")->boolean());
  CHECK(*reply.find("error")->find("executed")->text() == "no");
  CHECK(ring.member_count() == 3);
  CHECK(eventually([&] {
    const std::lock_guard lock(ring.scripts[1]->mutex);
    return !ring.scripts[1]->ended.empty() && ring.scripts[1]->ended == ring.scripts[1]->asked;
  }));
}

TEST_CASE(
    "command: a removal that is waited for is answered before its client gives up, however long it drained") {
  DrainedRing ring;
  ring.set_done(1);
  ring.scripts[1]->takes = 2s;
  REQUIRE(ring.nodes[0].change(proto::InsertCommand{.members = {{NodeId("ghost"), {"127.0.0.1", 1}, 3}}}));
  const auto reply = ring.run({.name = "remove", .args = {"n1"}, .wait = true, .timeout_ms = 5'000});
  REQUIRE(reply);
  CHECK_FALSE(*reply->find("ok")->boolean());
  CHECK(*reply->find("error")->find("executed")->text() == "yes");
  CHECK(reply->find("error")->find("message")->text()->find("'ghost'") != std::string::npos);
  CHECK(ring.member_count() == 3);  // n0, n2 and the ghost
}

TEST_CASE(
    "command: who holds nothing goes at once, and who is still to start what holds something does not") {
  DrainedRing ring;
  ring.nodes.push_back(Node::start(config_of(3)).value());
  auto config = config_of(4);
  config.drain_first = {"store"};
  ring.nodes.push_back(Node::start(std::move(config)).value());
  for (const std::size_t place : {3, 4}) REQUIRE(ring.nodes[0].meet(ring.nodes[place].endpoint()));
  REQUIRE(eventually([&] {
    return ring.state_of("n3") == MemberState::alive && ring.state_of("n4") == MemberState::alive;
  }));
  const auto gone = ring.run({.name = "remove", .args = {"n3"}});
  REQUIRE(gone);
  CHECK(*gone->find("ok")->boolean());
  CHECK(gone->find("not_handed_over") == nullptr);
  const auto stays = ring.run({.name = "remove", .args = {"n4"}, .drain_ms = 300});
  REQUIRE(stays);
  REQUIRE_FALSE(*stays->find("ok")->boolean());
  CHECK(stays->find("error")->find("message")->text()->find("'store' does not answer") != std::string::npos);
  CHECK(ring.member_count() == 4);
}
