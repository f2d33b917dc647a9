#include <doctest/doctest.h>

#include <string>

#include "cluster/base/rng.hpp"
#include "net_support.hpp"
#include "ports.hpp"

using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

TEST_CASE("net: nodes that dial each other at the same time end with one connection, and lose no message") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    auto a_config = config_of("a", seed);
    auto b_config = config_of("b", seed + 1000);
    TestNode a(std::move(a_config));
    TestNode b(std::move(b_config));
    a.kernel->add_peer("b", b.at());
    b.kernel->add_peer("a", a.at());
    // Random turns, so that the two handshakes interleave in many ways; messages from the start on.
    std::size_t sent_a = 0;
    std::size_t sent_b = 0;
    const auto done = [&] {
      return a.connected_to("b") && b.connected_to("a") && a.received == sent_b && b.received == sent_a &&
             sent_a > 20;
    };
    const Instant deadline = MonotonicClock::now() + 10s;
    while (!done() && MonotonicClock::now() < deadline) {
      if (sent_a < 50 && rng.chance(0.4)) REQUIRE(a.send("b", std::to_string(sent_a++)));
      if (sent_b < 50 && rng.chance(0.4)) REQUIRE(b.send("a", std::to_string(sent_b++)));
      if (sent_a == 0) continue;
      (rng.chance(0.5) ? a : b).kernel->poll(Duration::zero());
    }
    REQUIRE(done());
    for (std::size_t i = 0; i < a.messages.size(); ++i) CHECK(a.messages[i].text == std::to_string(i));
    for (std::size_t i = 0; i < b.messages.size(); ++i) CHECK(b.messages[i].text == std::to_string(i));
    // It stays at one: nothing is replaced or dialled any more.
    drive(
        {&a, &b}, [] { return false; }, 3ms);
    CHECK(a.downs.empty());
    CHECK(b.downs.empty());
    CHECK(a.ups.size() == 1);
    CHECK(b.ups.size() == 1);
  }
}

TEST_CASE("net: two that dial each other by address alone end with one connection, and both dials succeed") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    TestNode a("a");
    TestNode b("b");
    std::optional<Result<PeerInfo>> from_a;
    std::optional<Result<PeerInfo>> from_b;
    a.kernel->dial(b.at(), 5s, [&](Result<PeerInfo> r) { from_a = std::move(r); });
    b.kernel->dial(a.at(), 5s, [&](Result<PeerInfo> r) { from_b = std::move(r); });
    const Instant deadline = MonotonicClock::now() + 10s;
    while (!(from_a && from_b) && MonotonicClock::now() < deadline)
      (rng.chance(0.5) ? a : b).kernel->poll(Duration::zero());
    REQUIRE(from_a);
    REQUIRE(from_b);
    REQUIRE(*from_a);
    REQUIRE(*from_b);
    CHECK(from_a->value().id == NodeId("b"));
    CHECK(from_b->value().id == NodeId("a"));
    drive(
        {&a, &b}, [] { return false; }, 3ms);
    REQUIRE(a.ups.size() == 1);
    REQUIRE(b.ups.size() == 1);
    CHECK(a.downs.empty());
    CHECK(b.downs.empty());
    CHECK(a.send("b", "x"));
    CHECK(drive({&a, &b}, [&] { return b.received == 1; }));
  }
}

TEST_CASE("net: a peer's next life takes over, with its new boot, and gets what was queued in between") {
  TestNode foo("foo");
  auto config = config_of("bar", 2);
  config.advertised.port = testing::free_port();
  {
    auto earlier = config;
    earlier.boot.number = 1;
    TestNode bar(std::move(earlier));
    foo.kernel->add_peer("bar", bar.at());
    REQUIRE(drive({&foo, &bar}, [&] { return foo.connected_to("bar"); }));
  }
  REQUIRE(drive({&foo}, [&] { return foo.downs.size() == 1; }));
  CHECK(foo.send("bar", "while down"));
  TestNode bar(std::move(config));
  REQUIRE(drive({&foo, &bar}, [&] { return bar.received == 1; }));
  CHECK(foo.ups.at(1).boot.number == 2);
}

TEST_CASE("net: a second living process with a peer's id is refused, and told why; the first one stays") {
  TestNode foo("foo");
  TestNode first("bar", 1);
  TestNode second("bar", 2);  // newer, but the first one lives
  first.kernel->add_peer("foo", foo.at());
  REQUIRE(drive({&foo, &first}, [&] { return first.connected_to("foo"); }));
  second.kernel->add_peer("foo", foo.at());
  REQUIRE(drive({&foo, &first, &second}, [&] { return !second.lost.empty(); }));
  CHECK(second.lost[0].second.code() == Errc::duplicate_id);
  CHECK(foo.downs.empty());
  CHECK(foo.ups.size() == 1);

  std::optional<Result<PeerInfo>> answer;
  second.kernel->dial(foo.at(), 5s, [&](Result<PeerInfo> r) { answer = std::move(r); });
  REQUIRE(drive({&foo, &first, &second}, [&] { return answer.has_value(); }));
  CHECK(answer->error().code() == Errc::duplicate_id);
}

