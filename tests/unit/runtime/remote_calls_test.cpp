// The way of calls and casts between two nodes: references, names that move, many callers.
#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cluster/runtime/actor_system.hpp"
#include "system_pair.hpp"
#include "test_servers.hpp"

using namespace cluster;
using namespace cluster::testing;

TEST_CASE("remote: a name that moves to another server takes its messages along") {
  SystemPair pair;
  const auto far = pair.a->ref<Counter>("counter@b").value();
  for (std::int64_t life = 1; life <= 3; ++life) {
    auto counter = pair.b->spawn<Counter>({.name = "counter"}, 100 * life);
    REQUIRE(eventually([&] {
      if (!counter) counter = pair.b->spawn<Counter>({.name = "counter"}, 100 * life);
      return counter.has_value();
    }));
    CHECK(pair.a->call(far, Get{}).value() == 100 * life);
    CHECK(pair.a->call(far, Add{1}).value() == 100 * life + 1);
    REQUIRE(pair.b->stop(counter.value()));
    REQUIRE(eventually([&] {
      const auto gone = pair.a->call(far, Get{});
      return !gone && gone.error().code() == Errc::no_server;
    }));
  }
}

TEST_CASE("remote: a reference still leads to a peer that was removed and added again") {
  SystemPair pair;
  static_cast<void>(pair.b->spawn<Counter>({.name = "counter"}).value());
  const auto far = pair.a->ref<Counter>("counter@b").value();
  for (int round = 1; round <= 3; ++round) {
    CHECK(pair.a->call(far, Add{1}).value() == round);
    pair.b->kernel().remove_peer(NodeId("a"), true);  // or it would dial, and a peer that is connected is one
    pair.a->kernel().remove_peer(NodeId("b"), true);
    REQUIRE(eventually([&] { return !pair.connected(); }));
    CHECK_FALSE(pair.a->call(far, Get{}, 1s));
    pair.a->kernel().add_peer(NodeId("b"), pair.b->kernel().listening());
    REQUIRE(eventually([&] { return pair.connected(); }));
  }
}

TEST_CASE(
    "remote: a reference used at another node of the process goes that node's way, and may outlive both") {
  std::optional<Ref<Counter>> far;
  {
    SystemPair pair;
    auto counter = pair.b->spawn<Counter>({.name = "counter"}, 7).value();
    far = pair.a->ref<Counter>("counter@b").value();
    CHECK(pair.a->call(*far, Get{}).value() == 7);
    const auto home = pair.b->call(*far, Get{}, 1s);  // b has no way to itself over the network
    CHECK(home.error().code() == Errc::unreachable);
  }
  SystemPair other;
  static_cast<void>(other.b->spawn<Counter>({.name = "counter"}, 9).value());
  CHECK(other.a->call(*far, Get{}).value() == 9);
}

TEST_CASE("remote: actors and threads that call at once each get their own answers") {
  SystemPair pair;
  auto counter = pair.b->spawn<Counter>({.name = "counter"}).value();
  const auto far = pair.a->ref<Counter>("counter@b").value();
  constexpr int kCallers = 8;
  constexpr int kEach = 200;
  std::vector<Ref<Proxy>> proxies;
  for (int i = 0; i < kCallers; ++i)
    proxies.push_back(pair.a->spawn<Proxy>({.name = "proxy-" + std::to_string(i)}, far).value());
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kCallers; ++t)
    threads.emplace_back([&, t] {
      std::int64_t last = 0;
      for (int i = 0; i < kEach; ++i) {
        const auto sum = i % 2 == 0 ? pair.a->call(far, Add{1})
                                    : pair.a->call(proxies[static_cast<std::size_t>(t)], Forward{1});
        if (!sum || sum.value() <= last) ++failures;
        if (sum) last = sum.value();
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(pair.b->call(counter, Get{}).value() == kCallers * kEach);
}

TEST_CASE("remote: the casts of a thread arrive in order, whether they go out alone or together") {
  struct Put {
    std::int64_t number = 0;
  };
  struct Puts {
    using reply = std::int64_t;
  };
  class Keeper : public GenServer<Keeper, Put, Puts> {
   public:
    void handle_cast(const Put& put) { in_order_ += put.number == in_order_ + 1 ? 1 : 0; }
    std::int64_t handle_call(const Puts&) { return in_order_; }

   private:
    std::int64_t in_order_ = 0;
  };
  SystemPair pair;
  static_cast<void>(pair.b->spawn<Keeper>({.name = "keeper"}).value());
  const auto far = pair.a->ref<Keeper>("keeper@b").value();
  for (std::int64_t i = 1; i <= 20'000; ++i) {
    while (!pair.a->cast(far, Put{i})) std::this_thread::yield();
    if (i % 5'000 == 0) CHECK(pair.a->call(far, Puts{}).value() == i);  // a call comes after them
  }
  // Without a call behind it, the last cast goes out as well.
  REQUIRE(pair.a->cast(far, Put{20'001}));
  REQUIRE(pair.a->cast(far, Put{20'002}));
  CHECK(eventually(
      [&] { return pair.b->call(pair.b->ref<Keeper>("keeper").value(), Puts{}).value() == 20'002; }));
}

TEST_CASE("remote: a call that waited for a link carries what is left of its time, not all of it") {
  struct Probe final : net::NetEvents {  // a node without actors, which keeps the ttl of what it is asked
    std::atomic<std::int64_t> ttl{0};
    void on_message(const net::PeerInfo&, net::Lane, ByteView bytes) override {
      const auto message = wire::decode_message(bytes);
      if (message)
        if (const auto* call = std::get_if<wire::CallView>(&message.value())) ttl = call->head.ttl.count();
    }
    void on_peer_up(const net::PeerInfo&) override {}
    void on_peer_down(const net::PeerInfo&, net::PeerDownReason, std::string_view) override {}
    void on_peer_lost(const NodeId&, const Error&) override {}
  };
  auto a = start_system("a");
  const auto far = a->ref<Counter>("counter@b").value();
  Probe probe;
  const auto start = [&](std::uint16_t port) {
    return net::NetKernel::start({.id = "b",
                                  .boot = {.number = 1, .nonce = 2},
                                  .ring = "ring",
                                  .advertised = {"127.0.0.1", port},
                                  .bind = {},
                                  .keyring = test_keyring(),
                                  .limits = {}},
                                 probe);
  };
  const std::uint16_t port = free_port();  // nobody listens there yet
  a->kernel().add_peer(NodeId("b"), {"127.0.0.1", port});
  const Instant begun = MonotonicClock::now();
  std::thread caller([&] { static_cast<void>(a->call(far, Get{}, 3s)); });
  REQUIRE(eventually([&] { return MonotonicClock::now() - begun > 300ms; }));
  const auto late = start(port).value();
  REQUIRE(eventually([&] {
    late->poll(1ms);
    return probe.ttl != 0;
  }));
  CHECK(probe.ttl > 0);
  CHECK(probe.ttl <= 2'750);  // 300 ms and more have passed
  while (MonotonicClock::now() - begun < 3s) late->poll(10ms);
  caller.join();
}
