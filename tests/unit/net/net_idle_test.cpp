#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "net_support.hpp"
#include "ports.hpp"

using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

namespace {

NetConfig quick(const char* id, Duration idle = 20ms) {
  auto config = config_of(id);
  config.limits.idle_timeout = idle;
  return config;
}

/// Both know each other and keep no connection.
void introduce(TestNode& a, const NodeId& a_id, TestNode& b, const NodeId& b_id) {
  a.kernel->add_peer(b_id, b.at(), Keep::on_demand);
  b.kernel->add_peer(a_id, a.at(), Keep::on_demand);
}

}  // namespace

TEST_CASE("net: a peer on demand is dialled by the first message, and not before") {
  TestNode a("a");
  TestNode b("b");
  introduce(a, "a", b, "b");
  drive(
      {&a, &b}, [] { return false; }, 20ms);
  CHECK(a.ups.empty());
  CHECK(b.ups.empty());
  CHECK(a.send("b", "hello"));
  REQUIRE(drive({&a, &b}, [&] { return b.received == 1; }));
  CHECK(b.messages[0].text == "hello");
  CHECK(a.ups.size() == 1);
}

TEST_CASE("net: a connection on demand without traffic is closed, nothing is uncertain, and the next dials") {
  TestNode a(quick("a"));
  TestNode b(quick("b"));
  introduce(a, "a", b, "b");
  for (std::size_t round = 1; round <= 3; ++round) {
    CAPTURE(round);
    CHECK(a.send("b", "x"));
    REQUIRE(drive({&a, &b}, [&] { return b.received == round; }));
    REQUIRE(drive({&a, &b}, [&] { return a.downs.size() == round && b.downs.size() == round; }));
    CHECK(a.downs.back().reason == PeerDownReason::idle);
    CHECK(b.downs.back().reason == PeerDownReason::idle);
  }
  CHECK(a.kernel->counters().uncertain == 0);
  CHECK(b.kernel->counters().uncertain == 0);
  CHECK(a.kernel->counters().closed_idle == 3);
  CHECK(a.lost.empty());
}

TEST_CASE("net: a connection that one side wants to keep stays") {
  TestNode a(quick("a", 2ms));
  TestNode b(quick("b", 2ms));
  a.kernel->add_peer("b", b.at(), Keep::on_demand);
  b.kernel->add_peer("a", a.at(), Keep::standing);
  REQUIRE(drive({&a, &b}, [&] { return a.connected_to("b") && b.connected_to("a"); }));
  const auto asked = [&] { return b.kernel->counters().frames_out; };  // each is an answer
  REQUIRE(drive({&a, &b}, [&] { return asked() >= 5; }));
  CHECK(a.downs.empty());
  CHECK(b.downs.empty());
  CHECK(a.send("b", "x"));
  CHECK(b.send("a", "y"));
  CHECK(drive({&a, &b}, [&] { return a.received == 1 && b.received == 1; }));
}

TEST_CASE("net: while somebody waits for an answer over it a connection stays") {
  TestNode a(quick("a", 2ms));
  TestNode b(quick("b", 1h));  // it is asked, and does not ask
  b.idle = false;
  introduce(a, "a", b, "b");
  CHECK(a.send("b", "x"));
  REQUIRE(drive({&a, &b}, [&] { return b.kernel->counters().frames_out >= 5; }));
  CHECK(a.downs.empty());
  b.idle = true;
  CHECK(drive({&a, &b}, [&] { return a.downs.size() == 1 && b.downs.size() == 1; }));
}

TEST_CASE("net: messages that race with the end of an idle connection arrive once and in order") {
  std::size_t ended = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    TestNode a(quick("a", 1ms));
    TestNode b(quick("b", rng.chance(0.5) ? 1ms : 3ms));
    introduce(a, "a", b, "b");
    std::size_t sent_a = 0;
    std::size_t sent_b = 0;
    Instant next{};
    const auto step = [&] {
      if (MonotonicClock::now() >= next) {  // pauses about as long as the time after which a link is idle
        next = MonotonicClock::now() + Duration(rng.between(0, Duration(3ms).count()));
        for (auto burst = rng.below(3); burst > 0; --burst) REQUIRE(a.send("b", std::to_string(sent_a++)));
        for (auto burst = rng.below(3); burst > 0; --burst) REQUIRE(b.send("a", std::to_string(sent_b++)));
      }
      (rng.chance(0.5) ? a : b).kernel->poll(Duration::zero());
    };
    const Instant end = MonotonicClock::now() + 100ms;
    while (MonotonicClock::now() < end) step();
    REQUIRE(drive({&a, &b}, [&] { return a.received == sent_b && b.received == sent_a; }));
    for (std::size_t i = 0; i < a.messages.size(); ++i) REQUIRE(a.messages[i].text == std::to_string(i));
    for (std::size_t i = 0; i < b.messages.size(); ++i) REQUIRE(b.messages[i].text == std::to_string(i));
    for (const auto* node : {&a, &b})
      for (const auto& down : node->downs) {
        const bool in_order = down.reason == PeerDownReason::idle || down.reason == PeerDownReason::replaced;
        CHECK(in_order);
      }
    CHECK(a.kernel->counters().uncertain == 0);
    CHECK(b.kernel->counters().uncertain == 0);
    ended += a.downs.size();
  }
  CHECK(ended > 40);  // else nothing raced
}