TEST_CASE("net: an id whose holder answers no more goes to the newer boot") {
  auto config = config_of("foo");
  config.limits.duplicate_timeout = 100ms;
  TestNode foo(std::move(config));
  TestNode silent("bar", 1);
  silent.kernel->add_peer("foo", foo.at());
  REQUIRE(drive({&foo, &silent}, [&] { return silent.connected_to("foo") && foo.connected_to("bar"); }));
  TestNode newer("bar", 2);
  newer.kernel->add_peer("foo", foo.at());
  REQUIRE(drive({&foo, &newer}, [&] { return newer.connected_to("foo") && foo.ups.size() == 2; }));
  CHECK(foo.ups[1].boot.number == 2);
  CHECK(foo.downs.at(0).reason == PeerDownReason::replaced);
}

TEST_CASE("net: an older process does not get the id of a silent newer one") {
  auto config = config_of("foo");
  config.limits.duplicate_timeout = 100ms;
  TestNode foo(std::move(config));
  TestNode silent("bar", 2);
  silent.kernel->add_peer("foo", foo.at());
  REQUIRE(drive({&foo, &silent}, [&] { return silent.connected_to("foo") && foo.connected_to("bar"); }));
  TestNode older("bar", 1);
  older.kernel->add_peer("foo", foo.at());
  REQUIRE(drive({&foo, &older}, [&] { return !older.lost.empty(); }));
  CHECK(older.lost[0].second.code() == Errc::duplicate_id);
}

TEST_CASE("net: two processes with one id that meet each other: the one that dials is told") {
  TestNode first("foo", 1);
  TestNode second("foo", 2);
  std::optional<Result<PeerInfo>> answer;
  second.kernel->dial(first.at(), 5s, [&](Result<PeerInfo> r) { answer = std::move(r); });
  REQUIRE(drive({&first, &second}, [&] { return answer.has_value(); }));
  CHECK(answer->error().code() == Errc::duplicate_id);
}

TEST_CASE("net: adding oneself as a peer does nothing") {
  TestNode foo("foo");
  foo.kernel->add_peer("foo", foo.at());
  CHECK(foo.kernel->peers().empty());
  CHECK(foo.send("foo", "x").error().code() == Errc::unreachable);
}

TEST_CASE("net: a peer that removed us is told by our dials who we are, until somebody tells us to stop") {
  TestNode foo("foo");
  TestNode bar("bar");
  REQUIRE(connect(foo, "foo", bar, "bar"));
  bar.kernel->remove_peer("foo", true);
  REQUIRE(drive({&foo, &bar}, [&] { return !foo.downs.empty(); }));
  CHECK(foo.downs[0].reason == PeerDownReason::goodbye);
  REQUIRE(drive({&foo, &bar}, [&] { return foo.ups.size() == 2; }));  // foo still knows bar
  foo.kernel->remove_peer("bar", true);
  REQUIRE(drive({&foo, &bar}, [&] { return foo.downs.size() == 2 && bar.downs.size() == 2; }));
  CHECK(foo.kernel->peers().empty());
  CHECK(bar.kernel->peers().empty());
}

TEST_CASE("net: the ring that a node is in is part of its HELLO, and does not hinder a connection") {
  TestNode foo("foo");
  foo.kernel->set_ring("another");
  TestNode bar("bar");
  REQUIRE(connect(foo, "foo", bar, "bar"));
  CHECK(bar.ups.at(0).ring == "another");
  CHECK(foo.ups.at(0).ring == "ring");
}

TEST_CASE("net: peers that have taken each other's places are found there") {
  TestNode foo("foo");
  TestNode bar("bar");
  TestNode baz("baz");
  foo.kernel->add_peer("bar", baz.at());
  foo.kernel->add_peer("baz", bar.at());
  foo.kernel->add_peer("ghost", bar.at());
  REQUIRE(foo.send("bar", "hello"));
  REQUIRE(drive({&foo, &bar, &baz},
                [&] { return foo.connected_to("bar") && foo.connected_to("baz") && !bar.messages.empty(); }));
  CHECK(baz.messages.empty());
  CHECK(foo.ups.size() == 2);
}

TEST_CASE("net: who listens in a peer's place and is none of the peers is left alone") {
  TestNode foo("foo");
  TestNode stranger("stranger");
  foo.kernel->add_peer("bar", stranger.at());
  REQUIRE(drive({&foo, &stranger}, [&] { return foo.kernel->counters().handshakes_failed >= 3; }));
  CHECK(foo.ups.empty());
  CHECK(stranger.ups.empty());
}
