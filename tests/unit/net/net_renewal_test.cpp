#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "cluster/base/rng.hpp"
#include "net_support.hpp"
#include "ports.hpp"

using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

namespace {

const Keyring& both_old_first() {
  static const Keyring keys = keyring().with(other_keyring().key(0)).value();
  return keys;
}
const Keyring& both_new_first() {
  static const Keyring keys = both_old_first().using_first(other_keyring().id(0)).value();
  return keys;
}
const Keyring& new_alone() { return other_keyring(); }

NetConfig config_with(const char* id, const Keyring& keys) {
  auto config = config_of(id);
  config.keyring = keys;
  config.limits.renewal_client = 20ms;
  return config;
}

proto::KeyId key_of_link(const TestNode& node, const NodeId& peer) {
  for (const auto& status : node.kernel->peers())
    if (status.id == peer && status.connected) return status.key;
  return 0;
}

bool is_renewed(const TestNode& a, const TestNode& b) {
  return key_of_link(a, "b") == new_alone().id(0) && key_of_link(b, "a") == new_alone().id(0);
}

/// Messages of two pairs, numbered, some of them large: what arrives is what was sent, in order.
class Traffic {
 public:
  Traffic(TestNode& from, NodeId to, TestNode& receiver, std::uint64_t seed)
      : from_(from), to_(std::move(to)), receiver_(receiver), rng_(seed) {}

  void send() {
    const std::uint64_t pair = rng_.below(2);
    auto text = std::to_string(pair) + ':' + std::to_string(sent_[pair]) + ':';
    if (rng_.chance(0.1)) text.resize(static_cast<std::size_t>(rng_.between(60'000, 400'000)), 'x');
    const bool flush_now = rng_.chance(0.5);
    if (from_.send(to_, text, {.pair = pair, .flush_now = flush_now})) ++sent_[pair];
  }
  [[nodiscard]] bool has_arrived() const { return receiver_.messages.size() == sent_[0] + sent_[1]; }
  [[nodiscard]] bool is_in_order() const {
    std::size_t next[2] = {0, 0};
    return std::ranges::all_of(receiver_.messages, [&](const TestNode::Message& message) {
      const auto pair = static_cast<std::size_t>(message.text[0] - '0');
      return message.text.starts_with(std::to_string(pair) + ':' + std::to_string(next[pair]++) + ':');
    });
  }

 private:
  TestNode& from_;
  NodeId to_;
  TestNode& receiver_;
  Rng rng_;
  std::size_t sent_[2] = {0, 0};
};

}  // namespace

TEST_CASE(
    "net: a connection whose key is removed goes on under another one; no message is lost, doubled or out of "
    "order, "
    "and nobody is told of an end") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    TestNode a(config_with("a", both_old_first()));
    TestNode b(config_with("b", both_old_first()));
    REQUIRE(connect(a, "a", b, "b"));
    Traffic to_b(a, "b", b, seed);
    Traffic to_a(b, "a", a, seed + 1000);
    // Put first and removed at both sides, in any order, with traffic and turns in between.
    const auto a_removes = rng.between(1, 60);
    const auto b_removes = rng.chance(0.3) ? a_removes : rng.between(1, 60);
    for (int turn = 0; turn < 120; ++turn) {
      if (turn == 0) a.kernel->set_keyring(both_new_first()), b.kernel->set_keyring(both_new_first());
      if (turn == a_removes) a.kernel->set_keyring(new_alone());
      if (turn == b_removes) b.kernel->set_keyring(new_alone());
      if (rng.chance(0.6)) to_b.send();
      if (rng.chance(0.6)) to_a.send();
      for (auto polls = rng.between(0, 3); polls > 0; --polls)
        (rng.chance(0.5) ? a : b).kernel->poll(Duration::zero());
    }
    REQUIRE(drive({&a, &b}, [&] { return is_renewed(a, b) && to_b.has_arrived() && to_a.has_arrived(); }));
    CHECK(to_b.is_in_order());
    CHECK(to_a.is_in_order());
    CHECK(a.downs.empty());
    CHECK(b.downs.empty());
    CHECK(a.ups.size() == 1);
    CHECK(b.ups.size() == 1);
    CHECK(a.kernel->counters().uncertain + b.kernel->counters().uncertain == 0);
    const auto session = a.ups.front().session;
    REQUIRE(b.send("a", "after"));
    REQUIRE(drive({&a, &b}, [&] { return a.messages.back().text == "after"; }));
    CHECK(a.messages.back().session == session);  // an answer to who asked before still finds its way
    REQUIRE(a.kernel->send(session, as_bytes("answer")));
    CHECK(drive({&a, &b}, [&] { return b.messages.back().text == "answer"; }));
  }
}

