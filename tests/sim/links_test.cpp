// Connections: the real handshake over a network with faults, and which connections a ring keeps.
#include "cluster/sim/links.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "cluster/sim/ring_cluster.hpp"
#include "cluster/sim/scenario.hpp"
#include "seeds.hpp"

using namespace cluster;
using namespace cluster::sim;
using namespace cluster::proto;

namespace {

ClusterConfig proven(std::uint64_t seed, NetworkFaults faults = {}) {
  return {.seed = seed, .faults = faults, .detector = true, .links = {.handshake = true}};
}

MeetCommand meet(std::size_t other, Duration timeout = 4s) {
  return {.endpoint = RingCluster::endpoint_of(other), .timeout = timeout};
}

/// Nodes a, b, c, ... in one ring.
class ProvenRing {
 public:
  explicit ProvenRing(std::size_t count, std::uint64_t seed = 1, NetworkFaults faults = {})
      : cluster(proven(seed, faults)) {
    for (std::size_t place = 0; place < count; ++place) cluster.add({.id = node_name(place, count)});
    for (std::size_t place = 1; place < count; ++place) REQUIRE(cluster.run(place, meet(0, 60s)));
    cluster.simulator().run_for(5s);
  }
  [[nodiscard]] std::size_t members(std::size_t place) const {
    return cluster.at(place).state().present_count();
  }
  [[nodiscard]] LinkCounters counters() const { return cluster.links().counters(); }
  RingCluster cluster;
};

}  // namespace

TEST_CASE("links: nodes that meet prove themselves to each other, and each pair has one connection") {
  for (std::uint64_t seed = 1; seed <= seeds(10); ++seed) {
    CAPTURE(seed);
    ProvenRing nodes(6, seed, {.loss = 0.05, .duplication = 0.05, .reordering = 0.1});
    REQUIRE(nodes.cluster.run_until_converged(20s));
    nodes.cluster.simulator().run_for(5s);
    for (std::size_t place = 0; place < 6; ++place) {
      CHECK(nodes.members(place) == 6);
      CHECK(nodes.cluster.links().count(place) == 5);
    }
    CHECK(nodes.counters().made >= 15);
    CHECK(nodes.counters().wrong_cookies == 0);
  }
}

TEST_CASE("links: a node with another cookie never gets in, whoever dials, and hears why") {
  ProvenRing nodes(3);
  const auto stranger = nodes.cluster.add({.id = "stranger", .cookie = "not the cookie of that cluster"});
  const auto refused = nodes.cluster.run(stranger, meet(0));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::wrong_cookie);
  CHECK(refused.error().message().find("the cookies differ") != std::string::npos);
  CHECK_FALSE(nodes.cluster.run(1, meet(stranger)));
  nodes.cluster.simulator().run_for(60s);
  CHECK(nodes.cluster.links().count(stranger) == 0);
  for (std::size_t place = 0; place < 3; ++place) {
    CHECK(nodes.members(place) == 3);
    CHECK_FALSE(nodes.cluster.links().linked(place, "stranger"));
  }
  CHECK(nodes.counters().wrong_cookies >= 2);
}

TEST_CASE("links: of two dials at the same time one connection stays, the same at both ends") {
  for (std::uint64_t seed = 1; seed <= seeds(20); ++seed) {
    CAPTURE(seed);
    RingCluster cluster(proven(seed, {.delay = Latency::uniform(5ms, 6ms)}));
    cluster.add({.id = "a"});
    cluster.add({.id = "b"});
    const auto one = cluster.command(0, meet(1)), two = cluster.command(1, meet(0));
    cluster.simulator().run_for(5s);
    REQUIRE(cluster.outcome(one).has_value());
    REQUIRE(cluster.outcome(two).has_value());
    CHECK(cluster.outcome(one)->has_value());
    CHECK(cluster.outcome(two)->has_value());
    CHECK(cluster.links().count(0) == 1);
    CHECK(cluster.links().count(1) == 1);
    CHECK(cluster.links().counters().simultaneous > 0);
    const auto before = cluster.links().counters().made;
    cluster.simulator().run_for(60s);
    CHECK(cluster.links().counters().made == before);  // and it does stay
    CHECK(cluster.converged());
  }
}

TEST_CASE("links: a reset at any moment of a handshake only delays it") {
  for (auto at = 0ms; at <= 40ms; at += 1ms) {
    CAPTURE(at.count());
    RingCluster cluster(proven(3, {.delay = Latency::fixed(5ms)}));
    cluster.add({.id = "a"});
    cluster.add({.id = "b"});
    const auto command = cluster.command(1, meet(0));
    cluster.simulator().run_for(at);
    cluster.links().reset(static_cast<std::size_t>(at.count() % 2));
    cluster.simulator().run_for(3s);
    REQUIRE(cluster.outcome(command).has_value());
    CHECK(cluster.outcome(command)->has_value());
    CHECK(cluster.links().linked(0, "b"));
    CHECK(cluster.links().linked(1, "a"));
    CHECK(cluster.converged());
  }
}