TEST_CASE("net: of twenty nodes none holds more connections than it uses, and all reach all") {
  constexpr std::size_t kNodes = 20;
  std::vector<std::unique_ptr<TestNode>> nodes;
  std::vector<NodeId> ids;
  for (std::size_t i = 0; i < kNodes; ++i) {
    ids.push_back(NodeId::parse("n" + std::to_string(i)).value());
    nodes.push_back(std::make_unique<TestNode>(quick(ids.back().str().c_str(), 200ms)));
  }
  const auto turn = [&] {
    for (auto& node : nodes) node->kernel->poll(Duration::zero());
  };
  const auto until = [&](const auto& done) {
    const Instant deadline = MonotonicClock::now() + 20s;
    while (!done() && MonotonicClock::now() < deadline) turn();
    return done();
  };
  const auto links = [&](std::size_t i) {
    std::size_t count = 0;
    for (const auto& peer : nodes[i]->kernel->peers()) count += peer.connected ? 1u : 0u;
    return count;
  };
  // A circle of standing connections; the rest on demand.
  for (std::size_t i = 0; i < kNodes; ++i)
    for (std::size_t j = 0; j < kNodes; ++j)
      if (i != j) {
        const std::size_t apart = (i + kNodes - j) % kNodes;
        const bool neighbours = apart == 1 || apart == kNodes - 1;
        nodes[i]->kernel->add_peer(ids[j], nodes[j]->at(), neighbours ? Keep::standing : Keep::on_demand);
      }
  REQUIRE(until([&] {
    for (std::size_t i = 0; i < kNodes; ++i)
      if (links(i) != 2) return false;
    return true;
  }));
  for (std::size_t i = 0; i < kNodes; ++i)
    for (std::size_t j = 0; j < kNodes; ++j)
      if (i != j) REQUIRE(nodes[i]->send(ids[j], "hello"));
  REQUIRE(until([&] {
    for (const auto& node : nodes)
      if (node->received != kNodes - 1) return false;
    return true;
  }));
  REQUIRE(until([&] {
    for (std::size_t i = 0; i < kNodes; ++i)
      if (links(i) != 2) return false;
    return true;
  }));
  for (const auto& node : nodes) {
    for (const auto& down : node->downs) CHECK(down.reason == PeerDownReason::idle);
    CHECK(node->received == kNodes - 1);
    CHECK(node->kernel->counters().uncertain == 0);
  }
}

TEST_CASE("net: what may wait only so long for a connection is not sent later") {
  TestNode a("a");
  const Endpoint at{"127.0.0.1", testing::free_port()};
  a.kernel->add_peer("b", at, Keep::on_demand);
  CHECK(a.send("b", "soon", {.lane = Lane::control, .wait_max = 5ms}));
  CHECK(a.send("b", "any time"));
  const Instant expired = MonotonicClock::now() + 10ms;
  REQUIRE(drive({&a}, [&] { return MonotonicClock::now() > expired; }));
  auto config = config_of("b", 2);
  config.advertised = at;
  TestNode b(std::move(config));
  REQUIRE(drive({&a, &b}, [&] { return b.received == 1; }));
  CHECK(b.messages[0].text == "any time");
  CHECK(a.kernel->counters().dropped == 1);
}

TEST_CASE(
    "net: a peer on demand that is gone is dialled as long as something waits, and once if it was lost") {
  TestNode a("a");
  auto b = std::make_unique<TestNode>("b");
  introduce(a, "a", *b, "b");
  CHECK(a.send("b", "x"));
  REQUIRE(drive({&a, b.get()}, [&] { return b->received == 1; }));
  b = nullptr;
  REQUIRE(drive({&a}, [&] { return a.downs.size() == 1; }));
  CHECK(a.downs[0].reason == PeerDownReason::lost);
  const auto failed = [&] { return a.kernel->peers().at(0).dials_failed; };
  REQUIRE(drive({&a}, [&] { return failed() > 0; }));
  const auto once = failed();
  drive(
      {&a}, [] { return false; }, 120ms);  // over twice the longest wait between dials
  CHECK(failed() == once);
  const auto waiting = a.send("b", "y");
  REQUIRE(waiting);
  REQUIRE(drive({&a}, [&] { return failed() >= once + 2; }));
  CHECK(a.kernel->cancel("b", *waiting));
}

TEST_CASE("net: a ping dials a peer on demand") {
  TestNode a("a");
  TestNode b("b");
  introduce(a, "a", b, "b");
  std::optional<Result<Duration>> answer;
  a.kernel->ping("b", 5s, [&](Result<Duration> r) { answer = std::move(r); });
  REQUIRE(drive({&a, &b}, [&] { return answer.has_value(); }));
  CHECK(answer->has_value());
}

TEST_CASE("net: frames about idle connections are the last known kind") {
  CHECK(wire::read_header(std::array<std::uint8_t, 8>{0, 0, 0, 1, 4, 0, 0, 0}.data()));
  CHECK_FALSE(wire::read_header(std::array<std::uint8_t, 8>{0, 0, 0, 1, 5, 0, 0, 0}.data()));
}

TEST_CASE("net: a node that stops while it asks says so to whom it is connected") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    TestNode a(quick("a", 1ms));
    TestNode b(quick("b", 1h));
    introduce(a, "a", b, "b");
    CHECK(a.send("b", "x"));
    REQUIRE(drive({&a, &b}, [&] { return b.received == 1; }));
    const Instant when = MonotonicClock::now() + Duration(rng.between(0, Duration(2ms).count()));
    drive({&a}, [&] { return MonotonicClock::now() >= when; });
    a.kernel->stop(0ms);
    REQUIRE(drive({&b}, [&] { return b.downs.size() == 1; }));
    const auto reason = b.downs[0].reason;
    const bool told = reason == PeerDownReason::stopping || reason == PeerDownReason::idle;
    CHECK(told);
  }
}
