#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "net_support.hpp"

// Cut links: what a drill does to the network.

using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

namespace {

constexpr Duration kLong = 10min;

/// Short times of what a cut makes wait.
NetConfig impatient(const char* id, std::uint64_t boot = 1) {
  auto config = config_of(id, boot);
  config.limits.connect_timeout = 20ms;
  config.limits.outage_timeout = 50ms;
  return config;
}

NetConfig patient(const char* id) {
  auto config = config_of(id);
  config.limits.outage_timeout = kLong;
  return config;
}

void cut_both(TestNode& a, const NodeId& a_id, TestNode& b, const NodeId& b_id, Duration time = kLong) {
  a.kernel->cut({b_id}, time);
  b.kernel->cut({a_id}, time);
}

/// How a ping ends.
std::optional<Errc> ping(TestNode& from, const NodeId& to, std::initializer_list<TestNode*> nodes,
                         Duration timeout = 60ms) {
  std::optional<Result<Duration>> answer;
  from.kernel->ping(to, timeout, [&](Result<Duration> result) { answer = std::move(result); });
  REQUIRE(drive(nodes, [&] { return answer.has_value(); }));
  if (*answer) return std::nullopt;
  return answer->error().code();
}

}  // namespace

TEST_CASE(
    "net: a cut link carries nothing, and neither end is told; healed, it comes up and messages go on") {
  TestNode a(patient("a"));
  TestNode b(patient("b"));
  REQUIRE(connect(a, "a", b, "b"));
  CHECK(a.send("b", "before"));
  REQUIRE(drive({&a, &b}, [&] { return b.received == 1; }));
  cut_both(a, "a", b, "b");
  CHECK(ping(a, "b", {&a, &b}) == Errc::timeout);
  CHECK(ping(b, "a", {&a, &b}) == Errc::timeout);
  for (int i = 0; i < 10; ++i) {
    CHECK(a.send("b", "swallowed"));
    CHECK(b.send("a", "swallowed"));
  }
  CHECK(ping(a, "b", {&a, &b}) == Errc::timeout);
  CHECK(a.received == 0);
  CHECK(b.received == 1);
  CHECK(a.downs.empty());
  CHECK(b.downs.empty());
  CHECK(a.connected_to("b"));
  a.kernel->heal();
  b.kernel->heal();
  REQUIRE(drive({&a, &b}, [&] { return a.ups.size() == 2 && b.ups.size() == 2; }));
  CHECK(a.downs.at(0).reason == PeerDownReason::lost);
  CHECK(a.kernel->counters().uncertain >= 10);
  CHECK(a.send("b", "after"));
  REQUIRE(drive({&a, &b}, [&] { return b.received == 2; }));
  CHECK(b.messages.back().text == "after");
  CHECK(a.received == 0);
}

TEST_CASE("net: a cut ends by itself, at both ends, without a message") {
  TestNode a(patient("a"));
  TestNode b(patient("b"));
  REQUIRE(connect(a, "a", b, "b"));
  const Instant begun = MonotonicClock::now();
  cut_both(a, "a", b, "b", 150ms);
  REQUIRE(drive({&a, &b}, [&] { return a.ups.size() == 2 && b.ups.size() == 2; }));
  CHECK(MonotonicClock::now() - begun >= 150ms);
  CHECK_FALSE(ping(a, "b", {&a, &b}, 5s).has_value());
}

TEST_CASE(
    "net: a cut that lasts ends the connection, dials fail in silence, and what waits arrives afterwards") {
  TestNode a(impatient("a"));
  TestNode b(impatient("b"));
  REQUIRE(connect(a, "a", b, "b"));
  cut_both(a, "a", b, "b");
  REQUIRE(drive({&a, &b}, [&] { return a.downs.size() == 1 && b.downs.size() == 1; }));
  CHECK(a.downs[0].reason == PeerDownReason::lost);
  const auto failed = [&] { return a.kernel->peers().front().dials_failed; };
  REQUIRE(drive({&a, &b}, [&] { return failed() >= 2; }));
  CHECK(a.kernel->peers().front().last_error.find("no answer in time") != std::string::npos);
  CHECK(a.ups.size() == 1);
  CHECK(b.ups.size() == 1);
  CHECK(b.kernel->counters().handshakes_failed == 0);
  for (int i = 0; i < 5; ++i) CHECK(a.send("b", std::to_string(i)));
  a.kernel->heal();
  b.kernel->heal();
  REQUIRE(drive({&a, &b}, [&] { return b.received == 5; }));
  for (int i = 0; i < 5; ++i) CHECK(b.messages[static_cast<std::size_t>(i)].text == std::to_string(i));
}