TEST_CASE("net: while connections are continued, threads go on sending, each in its order") {
  constexpr std::uint64_t kSenders = 2;
  TestNode a(config_with("a", both_new_first()));
  TestNode b(config_with("b", both_new_first()));
  REQUIRE(connect(a, "a", b, "b"));
  std::array<std::atomic<std::uint64_t>, 2 * kSenders> sent{};
  std::array<std::atomic<std::uint64_t>, 2 * kSenders> arrived{};
  std::atomic<std::uint64_t> out_of_order = 0;
  const auto count = [&](const PeerInfo&, ByteView message) {
    const auto pair = load_be<std::uint64_t>(message.data());
    const auto number = load_be<std::uint64_t>(message.data() + 8);
    if (arrived[pair].fetch_add(1) != number) ++out_of_order;
  };
  for (TestNode* node : {&a, &b}) {
    node->keep_messages = false;
    node->on_text = count;
  }
  std::atomic<bool> done = false;
  std::atomic<bool> polled = true;
  std::vector<std::thread> senders;
  for (std::uint64_t pair = 0; pair < 2 * kSenders; ++pair)
    senders.emplace_back([&, pair] {
      TestNode& from = pair < kSenders ? a : b;
      Bytes message(64);
      while (!done) {
        store_be<std::uint64_t>(message.data(), pair);
        store_be<std::uint64_t>(message.data() + 8, sent[pair].load());
        message.resize(sent[pair] % 50 == 0 ? 100'000 : 64);
        if (from.kernel->send(pair < kSenders ? "b" : "a", message, {.pair = pair + 1}))
          ++sent[pair];
        else
          std::this_thread::yield();
      }
    });
  std::vector<std::thread> pollers;
  for (TestNode* node : {&a, &b})
    pollers.emplace_back([&, node] {
      while (polled) node->kernel->poll(1ms);
    });
  const auto eventually = [](const auto& condition) {
    const Instant deadline = MonotonicClock::now() + 60s;
    while (!condition() && MonotonicClock::now() < deadline) std::this_thread::yield();
    return condition();
  };
  const auto flows = [&](std::uint64_t more) {
    const auto before = arrived[0].load();
    return eventually([&] { return arrived[0] >= before + more; });
  };
  // Forth and back, so that there are several continuations.
  const auto old_first = both_old_first();
  for (int round = 0; round < 4; ++round) {
    const bool forth = round % 2 == 0;
    for (TestNode* node : {&a, &b}) node->kernel->set_keyring(forth ? both_new_first() : old_first);
    for (TestNode* node : {&a, &b}) node->kernel->set_keyring(forth ? new_alone() : keyring());
    const auto wanted = (forth ? new_alone() : keyring()).id(0);
    CHECK(eventually([&] { return key_of_link(a, "b") == wanted && key_of_link(b, "a") == wanted; }));
    CHECK(flows(200));
  }
  done = true;
  for (auto& sender : senders) sender.join();
  for (std::size_t pair = 0; pair < sent.size(); ++pair)
    CHECK(eventually([&] { return arrived[pair] == sent[pair]; }));
  polled = false;
  for (auto& poller : pollers) poller.join();
  CHECK(out_of_order == 0);
  CHECK(a.downs.empty());
  CHECK(b.downs.empty());
}

TEST_CASE("net: connections under keys that stay are left alone") {
  TestNode a(config_with("a", both_old_first()));
  TestNode b(config_with("b", both_old_first()));
  REQUIRE(connect(a, "a", b, "b"));
  a.kernel->set_keyring(both_new_first());
  b.kernel->set_keyring(keyring());  // the other way round: the new one is taken back
  drive(
      {&a, &b}, [] { return false; }, 30ms);
  CHECK(key_of_link(a, "b") == keyring().id(0));
  CHECK(a.kernel->counters().connections_in + a.kernel->counters().connections_out == 1);
  CHECK(a.downs.empty());
}

TEST_CASE("net: a ping that is under way while the connection is continued is answered") {
  TestNode a(config_with("a", both_new_first()));
  TestNode b(config_with("b", both_old_first()));
  a.kernel->add_peer("b", b.at());
  b.kernel->add_peer("a", a.at());
  REQUIRE(drive({&a, &b}, [&] { return a.connected_to("b") && b.connected_to("a"); }));
  a.kernel->set_keyring(new_alone());
  b.kernel->set_keyring(new_alone());
  int answers = 0;
  for (int i = 0; i < 20; ++i) {
    a.kernel->ping("b", 5s, [&](const Result<Duration>& answer) { answers += answer ? 1 : 0; });
    drive(
        {&a, &b}, [] { return false; }, 1ms);
  }
  CHECK(drive({&a, &b}, [&] { return answers == 20 && is_renewed(a, b); }));
}

TEST_CASE("net: without a key that the other side has, a connection whose key was removed is closed") {
  auto config = config_with("a", both_new_first());
  config.limits.renewal_timeout = 50ms;
  TestNode a(config);
  TestNode b(config_with("b", keyring()));
  b.kernel->add_peer("a", a.at());
  REQUIRE(drive({&a, &b}, [&] { return a.connected_to("b") && b.connected_to("a"); }));
  REQUIRE(key_of_link(a, "b") == keyring().id(0));
  a.kernel->set_keyring(new_alone());
  REQUIRE(drive({&a, &b}, [&] { return !a.downs.empty() && !b.downs.empty(); }));
  drive(
      {&a, &b}, [] { return false; }, 100ms);
  CHECK_FALSE(a.connected_to("b"));  // and b, which dials with the old one, is refused
  CHECK(a.kernel->counters().proofs_failed > 0);
}

TEST_CASE("net: a client whose key was removed has time for an answer, and is closed then") {
  TestNode a(config_with("a", both_old_first()));
  auto config = config_with("client", keyring());
  config.role = Role::client;
  TestNode client(config);
  std::optional<Result<PeerInfo>> connected;
  client.kernel->dial(a.at(), 5s, [&](Result<PeerInfo> peer) { connected = std::move(peer); });
  REQUIRE(drive({&a, &client}, [&] { return connected.has_value(); }));
  REQUIRE(*connected);
  a.kernel->set_keyring(both_new_first());
  a.kernel->set_keyring(new_alone());
  REQUIRE(a.kernel->send(a.ups.front().session, as_bytes("done")));
  REQUIRE(drive({&a, &client}, [&] { return !client.messages.empty() && !client.downs.empty(); }));
  CHECK(client.messages.front().text == "done");
  CHECK(client.downs.front().reason == PeerDownReason::goodbye);
}

TEST_CASE("net: when the old connection breaks while it is continued, both ends say so and connect anew") {
  TestNode a(config_with("a", both_old_first()));
  auto first = config_with("b", both_old_first());
  const auto port = first.advertised.port = testing::free_port();
  auto b = std::make_unique<TestNode>(std::move(first));
  REQUIRE(connect(a, "a", *b, "b"));
  a.kernel->set_keyring(both_new_first());
  b->kernel->set_keyring(both_new_first());
  a.kernel->set_keyring(new_alone());
  // The other side ends in the middle, at each possible turn.
  for (int turns = 0; turns < 8; ++turns) {
    for (int turn = 0; turn < turns; ++turn) a.kernel->poll(1ms), b->kernel->poll(1ms);
    b.reset();
    auto config = config_with("b", both_new_first());
    config.boot.number = static_cast<std::uint64_t>(turns) + 10;
    config.advertised.port = port;
    b = std::make_unique<TestNode>(config);
    b->kernel->add_peer("a", a.at());
    REQUIRE(drive({&a, b.get()}, [&] { return a.connected_to("b") && b->connected_to("a"); }));
    a.kernel->set_keyring(turns % 2 == 0 ? both_old_first() : new_alone());
  }
  CHECK(a.ups.size() == a.downs.size() + 1);
}
