// What comes over the network and waits: bounded, counted, and nobody's problem but its server's.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/runtime/actor_system.hpp"
#include "system_pair.hpp"
#include "test_servers.hpp"

using namespace cluster;
using namespace cluster::testing;
using runtime::InboundAccount;
using runtime::InboundLimits;
using runtime::InboundTotal;
using runtime::LargestWaiting;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

struct Load {
  std::int64_t number = 0;
  std::string text;
};
struct Loads {
  using reply = std::int64_t;
};

/// Handles nothing until the gate opens; then counts, and sees to the order.
class Gated : public GenServer<Gated, Load, Loads> {
 public:
  explicit Gated(std::shared_future<void> gate) : gate_(std::move(gate)) {}
  void handle_cast(const Load& load) {
    gate_.wait();
    if (load.number <= last_) throw std::runtime_error("out of order");
    last_ = load.number;
    ++handled_;
  }
  std::int64_t handle_call(const Loads&) { return handled_; }

 private:
  std::shared_future<void> gate_;
  std::int64_t last_ = 0;
  std::int64_t handled_ = 0;
};

/// Servers of b that handle nothing until `gate` opens, as a sees them.
std::vector<Ref<Gated>> spawn_gated(SystemPair& pair, int count, const std::shared_future<void>& gate) {
  std::vector<Ref<Gated>> far;
  for (int i = 0; i < count; ++i) {
    const std::string name = "slow-" + std::to_string(i);
    static_cast<void>(pair.b->spawn<Gated>({.name = name, .detached = true}, gate).value());
    far.push_back(pair.a->ref<Gated>(name + "@b").value());
  }
  return far;
}

/// Casts that a node has refused, because too much was waiting.
std::uint64_t casts_dropped(const ActorSystem& node) { return node.inbound().casts_overloaded; }

/// Casts 1 KiB until so many were dropped at the receiver. Returns how many were sent.
std::int64_t flood(ActorSystem& from, const ActorSystem& to, const std::vector<Ref<Gated>>& servers,
                   std::uint64_t drops, std::uint64_t waiting_max) {
  std::int64_t sent = 0;
  std::uint64_t most = 0;
  const bool dropped = eventually([&] {
    for (int i = 0; i < 32; ++i) {
      const auto& server = servers[static_cast<std::size_t>(sent) % servers.size()];
      if (from.cast(server, Load{sent + 1, std::string(1024, 'x')})) ++sent;
    }
    most = std::max(most, to.inbound().waiting_bytes);
    return to.inbound().casts_overloaded >= drops;
  });
  CHECK(dropped);
  CHECK(most <= waiting_max);
  return sent;
}

}  // namespace

TEST_CASE("inbound: a flood into a stuck server is dropped beyond the bound, and what was taken is handled") {
  constexpr std::size_t kServerMax = 256 * 1024;
  SystemPair pair(InboundLimits{.server_bytes_max = kServerMax, .smooth_bytes = 64 * 1024});
  std::promise<void> gate;
  auto slow = pair.b->spawn<Gated>({.name = "slow", .detached = true}, gate.get_future().share()).value();
  auto other = pair.b->spawn<Counter>({.name = "other"}).value();
  const auto far = pair.a->ref<Gated>("slow@b").value();

  const auto sent = flood(*pair.a, *pair.b, {far}, 100, kServerMax);
  const auto refused = pair.a->call(far, Load{sent + 1, std::string(4096, 'x')});
  CHECK(refused.error().code() == Errc::overloaded);
  CHECK(refused.error().executed() == Executed::no);
  CHECK(pair.b->inbound().calls_refused == 1);
  CHECK(pair.a->call(pair.a->ref<Counter>("other@b").value(), Add{1}).value() == 1);
  CHECK(pair.a->ping(NodeId("b")).has_value());

  gate.set_value();
  REQUIRE(eventually([&] {
    const auto handled = pair.b->call(slow, Loads{});
    return handled && handled.value() + static_cast<std::int64_t>(casts_dropped(*pair.b)) == sent;
  }));
  CHECK(pair.b->call(slow, Loads{}).value() > 100);
  CHECK(pair.b->inbound().waiting_bytes == 0);
  CHECK(pair.a->call(far, Loads{}).has_value());  // and it is taken in again
}

TEST_CASE("inbound: the bound of the node holds for all servers together") {
  constexpr std::size_t kNodeMax = 512 * 1024;
  SystemPair pair(InboundLimits{.server_bytes_max = 400 * 1024, .node_bytes_max = kNodeMax});
  std::promise<void> gate;
  const auto far = spawn_gated(pair, 3, gate.get_future().share());
  flood(*pair.a, *pair.b, far, 100, kNodeMax);
  CHECK(pair.b->inbound().waiting_bytes > kNodeMax / 2);  // it was the node's bound, not a server's
  gate.set_value();
  CHECK(eventually([&] { return pair.b->inbound().waiting_bytes == 0; }));
}

