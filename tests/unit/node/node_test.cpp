#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cluster/node/gossip_ring.hpp"
#include "cluster/node/node.hpp"
#include "eventually.hpp"
#include "ports.hpp"

using namespace cluster;
using testing::eventually;

namespace {

NodeConfig config_of(std::string id, std::string ring = "", std::uint16_t port = 0) {
  NodeConfig config{.id = std::move(id), .host = "127.0.0.1", .port = port, .cookie = "a cookie for tests"};
  config.ring = std::move(ring);
  config.rfactor = 3;
  config.scrypt = net::Keyring::cost_for_tests();
  config.engine.workers = 1;
  return config;
}

Node start(std::string id, std::string ring = "", std::uint16_t port = 0) {
  return Node::start(config_of(std::move(id), std::move(ring), port)).value();
}

std::set<std::string> members(const Node& node) {
  std::set<std::string> ids;
  const auto view = node.ring();  // kept: a range-for would drop it before the first member is read
  for (const auto& member : view->members) ids.insert(member.id.str());
  return ids;
}

bool agree(const std::vector<const Node*>& nodes) {
  return std::ranges::all_of(nodes, [&](const Node* node) {
    return node->ring()->state == nodes.front()->ring()->state &&
           node->ring()->ring == nodes.front()->ring()->ring;
  });
}

}  // namespace

TEST_CASE("node: what it cannot run with is refused with the reason") {
  CHECK(Node::start(config_of("")).error().code() == Errc::invalid_argument);
  auto config = config_of("a");
  config.cookie = "";
  CHECK(Node::start(config).error().message().find("cookie") != std::string::npos);
  config = config_of("a");
  config.rfactor = 0;
  CHECK(Node::start(config).error().message().find("rfactor") != std::string::npos);
  config = config_of("a");
  config.zone = "a\nb";
  CHECK(Node::start(config).error().message().find("zone") != std::string::npos);
  auto first = start("a");
  const auto taken = Node::start(config_of("b", "", first.endpoint().port));
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code() == Errc::io);
}

TEST_CASE("nodes: three meet, come to one ring, and call each other's servers") {
  auto foo = start("foo", "ring");
  auto bar = start("bar");
  auto baz = start("baz");
  REQUIRE(foo.meet(bar.endpoint()));
  REQUIRE(baz.meet(bar.endpoint()));
  const std::set<std::string> all{"bar", "baz", "foo"};
  REQUIRE(eventually([&] { return members(foo) == all && members(bar) == all && members(baz) == all; }));
  REQUIRE(eventually([&] { return agree({&foo, &bar, &baz}); }));
  CHECK(foo.ring()->ring == "ring");
  CHECK(foo.ring()->hash == baz.ring()->hash);
  CHECK(foo.ring()->hash.weight("bar") == 3);
  // Not introduced by hand: foo learned of baz by gossip, and connects to it.
  REQUIRE(eventually([&] { return foo.ping(NodeId("baz"), 1s).has_value(); }));
  const auto info = foo.call("ring@baz", "ring_info", {}).value();
  CHECK(*info.find("ring")->text() == "ring");
  CHECK(*info.find("members")->integer() == 3);
}

TEST_CASE("nodes: two inserts at two nodes at the same time both stay") {
  auto foo = start("foo", "ring");
  auto bar = start("bar");
  REQUIRE(foo.meet(bar.endpoint()));
  const auto insert = [](const char* id, std::uint32_t weight) {
    return proto::InsertCommand{.members = {{NodeId(id), {"127.0.0.1", 1}, weight}}};
  };
  std::thread at_bar([&] { CHECK(bar.change(insert("ghost-b", 5))); });
  CHECK(foo.change(insert("ghost-a", 4)));
  at_bar.join();
  const std::set<std::string> all{"bar", "foo", "ghost-a", "ghost-b"};
  REQUIRE(eventually([&] { return members(foo) == all && members(bar) == all; }));
  CHECK(foo.ring()->hash.weight("ghost-b") == 5);
  CHECK(bar.ring()->hash.weight("ghost-a") == 4);
}

