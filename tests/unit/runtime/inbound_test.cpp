// What comes over the network and waits: bounded, counted, and nobody's problem but its server's.
#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "cluster/runtime/actor_system.hpp"
#include "system_pair.hpp"
#include "test_servers.hpp"

using namespace cluster;
using namespace cluster::testing;
using runtime::InboundLimits;

namespace {

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
  const auto dropped = [&] { return static_cast<std::int64_t>(pair.b->inbound().casts_overloaded); };
  REQUIRE(eventually([&] {
    const auto handled = pair.b->call(slow, Loads{});
    return handled && handled.value() + dropped() == sent;
  }));
  CHECK(pair.b->call(slow, Loads{}).value() > 100);
  CHECK(pair.b->inbound().waiting_bytes == 0);
  CHECK(pair.a->call(far, Loads{}).has_value());  // and it is taken in again
}

TEST_CASE("inbound: the bound of the node holds for all servers together") {
  constexpr std::size_t kNodeMax = 512 * 1024;
  SystemPair pair(InboundLimits{.server_bytes_max = 400 * 1024, .node_bytes_max = kNodeMax});
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  std::vector<Ref<Gated>> far;
  for (const char* name : {"slow-1", "slow-2", "slow-3"}) {
    static_cast<void>(pair.b->spawn<Gated>({.name = name, .detached = true}, opened).value());
    far.push_back(pair.a->ref<Gated>(std::string(name) + "@b").value());
  }
  flood(*pair.a, *pair.b, far, 100, kNodeMax);
  CHECK(pair.b->inbound().waiting_bytes > kNodeMax / 2);  // it was the node's bound, not a server's
  gate.set_value();
  CHECK(eventually([&] { return pair.b->inbound().waiting_bytes == 0; }));
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