TEST_CASE("inbound: beside one large message, before it and after it, small ones are taken as ever") {
  constexpr int kSmall = 20;
  SystemPair pair(InboundLimits{.server_bytes_max = 256 * 1024, .node_bytes_max = 512 * 1024});
  std::promise<void> gate;
  const auto far = spawn_gated(pair, 2, gate.get_future().share());
  std::int64_t sent = 0;
  const auto cast_small = [&] {
    for (int i = 0; i < kSmall; ++i)
      for (const auto& server : far)
        REQUIRE(pair.a->cast(server, Load{sent + 1 + i, std::string(1024, 'x')}));
    sent += kSmall;
    REQUIRE(eventually([&] {
      return pair.b->inbound().waiting_bytes > static_cast<std::uint64_t>(sent) * far.size() * 1024;
    }));
  };
  cast_small();
  REQUIRE(pair.a->cast(far[0], Load{++sent, std::string(4 * kMiB, 'x')}));
  REQUIRE(eventually([&] { return pair.b->inbound().waiting_bytes > 4 * kMiB; }));
  cast_small();
  gate.set_value();
  CHECK(pair.a->call(far[0], Loads{}).value() == sent);
  CHECK(pair.a->call(far[1], Loads{}).value() == sent - 1);
  CHECK(casts_dropped(*pair.b) == 0);
}

TEST_CASE("inbound: a flood of large messages holds one beside a server's bound, and one beside the node's") {
  constexpr std::size_t kLarge = kMiB;
  constexpr std::size_t kServerMax = 2 * kLarge + kLarge / 2;
  constexpr std::size_t kNodeMax = 5 * kLarge + kLarge / 2;
  struct Row {
    int servers;
    std::size_t bound;
  };
  for (const Row& row : {Row{1, kServerMax}, Row{8, kNodeMax}}) {
    CAPTURE(row.servers);
    SystemPair pair(InboundLimits{.server_bytes_max = kServerMax, .node_bytes_max = kNodeMax});
    std::promise<void> gate;
    const auto far = spawn_gated(pair, row.servers, gate.get_future().share());
    std::uint64_t most = 0;
    std::int64_t sent = 0;
    REQUIRE(eventually([&] {
      const auto& server = far[static_cast<std::size_t>(sent) % far.size()];
      if (pair.a->cast(server, Load{sent + 1, std::string(kLarge, 'x')})) ++sent;
      most = std::max(most, pair.b->inbound().waiting_bytes);
      return casts_dropped(*pair.b) >= 20;
    }));
    CHECK(most <= row.bound + kLarge);
    CHECK(most > row.bound);
    gate.set_value();
    CHECK(eventually([&] { return pair.b->inbound().waiting_bytes == 0; }));
  }
}

TEST_CASE("inbound: the largest of what waits is left out of the count, whatever comes and goes") {
  constexpr std::uint64_t kMax = 1000 * 1024;
  constexpr std::uint64_t kLargest = 3 * kMax;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    InboundTotal total;
    InboundAccount account(total);
    std::deque<std::uint64_t> waiting;  // the slow, obvious account
    for (int step = 0; step < 2000; ++step) {
      if (!waiting.empty() && rng.below(2) == 0) {
        account.take(waiting.front());
        waiting.pop_front();
        continue;
      }
      const std::uint64_t bytes =
          1 + rng.below(rng.below(8) == 0 ? kLargest : LargestWaiting::kLargeBytesMin);
      std::uint64_t sum = bytes;
      std::uint64_t largest = bytes < LargestWaiting::kLargeBytesMin ? 0 : bytes;
      for (const std::uint64_t other : waiting) {
        sum += other;
        if (other >= LargestWaiting::kLargeBytesMin) largest = std::max(largest, other);
      }
      const bool taken = account.largest().rest_with(bytes, account.waiting()) <= kMax;
      if (sum - largest <= kMax) REQUIRE(taken);
      if (!taken) continue;
      REQUIRE(sum <= kMax + kLargest);
      account.add(bytes);
      waiting.push_back(bytes);
      REQUIRE(account.waiting() == sum);
    }
    for (const std::uint64_t bytes : waiting) account.take(bytes);
    CHECK(total.waiting() == 0);
  }
}

TEST_CASE("inbound: messages that die with their server do not count any more") {
  SystemPair pair;
  auto counter = pair.b->spawn<Counter>({.name = "counter"}).value();
  REQUIRE(pair.b->pause(counter));
  const auto far = pair.a->ref<Counter>("counter@b").value();
  for (int i = 0; i < 50; ++i) REQUIRE(pair.a->cast(far, Add{1}));
  REQUIRE(eventually([&] {
    return pair.b->inbound().waiting_bytes >= 50 * runtime::InboundAccount::kMessageOverheadBytes;
  }));
  REQUIRE(pair.b->stop(counter));
  CHECK(eventually([&] { return pair.b->inbound().waiting_bytes == 0; }));
}

TEST_CASE("inbound: casts that reach no handler are counted by their reason") {
  SystemPair pair;
  static_cast<void>(pair.b->spawn<Counter>({.name = "counter"}).value());
  for (int i = 0; i < 2; ++i) REQUIRE(pair.a->cast("nobody@b", "add", wire::Value::map({{"n", 1}})));
  REQUIRE(pair.a->cast("counter@b", "subtract", wire::Value::map({{"n", 1}})));
  REQUIRE(pair.a->cast("counter@b", "add", wire::Value::map({{"n", "one"}})));
  CHECK(*pair.a->call("counter@b", "get", {}).value().integer() == 0);
  CHECK(pair.b->inbound().casts_no_server == 2);
  CHECK(pair.b->inbound().casts_bad == 2);
}