TEST_CASE("nodes: a removed node is told, falls back to no ring, and does not come back by itself") {
  auto foo = start("foo", "ring");
  auto bar = start("bar");
  auto baz = start("baz", "", testing::free_port());
  REQUIRE(foo.meet(bar.endpoint()));
  REQUIRE(foo.meet(baz.endpoint()));
  REQUIRE(eventually([&] { return members(bar).size() == 3 && members(baz).size() == 3; }));
  const auto home = baz.endpoint();
  REQUIRE(foo.change(proto::RemoveCommand{.ids = {NodeId("baz")}}));
  const std::set<std::string> two{"bar", "foo"};
  REQUIRE(eventually([&] { return members(foo) == two && members(bar) == two; }));
  REQUIRE(eventually([&] { return baz.ring()->ring.empty(); }));
  CHECK(members(baz) == std::set<std::string>{"baz"});

  SUBCASE("not even after a restart that meets the ring by itself") {
    REQUIRE(baz.stop());
    auto config = config_of("baz", "", home.port);
    config.meet = {foo.endpoint()};
    auto again = Node::start(config).value();
    REQUIRE(eventually([&] { return again.ring()->ring.empty() && members(bar) == two; }));
    CHECK(members(foo) == two);
  }
  SUBCASE("but a meet by a person begins a new life") {
    REQUIRE(foo.meet(home));
    const std::set<std::string> three{"bar", "baz", "foo"};
    REQUIRE(
        eventually([&] { return members(foo) == three && members(bar) == three && members(baz) == three; }));
  }
}

TEST_CASE("nodes: leave, then join, then meet works") {
  auto foo = start("foo", "ring");
  auto bar = start("bar");
  REQUIRE(foo.meet(bar.endpoint()));
  REQUIRE(eventually([&] { return members(bar).size() == 2; }));
  REQUIRE(bar.leave());
  REQUIRE(eventually([&] { return members(foo) == std::set<std::string>{"foo"}; }));
  CHECK(bar.ring()->ring.empty());
  REQUIRE(bar.change(proto::JoinCommand{"ring"}));
  CHECK(bar.ring()->ring == "ring");
  CHECK(bar.change(proto::JoinCommand{"other"}).error().message() == "Node already belongs to ring 'ring'");
  REQUIRE(bar.meet(foo.endpoint()));
  REQUIRE(eventually([&] { return members(foo).size() == 2 && agree({&foo, &bar}); }));
}

TEST_CASE("nodes: of two rings the meet is refused with the other's name, and nothing changes") {
  auto foo = start("foo", "one");
  auto bar = start("bar", "two");
  const auto refused = foo.meet(bar.endpoint());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message() == "Node 'bar' belongs to ring 'two'");
  CHECK(members(foo).size() == 1);
  CHECK(members(bar).size() == 1);
}

TEST_CASE("nodes: a member that restarts without any state is the same member, with its edits kept") {
  auto foo = start("foo", "ring");
  auto bar = start("bar", "", testing::free_port());
  REQUIRE(foo.meet(bar.endpoint()));
  REQUIRE(eventually([&] { return members(bar).size() == 2; }));
  REQUIRE(bar.change(proto::UpdateCommand{.id = NodeId("foo"), .weight = 9}));
  REQUIRE(eventually([&] { return foo.ring()->hash.weight("foo") == 9; }));
  const auto home = bar.endpoint();
  REQUIRE(bar.stop());
  auto config = config_of("bar", "", home.port);
  config.meet = {foo.endpoint()};
  bar = Node::start(config).value();
  REQUIRE(eventually([&] { return members(bar).size() == 2 && agree({&foo, &bar}); }));
  CHECK(bar.ring()->hash.weight("foo") == 9);
  REQUIRE(eventually([&] { return foo.ping(NodeId("bar"), 1s).has_value(); }));
}

TEST_CASE("nodes: a change of a member's port connects to the new one") {
  auto foo = start("foo", "ring");
  auto bar = start("bar");
  REQUIRE(foo.meet(bar.endpoint()));
  REQUIRE(eventually([&] { return members(bar).size() == 2; }));
  REQUIRE(bar.stop());
  auto moved = start("bar");  // another port, no ring
  REQUIRE(foo.change(proto::UpdateCommand{.id = NodeId("bar"), .endpoint = moved.endpoint()}));
  REQUIRE(eventually([&] { return foo.ping(NodeId("bar"), 1s).has_value(); }));
  REQUIRE(eventually([&] { return members(moved).size() == 2 && agree({&foo, &moved}); }));
}
