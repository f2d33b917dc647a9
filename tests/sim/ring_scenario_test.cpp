// What happens to rings in the cases that people ask about, each as a short script.
#include <doctest/doctest.h>

#include <algorithm>

#include "cluster/sim/ring_cluster.hpp"

using namespace cluster;
using namespace cluster::sim;
using namespace cluster::proto;

namespace {

/// Nodes a, b, c, ... in rings of the given sizes, all of the name "ring".
class Rings {
 public:
  explicit Rings(std::initializer_list<std::size_t> sizes, NetworkFaults faults = {}) : cluster(1, faults) {
    for (const auto size : sizes) {
      const auto first = cluster.size();
      for (std::size_t i = 0; i < size; ++i) {
        const auto place = cluster.add({.id = name(cluster.size())});
        if (place != first) REQUIRE(meet(place, first));
      }
    }
    run(5s);
  }

  static NodeId name(std::size_t place) { return NodeId(std::string(1, static_cast<char>('a' + place))); }
  Result<void> meet(std::size_t place, std::size_t other) {
    return cluster.run(place, MeetCommand{.endpoint = RingCluster::endpoint_of(other)});
  }
  void run(Duration span) { cluster.simulator().run_for(span); }
  const RingState& state(std::size_t place) { return cluster.at(place).state(); }
  std::string members(std::size_t place) {
    std::string ids;
    for (const auto& member : state(place).members()) ids += member.id.str();
    return ids;
  }
  std::optional<MemberView> view(std::size_t place, const NodeId& id) {
    for (const auto& member : state(place).members())
      if (member.id == id) return member;
    return {};
  }

  RingCluster cluster;
};

}  // namespace

TEST_CASE("ring: two rings of three that meet become one of six, at each of the six") {
  Rings rings{3, 3};
  CHECK(rings.members(0) == "abc");
  CHECK(rings.members(5) == "def");
  REQUIRE(rings.meet(1, 4));
  const auto took = rings.cluster.run_until_converged(5s);
  REQUIRE(took.has_value());
  for (std::size_t place = 0; place < 6; ++place) CHECK(rings.members(place) == "abcdef");
  for (std::size_t place = 0; place < 6; ++place) CHECK(rings.cluster.connections(place).size() == 5);
}

TEST_CASE("ring: a meet is retried until it is acknowledged, and fails with a reason if nobody is there") {
  Rings rings{1, 1};
  rings.cluster.network().set_faults({.loss = 0.7});
  CHECK(rings.cluster.run(0, MeetCommand{.endpoint = RingCluster::endpoint_of(1), .timeout = 60s}));
  const auto nobody = rings.cluster.run(0, MeetCommand{.endpoint = RingCluster::endpoint_of(9)});
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code() == Errc::unreachable);
  CHECK(nobody.error().message() == "Node at localhost:10009 did not meet: connection refused");
}

TEST_CASE("ring: nodes of different rings do not meet, and the reason names the other ring") {
  Rings rings{1};
  const auto bar = rings.cluster.add({.id = "bar", .ring = "x"});
  const auto refused = rings.meet(0, bar);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message() == "Node 'bar' belongs to ring 'x'");
  CHECK(rings.members(0) == "a");
}

TEST_CASE(
    "ring: a node in no ring takes the ring of the one it meets, whoever asks; two in none have nothing to "
    "share") {
  Rings rings{1};
  const auto y = rings.cluster.add({.id = "y", .ring = ""}), z = rings.cluster.add({.id = "z", .ring = ""});
  CHECK_FALSE(rings.meet(y, z));
  REQUIRE(rings.meet(y, 0));
  CHECK(rings.cluster.at(y).ring() == "ring");
  REQUIRE(rings.meet(y, z));
  CHECK(rings.cluster.at(z).ring() == "ring");
  CHECK(rings.cluster.run_until_converged(5s));
  CHECK(rings.members(0) == "ayz");
}

