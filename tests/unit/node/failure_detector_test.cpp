#include <doctest/doctest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/node/event_log.hpp"
#include "cluster/node/failure_detector.hpp"
#include "cluster/node/node.hpp"
#include "eventually.hpp"

using namespace cluster;
using cluster::testing::eventually;

namespace {

struct Ask {
  using reply = std::int64_t;
};
class Nobody : public GenServer<Nobody, Ask> {
 public:
  std::int64_t handle_call(const Ask&) { return 1; }
};

/// Times short enough for a test, for those of a member that does not answer.
NodeConfig watched_config(std::string id, bool impatient = false) {
  NodeConfig config{.id = std::move(id), .host = "127.0.0.1", .port = 0, .cookie = "a cookie for tests"};
  config.ring = "ring";
  config.scrypt = net::Keyring::cost_for_tests();
  config.engine.workers = 1;
  if (impatient) {
    config.detector.probe_interval = 50ms;
    config.detector.probe_timeout = 20ms;
    config.detector.suspicion_min = 2s;
    config.detector.suspicion_max = 2s;
  }
  return config;
}

MemberState state_of(const Node& node, const NodeId& id) {
  for (const auto& member : node.members())
    if (member.id == id) return member.state;
  return MemberState::left;
}

/// The process `mute`, which takes connections and has no failure detector.
std::unique_ptr<ActorSystem> silent_process() {
  ActorSystemConfig silent;
  silent.net.id = "mute";
  silent.net.boot = {1, 1};
  silent.net.ring = "ring";
  silent.net.advertised = {"127.0.0.1", 0};
  silent.net.keyring =
      net::Keyring::from_cookies({"a cookie for tests"}, net::Keyring::cost_for_tests()).value();
  silent.engine.workers = 1;
  return ActorSystem::start(std::move(silent)).value();
}

/// The kinds of events that a node told of one member.
class Seen {
 public:
  Seen(Node& node, const NodeId& id) {
    node.listen_to_members([seen = seen_, id](const MemberEvent& event) {
      const std::lock_guard lock(seen->mutex);
      if (event.id == id) seen->events.push_back(event);
    });
  }
  [[nodiscard]] std::vector<MemberEvent> events() const {
    const std::lock_guard lock(seen_->mutex);
    return seen_->events;
  }

 private:
  struct State {
    std::mutex mutex;
    std::vector<MemberEvent> events;
  };
  std::shared_ptr<State> seen_ = std::make_shared<State>();  // the node may outlive this
};

}  // namespace

TEST_CASE("nodes: each holds itself and the other alive, and knows at once when the other stops") {
  auto foo = Node::start(watched_config("foo")).value();
  Seen seen(foo, "bar");
  {
    auto bar = Node::start(watched_config("bar")).value();
    REQUIRE(foo.meet(bar.endpoint()));
    REQUIRE(eventually([&] {
      return state_of(foo, "bar") == MemberState::alive && state_of(bar, "foo") == MemberState::alive;
    }));
    CHECK(state_of(foo, "foo") == MemberState::alive);
    const auto members = foo.members();
    REQUIRE(members.size() == 2);
    CHECK(members[0].id == NodeId("bar"));
    CHECK(members[0].endpoint == bar.endpoint());
    CHECK(members[1].endpoint == foo.endpoint());
  }
  REQUIRE(eventually([&] { return state_of(foo, "bar") == MemberState::stopped; }));
  REQUIRE(eventually([&] { return seen.events().size() == 2; }));
  CHECK(seen.events()[0].kind == MemberEvent::Kind::node_up);
  CHECK(seen.events()[1].kind == MemberEvent::Kind::node_down);
  CHECK(seen.events()[1].from == MemberState::alive);
  CHECK(seen.events()[1].to == MemberState::stopped);
}

TEST_CASE("nodes: calls to a member that does not answer end when it is found out, later ones fail at once") {
  const auto mute = silent_process();
  const auto server = mute->spawn<Nobody>({.name = "server"}).value();
  REQUIRE(mute->pause(server));

  auto foo = Node::start(watched_config("foo", true)).value();
  Seen seen(foo, "mute");
  REQUIRE(foo.change(proto::InsertCommand{{{"mute", mute->kernel().listening()}}}));
  REQUIRE(eventually([&] { return state_of(foo, "mute") == MemberState::alive; }));
  const auto there = foo.ref<Nobody>("server@mute").value();
  const auto open = foo.call(there, Ask{}, 60s);
  REQUIRE_FALSE(open);
  CHECK(open.error().code() == Errc::unreachable);
  CHECK(open.error().executed() == Executed::unknown);
  const auto late = foo.call(there, Ask{}, 60s);
  REQUIRE_FALSE(late);
  CHECK(late.error().code() == Errc::unreachable);
  CHECK(late.error().executed() == Executed::no);
  REQUIRE(eventually([&] { return seen.events().size() >= 3; }));
  const auto events = seen.events();
  CHECK(events[0].kind == MemberEvent::Kind::node_up);
  CHECK(events[1].kind == MemberEvent::Kind::node_suspect);
  CHECK(events[2].kind == MemberEvent::Kind::node_down);
  CHECK(events[2].to == MemberState::unreachable);
  REQUIRE(foo.change(proto::RemoveCommand{{"mute"}}));
  REQUIRE(
      eventually([&] { return state_of(foo, "mute") == MemberState::left && seen.events().size() >= 4; }));
  CHECK(foo.members().size() == 2);  // who left is still shown
}