TEST_CASE("net: who is healed early heals the other end, too, by dialling it") {
  TestNode a(patient("a"));
  TestNode b(patient("b"));
  TestNode c(patient("c"));
  REQUIRE(connect(a, "a", b, "b"));
  REQUIRE(connect(c, "c", b, "b"));
  a.kernel->cut({"b"}, kLong);
  b.kernel->cut({"a", "c"}, kLong);
  c.kernel->cut({"b"}, kLong);
  CHECK(ping(a, "b", {&a, &b, &c}) == Errc::timeout);
  a.kernel->heal();
  REQUIRE(drive({&a, &b, &c}, [&] { return a.ups.size() == 2 && b.ups.size() == 3; }));
  CHECK_FALSE(ping(a, "b", {&a, &b, &c}, 5s).has_value());
  CHECK(ping(c, "b", {&a, &b, &c}) == Errc::timeout);  // that cut lasts
}

TEST_CASE("net: a peer's next life stays cut off until the end") {
  TestNode b(patient("b"));
  {
    TestNode first(patient("a"));
    REQUIRE(connect(first, "a", b, "b"));
    cut_both(first, "a", b, "b");
    CHECK(ping(b, "a", {&first, &b}) == Errc::timeout);
  }
  TestNode second(impatient("a", 2));
  second.kernel->add_peer("b", b.at());
  std::optional<Result<PeerInfo>> dialled;
  second.kernel->dial(b.at(), 200ms, [&](Result<PeerInfo> result) { dialled = std::move(result); });
  REQUIRE(drive({&second, &b}, [&] { return dialled.has_value(); }));
  CHECK(dialled->error().code() == Errc::timeout);
  CHECK(second.ups.empty());
  CHECK(b.ups.size() == 1);
  b.kernel->heal();
  REQUIRE(drive({&second, &b}, [&] { return second.ups.size() == 1 && b.ups.size() == 2; }));
  CHECK(b.ups[1].boot.number == 2);
}

TEST_CASE("net: who is not named goes on: other members, and clients") {
  TestNode a(patient("a"));
  TestNode b(patient("b"));
  TestNode c(patient("c"));
  auto client_config = config_of("client");
  client_config.role = Role::client;
  TestNode client(std::move(client_config));
  REQUIRE(connect(a, "a", b, "b"));
  REQUIRE(connect(a, "a", c, "c"));
  std::optional<Result<PeerInfo>> dialled;
  client.kernel->dial(a.at(), 5s, [&](Result<PeerInfo> result) { dialled = std::move(result); });
  REQUIRE(drive({&a, &client}, [&] { return dialled.has_value(); }));
  a.kernel->cut({"b", "client"}, kLong);
  b.kernel->cut({"a"}, kLong);
  CHECK(ping(a, "b", {&a, &b, &c, &client}) == Errc::timeout);
  CHECK_FALSE(ping(a, "c", {&a, &b, &c, &client}, 5s).has_value());
  CHECK_FALSE(ping(client, "a", {&a, &b, &c, &client}, 5s).has_value());
}

TEST_CASE("net: a cut peer that is dialled by its name or address does not answer; afterwards it does") {
  TestNode a(patient("a"));
  TestNode b(patient("b"));
  cut_both(a, "a", b, "b");
  const auto dial = [&](std::optional<NodeId> expected, Duration timeout) {
    std::optional<Result<PeerInfo>> result;
    const auto done = [&](Result<PeerInfo> ended) { result = std::move(ended); };
    if (expected)
      a.kernel->dial(b.at(), *expected, timeout, done);
    else
      a.kernel->dial(b.at(), timeout, done);
    REQUIRE(drive({&a, &b}, [&] { return result.has_value(); }));
    return std::move(*result);
  };
  CHECK(dial("b", 60ms).error().code() == Errc::timeout);
  CHECK(dial(std::nullopt, 60ms).error().code() == Errc::timeout);
  CHECK(a.ups.empty());
  CHECK(b.ups.empty());
  std::optional<Result<PeerInfo>> waiting;
  a.kernel->dial(b.at(), NodeId("b"), 5s, [&](Result<PeerInfo> ended) { waiting = std::move(ended); });
  a.kernel->heal();
  b.kernel->heal();
  REQUIRE(drive({&a, &b}, [&] { return waiting.has_value(); }));
  CHECK(waiting->has_value());
}