TEST_CASE("ring: a node that dials itself is told so, and nothing changes") {
  Rings rings{2};
  const auto version = rings.state(0).version();
  const auto refused = rings.meet(0, 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::refused);
  CHECK(rings.state(0).version() == version);
}

TEST_CASE("ring: join in a ring is refused with its name, in none it is taken, and its own name is fine") {
  Rings rings{1};
  const auto refused = rings.cluster.run(0, JoinCommand{"x"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message() == "Node already belongs to ring 'ring'");
  CHECK(rings.cluster.run(0, JoinCommand{"ring"}));
  CHECK_FALSE(rings.cluster.run(0, JoinCommand{""}));
  REQUIRE(rings.cluster.run(0, LeaveCommand{}));
  CHECK(rings.cluster.run(0, JoinCommand{"x"}));
  CHECK(rings.cluster.at(0).ring() == "x");
}

TEST_CASE("ring: two inserts at two nodes at the same time both stay") {
  Rings rings{3};
  rings.cluster.command(0, InsertCommand{{{"x", {"h", 1}}}});
  rings.cluster.command(1, InsertCommand{{{"y", {"h", 2}}}});
  REQUIRE(rings.cluster.run_until_converged(5s));
  for (std::size_t place = 0; place < 3; ++place) CHECK(rings.members(place) == "abcxy");
}

TEST_CASE(
    "ring: concurrent edits that contradict each other raise a conflict, sequential ones and independent "
    "ones do not") {
  Rings rings{3};
  const auto conflicts = [&] {
    std::size_t sum = 0;
    for (std::size_t place = 0; place < 3; ++place) sum += rings.cluster.count_events<ConflictFound>(place);
    return sum;
  };
  for (std::uint32_t weight = 5; weight < 10; ++weight) {  // one after the other
    REQUIRE(rings.cluster.run(weight % 3, UpdateCommand{.id = "c", .weight = weight}));
    rings.run(2s);
  }
  CHECK(conflicts() == 0);
  rings.cluster.command(0, UpdateCommand{.id = "c", .weight = 30});  // different fields
  rings.cluster.command(1, UpdateCommand{.id = "c", .endpoint = Endpoint{"elsewhere", 7}});
  rings.run(2s);
  CHECK(conflicts() == 0);
  rings.cluster.command(0, UpdateCommand{.id = "c", .weight = 40});
  rings.cluster.command(1, UpdateCommand{.id = "c", .weight = 50});
  rings.run(2s);
  CHECK(conflicts() > 0);
  CHECK(rings.cluster.converged());
  const auto before = conflicts();
  rings.cluster.command(0, InsertCommand{{{"x", {"h", 1}}}});
  rings.run(2s);
  rings.cluster.command(0, UpdateCommand{.id = "x", .weight = 40});
  rings.cluster.command(1, RemoveCommand{{"x"}});
  rings.run(2s);
  CHECK(conflicts() > before);
  CHECK(rings.members(0) == "abc");  // the removal holds
}

TEST_CASE("ring: an update of a node's port reaches all, who connect to the new one") {
  Rings rings{4};
  REQUIRE(rings.cluster.run(0, UpdateCommand{.id = "d", .endpoint = Endpoint{"localhost", 4711}}));
  REQUIRE(rings.cluster.run_until_converged(5s));
  for (std::size_t place = 0; place < 3; ++place)
    CHECK(rings.cluster.connections(place).at("d") == Endpoint{"localhost", 4711});
  CHECK(rings.view(3, "d")->endpoint.port == 4711);  // d does not insist: the update is of its present boot
}

TEST_CASE("ring: a node that restarts at once stands by its own endpoint") {
  Rings rings{3};
  REQUIRE(rings.cluster.run(0, UpdateCommand{.id = "c", .endpoint = Endpoint{"localhost", 4711}}));
  rings.run(2s);
  rings.cluster.restart(2, true);
  REQUIRE(rings.meet(2, 0));
  rings.run(3s);
  for (std::size_t place = 0; place < 3; ++place)
    CHECK(rings.view(place, "c")->endpoint == RingCluster::endpoint_of(2));
}

TEST_CASE("ring: a removed node is told, is in no ring, and does not come back by itself") {
  for (const bool force : {false, true}) {
    CAPTURE(force);
    Rings rings{3};
    REQUIRE(rings.cluster.run(0, RemoveCommand{{"c"}, force}));
    rings.run(3s);
    CHECK(rings.cluster.at(2).ring().empty());
    CHECK(rings.members(2) == "c");
    CHECK(rings.cluster.count_events<RingRemoved>(2) == 1);
    CHECK(rings.cluster.connections(2).empty());
    CHECK(rings.cluster.connections(0).size() == 1);
    rings.run(60s);
    CHECK(rings.members(0) == "ab");
    REQUIRE(rings.meet(2, 0));  // only a person brings it back
    rings.run(3s);
    for (std::size_t place = 0; place < 3; ++place) CHECK(rings.members(place) == "abc");
    rings.run(60s);
    CHECK(rings.members(1) == "abc");
  }
}

TEST_CASE(
    "ring: removed while down, then restarted: told if it has its state, alone if not, back in neither "
    "case") {
  for (const bool with_state : {true, false}) {
    CAPTURE(with_state);
    Rings rings{3};
    rings.cluster.stop(2);
    REQUIRE(rings.cluster.run(0, RemoveCommand{{"c"}}));
    rings.run(10s);
    rings.cluster.restart(2, with_state);
    rings.run(30s);
    CHECK(rings.members(0) == "ab");
    CHECK(rings.members(1) == "ab");
    CHECK(rings.members(2) == "c");
    const auto refused =  // the automatic meet of a restart is no person's decision
        rings.cluster.run(2, MeetCommand{.endpoint = RingCluster::endpoint_of(0), .revive = false});
    if (!with_state) {
      REQUIRE_FALSE(refused);
      CHECK(refused.error().message() == "Node 'c' was removed from ring 'ring'");
    }
    rings.run(3s);
    CHECK(rings.members(0) == "ab");
    CHECK(rings.cluster.at(2).ring().empty());
  }
}

TEST_CASE("ring: a node removed elsewhere is a member again once it is inserted elsewhere") {
  Rings rings{3};
  REQUIRE(rings.cluster.run(0, RemoveCommand{{"c"}}));
  rings.run(3s);
  REQUIRE(rings.cluster.at(2).ring().empty());
  REQUIRE(rings.cluster.run(1, InsertCommand{{{"c", RingCluster::endpoint_of(2), 9}}}));
  rings.run(5s);
  CHECK(rings.cluster.at(2).ring() == "ring");
  for (std::size_t place = 0; place < 3; ++place) {
    CHECK(rings.members(place) == "abc");
    CHECK(rings.view(place, "c")->weight == 9);
  }
}

TEST_CASE("ring: a leave spreads, and the one who left answers whoever has not heard") {
  Rings rings{4};
  REQUIRE(rings.cluster.run(3, LeaveCommand{}));
  CHECK(rings.cluster.at(3).ring().empty());
  CHECK(rings.cluster.count_events<RingLeft>(3) == 1);
  rings.run(3s);
  for (std::size_t place = 0; place < 3; ++place) CHECK(rings.members(place) == "abc");
}

TEST_CASE("ring: leave while partitioned takes effect here within 5 s, and there once the network heals") {
  Rings rings{3};
  rings.cluster.network().partition({{0, 1}, {2}});
  const auto start = rings.cluster.simulator().now();
  REQUIRE(rings.cluster.run(2, LeaveCommand{}));
  CHECK(rings.cluster.simulator().now() - start <= 5s);
  CHECK(rings.cluster.at(2).ring().empty());
  rings.run(10s);
  CHECK(rings.members(0) == "abc");
  rings.cluster.network().heal();
  rings.run(10s);
  CHECK(rings.members(0) == "ab");
  CHECK(rings.members(1) == "ab");
}

TEST_CASE("ring: a forced leave does not wait for an acknowledgement") {
  Rings rings{3};
  rings.cluster.network().partition({{0, 1}, {2}});
  const auto start = rings.cluster.simulator().now();
  REQUIRE(rings.cluster.run(2, LeaveCommand{.force = true}));
  CHECK(rings.cluster.simulator().now() == start);
}

TEST_CASE("ring: leave, then join, then meet works, as often as one likes") {
  Rings rings{3};
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    REQUIRE(rings.cluster.run(2, LeaveCommand{}));
    REQUIRE(rings.cluster.run(2, JoinCommand{"ring"}));
    REQUIRE(rings.meet(2, 0));
    rings.run(5s);
    for (std::size_t place = 0; place < 3; ++place) CHECK(rings.members(place) == "abc");
  }
}