TEST_CASE("nodes: a minority under keep-majority knows it, refuses edits, and accepts them when it is none") {
  const auto start = [](std::string id) {
    auto config = watched_config(std::move(id));
    config.partition_policy = {.kind = proto::PartitionPolicyConfig::Kind::keep_majority,
                               .stable_after = 100ms};
    return Node::start(std::move(config)).value();
  };
  auto foo = start("foo");
  const auto board = foo.member_board();  // as a server of the node would have it
  std::mutex mutex;
  std::vector<proto::Quorum> heard;
  foo.listen_to_quorum([&](const proto::Quorum& quorum) {
    const std::lock_guard lock(mutex);
    heard.push_back(quorum);
  });
  const auto insert = [&](bool force) {
    return foo.change(proto::InsertCommand{{{"ghost", {"localhost", 1}}}, force});
  };
  auto bar = start("bar");
  REQUIRE(foo.meet(bar.endpoint()));
  {
    auto baz = start("baz");
    REQUIRE(foo.meet(baz.endpoint()));
    REQUIRE(eventually([&] { return state_of(foo, "baz") == MemberState::alive; }));
    CHECK(foo.has_quorum());
    REQUIRE(bar.stop());
  }
  REQUIRE(eventually([&] { return !board->has_quorum(); }));
  CHECK_FALSE(foo.has_quorum());
  const auto refused = insert(false);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::no_quorum);
  CHECK(refused.error().message().starts_with("only 1 of the 3 members of ring 'ring' "));
  auto again = start("bar");
  REQUIRE(foo.meet(again.endpoint()));  // a member may be met
  REQUIRE(eventually([&] { return board->has_quorum(); }));
  CHECK(insert(false));
  REQUIRE(eventually([&] {
    const std::lock_guard lock(mutex);
    return heard.size() == 2;
  }));
  CHECK(heard[0] == proto::Quorum{false, 1, 3});
  CHECK(heard[1] == proto::Quorum{true, 2, 3});
  REQUIRE(foo.stop());  // before what its listener refers to
}

TEST_CASE("nodes: under remove-after a member that is silent too long is removed from the ring") {
  auto config = watched_config("foo", true);
  config.partition_policy = {
      .kind = proto::PartitionPolicyConfig::Kind::remove_after, .remove_after = 100ms, .stable_after = 50ms};
  auto foo = Node::start(std::move(config)).value();
  const auto mute = silent_process();
  REQUIRE(foo.change(proto::InsertCommand{{{"mute", mute->kernel().listening()}}}));
  REQUIRE(eventually([&] { return state_of(foo, "mute") == MemberState::alive; }));
  REQUIRE(eventually([&] { return state_of(foo, "mute") == MemberState::left; }));
  CHECK(foo.ring()->members.size() == 1);
  CHECK(foo.has_quorum());
}

TEST_CASE("nodes: a partition policy that cannot work is refused at the start") {
  auto config = watched_config("foo");
  config.partition_policy.kind = proto::PartitionPolicyConfig::Kind::static_quorum;
  const auto node = Node::start(std::move(config));
  REQUIRE_FALSE(node);
  CHECK(node.error().code() == Errc::invalid_argument);
  CHECK(node.error().message() == "a static quorum needs a number of members");
}

TEST_CASE("events: numbered from 1, oldest first, the last 1,024 of them, from any number on") {
  EventLog log;
  CHECK(log.after(0).empty());
  for (std::uint64_t i = 0; i < EventLog::kKept + 10; ++i)
    log.add(MemberEvent{.kind = MemberEvent::Kind::node_down, .id = "bar", .to = MemberState::stopped});
  const auto number = [](const wire::Value& event) { return *event.find("seq")->integer(); };
  const auto all = log.after(0);
  REQUIRE(all.size() == EventLog::kKept);
  CHECK(number(all.front()) == 11);
  CHECK(number(all.back()) == 1034);
  CHECK(*all.back().find("event")->text() == "node_down");
  CHECK(*all.back().find("state")->text() == "stopped");
  CHECK(log.after(10).size() == EventLog::kKept);
  CHECK(log.after(11).size() == EventLog::kKept - 1);
  REQUIRE(log.after(1033).size() == 1);
  CHECK(log.after(1034).empty());
  CHECK(log.after(5000).size() == EventLog::kKept);  // of an earlier process
}

TEST_CASE("events: who listens is told of each, and may look at once, until he lets go") {
  EventLog log;
  std::vector<std::size_t> seen;
  auto first = log.listen([&] { seen.push_back(log.after(0).size()); });
  const auto second = log.listen([&] { seen.push_back(100); });
  log.add(MemberEvent{.id = "bar"});
  CHECK(seen == std::vector<std::size_t>{1, 100});
  first.reset();
  log.add(MemberEvent{.id = "bar"});
  CHECK(seen == std::vector<std::size_t>{1, 100, 100});
}