TEST_CASE("net: a peer on demand that is cut off is dialled in vain, and gets what waited afterwards") {
  TestNode a(impatient("a"));
  TestNode b(impatient("b"));
  a.kernel->add_peer("b", b.at(), Keep::on_demand);
  b.kernel->add_peer("a", a.at(), Keep::on_demand);
  cut_both(a, "a", b, "b");
  CHECK(a.send("b", "x"));
  REQUIRE(drive({&a, &b}, [&] { return a.kernel->peers().front().dials_failed >= 1; }));
  CHECK(b.received == 0);
  a.kernel->heal();
  b.kernel->heal();
  REQUIRE(drive({&a, &b}, [&] { return b.received == 1; }));
}

TEST_CASE(
    "net: a cut link takes what a socket takes; the rest waits, in order, and no thread spins over it") {
  TestNode a(patient("a"));
  TestNode b(patient("b"));
  REQUIRE(connect(a, "a", b, "b"));
  cut_both(a, "a", b, "b");
  CHECK(ping(a, "b", {&a, &b}) == Errc::timeout);
  const std::string block(32 * 1024, 'x');
  for (int i = 0; i < 64; ++i) REQUIRE(a.send("b", std::to_string(i) + ' ' + block));
  REQUIRE(drive({&a, &b}, [&] { return a.kernel->poll(Duration::zero()) == 0; }));
  const auto waiting = a.kernel->peers().front().queued_messages;
  CHECK(waiting > 32);
  CHECK(waiting < 64);
  std::size_t steps = 0;
  for (int i = 0; i < 100; ++i) steps += a.kernel->poll(Duration::zero());
  CHECK(steps == 0);
  a.kernel->heal();
  b.kernel->heal();
  REQUIRE(drive({&a, &b}, [&] { return b.received >= waiting; }));
  REQUIRE(drive({&a, &b}, [&] { return a.kernel->peers().front().queued_messages == 0; }));
  CHECK(b.received == waiting);
  for (std::size_t i = 0; i < b.messages.size(); ++i)
    CHECK(std::stoul(b.messages[i].text) == 64 - waiting + i);
}

TEST_CASE("net: a peer removed while it is cut off, and a kernel stopped then, come to their ends") {
  TestNode a(patient("a"));
  TestNode b(patient("b"));
  REQUIRE(connect(a, "a", b, "b"));
  cut_both(a, "a", b, "b");
  CHECK(ping(a, "b", {&a, &b}) == Errc::timeout);
  a.kernel->remove_peer("b", false);
  REQUIRE(drive({&a, &b}, [&] { return a.downs.size() == 1; }));
  CHECK(a.downs[0].reason == PeerDownReason::removed);
  CHECK(b.downs.empty());  // no goodbye has come through
  b.kernel->stop(50ms);
  CHECK(b.downs.size() == 1);
}

TEST_CASE("net: threads that send while links are cut and healed see no message twice or out of order") {
  TestNode a(impatient("a"));
  TestNode b(impatient("b"));
  REQUIRE(connect(a, "a", b, "b"));
  constexpr std::size_t kSenders = 3;
  constexpr int kCuts = 8;
  std::atomic<bool> ended = false;
  std::array<std::atomic<std::uint64_t>, kSenders> sent{};
  std::array<std::uint64_t, kSenders> seen{};
  bool in_order = true;
  b.keep_messages = false;
  b.on_text = [&](const PeerInfo&, ByteView text) {
    const std::size_t sender = text[0] - std::uint8_t{'0'};
    const auto number = std::stoull(std::string(as_text(text.subspan(2))));
    in_order = in_order && number > seen.at(sender);
    seen.at(sender) = number;
  };
  std::vector<std::thread> senders;
  for (std::size_t i = 0; i < kSenders; ++i)
    senders.emplace_back([&, i] {
      while (!ended) {
        const auto number = sent[i] + 1;
        if (a.send("b", std::to_string(i) + ' ' + std::to_string(number))) sent[i] = number;
        std::this_thread::yield();
      }
    });
  for (int cut = 0; cut < kCuts; ++cut) {
    const auto ups = b.ups.size();
    const auto received = b.received;
    cut_both(a, "a", b, "b", cut % 2 == 0 ? 20ms : 100ms);
    CHECK(drive({&a, &b}, [&] { return b.ups.size() > ups && b.received > received; }));
  }
  ended = true;
  for (auto& sender : senders) sender.join();
  CHECK(drive({&a, &b}, [&] {
    for (std::size_t i = 0; i < kSenders; ++i)
      if (seen[i] != sent[i]) return false;
    return true;
  }));
  CHECK(in_order);
}