TEST_CASE("ring: a restart without state and with the clock set back loses no edit, old or new") {
  for (const auto back : {-1s, -120s}) {
    CAPTURE(back.count());
    Rings rings{3};
    rings.run(30s);
    REQUIRE(rings.cluster.run(2, InsertCommand{{{"x", {"h", 1}, 7}}}));
    REQUIRE(rings.cluster.run(0, UpdateCommand{.id = "c", .weight = 33}));
    rings.run(5s);
    rings.cluster.restart(2, false, back);
    REQUIRE(rings.cluster.run(2, InsertCommand{{{"y", {"h", 2}, 8}}}));  // before it has heard of anybody
    rings.run(5s);
    REQUIRE(rings.cluster.run(2, UpdateCommand{.id = "x", .weight = 9}));
    rings.run(5s);
    CHECK(rings.cluster.converged());
    for (std::size_t place = 0; place < 3; ++place) {
      CHECK(rings.members(place) == "abcxy");
      CHECK(rings.view(place, "x")->weight == 9);
      CHECK(rings.view(place, "y")->weight == 8);
      CHECK(rings.view(place, "c")->weight == 33);
      CHECK(rings.view(place, "c")->endpoint == RingCluster::endpoint_of(2));
      CHECK(rings.cluster.at(place).counters().whole_states == 0);
    }
    CHECK(rings.cluster.count_events<DuplicateId>(2) == 0);
  }
}