TEST_CASE("links: nodes whose clocks are more than an hour apart refuse each other, others do not") {
  for (const auto skew : {59min, -59min, 61min, -61min}) {
    CAPTURE(skew.count());
    ProvenRing nodes(2);
    const auto late = nodes.cluster.add({.id = "late", .clock_skew = skew});
    const auto met = nodes.cluster.run(late, meet(0));
    const bool apart = std::chrono::abs(skew) > 1h;
    CHECK(met.has_value() != apart);
    if (apart) CHECK(met.error().code() == Errc::incompatible);
    CHECK(nodes.cluster.links().linked(0, "late") != apart);
    CHECK((nodes.counters().clocks_refused > 0) == apart);
  }
}

TEST_CASE("links: a second process of an id is refused while the first one answers, and is told so") {
  for (std::uint64_t seed = 1; seed <= seeds(5); ++seed) {
    CAPTURE(seed);
    ProvenRing nodes(3, seed);
    const auto twin = nodes.cluster.add({.id = node_name(2, 3)});
    const auto refused = nodes.cluster.run(twin, meet(0, 10s));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::duplicate_id);
    CHECK(nodes.cluster.count_events<DuplicateId>(twin) > 0);
    nodes.cluster.simulator().run_for(20s);
    CHECK(nodes.cluster.links().count(twin) == 0);
    CHECK(nodes.counters().duplicate_ids > 0);
    for (std::size_t place = 0; place < 3; ++place) {
      CHECK(nodes.members(place) == 3);
      CHECK(nodes.cluster.links().count(place) == 2);
      CHECK(nodes.cluster.count_events<RingRemoved>(place) == 0);
    }
    CHECK(nodes.cluster.at(0).state().find(node_name(2, 3))->endpoint.value == RingCluster::endpoint_of(2));
  }
}

TEST_CASE("links: who holds an id and does not answer for 2 s loses it to a newer process") {
  ProvenRing nodes(3);
  nodes.cluster.network().cut({{2}, {0, 1, 3}});
  nodes.cluster.simulator().run_for(1s);
  const auto twin = nodes.cluster.add({.id = node_name(2, 3)});
  REQUIRE(nodes.cluster.run(twin, meet(0, 10s)));
  nodes.cluster.simulator().run_for(5s);
  CHECK(nodes.cluster.links().linked(0, node_name(2, 3)));
  nodes.cluster.network().heal();
  nodes.cluster.simulator().run_for(30s);
  CHECK(nodes.cluster.count_events<DuplicateId>(2) > 0);  // by which a node ends itself
  CHECK(nodes.cluster.links().count(2) == 0);
  CHECK(nodes.cluster.at(0).state().find(node_name(2, 3))->endpoint.value == RingCluster::endpoint_of(twin));
}

TEST_CASE("links: a listener that stands still lets a handshake time out, and is dialled again") {
  RingCluster cluster(proven(1));
  cluster.add({.id = "a"});
  cluster.add({.id = "b"});
  cluster.pause(0);
  const auto command = cluster.command(1, meet(0, 60s));
  cluster.simulator().run_for(20s);
  CHECK(cluster.links().count(1) == 0);
  CHECK_FALSE(cluster.outcome(command).has_value());
  cluster.resume(0);
  cluster.simulator().run_for(5s);
  REQUIRE(cluster.outcome(command).has_value());
  CHECK(cluster.outcome(command)->has_value());
  CHECK(cluster.links().count(0) == 1);
}

TEST_CASE("links: a restarted node is proven anew, and its old connections are gone") {
  ProvenRing nodes(4);
  const auto made = nodes.counters().made;
  nodes.cluster.restart(2, true);
  nodes.cluster.simulator().run_for(5s);
  CHECK(nodes.counters().made >= made + 3);
  for (std::size_t place = 0; place < 4; ++place) CHECK(nodes.cluster.links().count(place) == 3);
}

TEST_CASE("links: on demand, connections are opened by what is sent, and closed a minute after the last") {
  ClusterConfig config{.seed = 1, .links = {.handshake = true}, .mesh_max = 4};
  config.gossip.period = 5min;  // or it would use each of so few connections within a minute
  RingCluster cluster(config);
  const std::size_t count = 60;
  std::vector<ProcessStart> starts;
  for (std::size_t place = 0; place < count; ++place) starts.push_back({.id = node_name(place, count)});
  cluster.form(starts);
  const LinkPlan plan(count, 4);
  std::size_t other = 1;
  while (plan.keeps(cluster.id(0), cluster.id(other))) ++other;
  const auto linked = [&] {
    CHECK(cluster.links().linked(0, cluster.id(other)) == cluster.links().linked(other, cluster.id(0)));
    return cluster.links().linked(0, cluster.id(other));
  };
  REQUIRE_FALSE(linked());
  REQUIRE(cluster.run(0, meet(other)));
  cluster.simulator().run_for(50s);
  CHECK(linked());
  cluster.simulator().run_for(40s);
  CHECK_FALSE(linked());
  CHECK(cluster.links().counters().closed_idle > 0);
  std::size_t standing = 0;
  for (std::size_t place = 0; place < count; ++place)
    for (std::size_t peer = 0; peer < count; ++peer)
      if (place != peer && plan.keeps(cluster.id(place), cluster.id(peer))) {
        ++standing;
        CHECK(cluster.links().linked(place, cluster.id(peer)));
      }
  CHECK(standing > 0);
}