TEST_CASE(
    "ring: of two processes with one id in rings that meet one stays; the other is told, and is alone") {
  Rings rings{3};
  rings.run(5s);
  const auto friend_of_twin = rings.cluster.add({.id = "d"});
  const auto twin = rings.cluster.add({.id = "c"});  // at another place, its clock as good
  REQUIRE(rings.meet(twin, friend_of_twin));
  REQUIRE(rings.meet(friend_of_twin, 0));
  rings.run(30s);
  const bool twin_stays = rings.cluster.links().count(twin) > 0;
  const auto stays = twin_stays ? twin : 2, out = twin_stays ? 2 : twin;
  CHECK(rings.cluster.count_events<DuplicateId>(out) > 0);  // by which a node ends itself
  CHECK(rings.cluster.links().count(out) == 0);
  CHECK(rings.cluster.links().count(stays) == 3);
  for (const auto place : {std::size_t{0}, std::size_t{1}, friend_of_twin}) {
    CHECK(rings.members(place) == "abcd");
    CHECK(rings.view(place, "c")->endpoint == RingCluster::endpoint_of(stays));
  }
  const auto sent = rings.cluster.network().counters().sent;
  rings.run(10s);
  CHECK(rings.cluster.network().counters().sent - sent < 200);  // no endless argument
}

TEST_CASE("ring: an idle ring costs each node a hundred bytes a second, whatever its size") {
  for (const std::size_t size : {3, 30}) {
    CAPTURE(size);
    RingCluster cluster(1, {});
    for (std::size_t i = 0; i < size; ++i) cluster.add({.id = NodeId("node" + std::to_string(i))});
    for (std::size_t i = 1; i < size; ++i)
      REQUIRE(cluster.run(i, MeetCommand{.endpoint = RingCluster::endpoint_of(i - 1)}));
    REQUIRE(cluster.run_until_converged(30s));
    cluster.simulator().run_for(5s);
    const auto before = cluster.network().counters().bytes;
    cluster.simulator().run_for(100s);
    const auto per_node_second = (cluster.network().counters().bytes - before) / (100 * size);
    CAPTURE(per_node_second);
    CHECK(per_node_second <= 100);
  }
}

TEST_CASE("ring: an edit in a ring of a hundred is everywhere within 1 s without loss") {
  RingCluster cluster(1, {});
  for (std::size_t i = 0; i < 100; ++i) cluster.add({.id = NodeId("node" + std::to_string(i))});
  for (std::size_t i = 1; i < 100; ++i)
    cluster.command(i, MeetCommand{.endpoint = RingCluster::endpoint_of(0), .timeout = 60s});
  cluster.simulator().run_for(10s);
  REQUIRE(cluster.run_until_converged(30s));
  REQUIRE(cluster.at(57).state().present_count() == 100);
  REQUIRE(cluster.run(57, InsertCommand{{{"x", {"h", 1}}}}));
  const auto took = cluster.run_until_converged(5s);
  REQUIRE(took.has_value());
  CHECK(*took <= 1s);
}

TEST_CASE("ring: minsert is all or nothing") {
  Rings rings{2};
  CHECK_FALSE(rings.cluster.run(0, InsertCommand{{{"x", {"h", 1}}, {"y", {"h", 0}}}}));
  CHECK_FALSE(rings.cluster.run(0, InsertCommand{{{"x", {"h", 1}}, {"y", {"h", 1}, 70'000}}}));
  CHECK(rings.members(0) == "ab");
  CHECK(rings.cluster.run(0, InsertCommand{{{"x", {"h", 1}}, {"y", {"h", 2}, 7}}}));
  CHECK(rings.view(0, "y")->weight == 7);
  CHECK(rings.cluster.run(0, RemoveCommand{{"x", "y", "never heard of"}}));
  CHECK(rings.members(0) == "ab");
  CHECK_FALSE(rings.cluster.run(0, RemoveCommand{{"b", "a"}}));  // not itself
  CHECK(rings.members(0) == "ab");
}

TEST_CASE("ring: what a node with a wrong clock edits reaches nobody and hinders nobody, and it comes back") {
  Rings rings{4};
  const auto weight = [&](std::size_t place) { return rings.view(place, "c")->weight; };
  rings.cluster.set_clock(3, std::chrono::hours(9'000));
  CHECK_FALSE(rings.cluster.run(3, UpdateCommand{.id = "c", .weight = 50}));
  REQUIRE(rings.cluster.run(3, UpdateCommand{.id = "c", .weight = 50, .force = true}));
  rings.run(20s);
  CHECK(weight(3) == 50);
  for (std::uint32_t edit = 60; edit < 66; ++edit) {
    REQUIRE(rings.cluster.run(edit % 3, UpdateCommand{.id = "c", .weight = edit}));
    rings.run(2s);
    for (std::size_t place = 0; place < 3; ++place) CHECK(weight(place) == edit);
  }
  const auto horizon = RingState::horizon(rings.cluster.wall(0));
  for (std::size_t place = 1; place < 3; ++place)
    CHECK(rings.state(place).hash(horizon) == rings.state(0).hash(horizon));

  rings.cluster.set_clock(3, 0s);
  const auto refused = rings.cluster.run(3, UpdateCommand{.id = "c", .weight = 70});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().find("ahead of its clock") != std::string::npos);
  rings.cluster.restart(3, false);
  REQUIRE(rings.meet(3, 0));
  REQUIRE(rings.cluster.run_until_converged(20s));
  CHECK(weight(3) == 65);
  CHECK(rings.cluster.run(3, UpdateCommand{.id = "c", .weight = 70}));
  rings.run(2s);
  CHECK(weight(0) == 70);
}
