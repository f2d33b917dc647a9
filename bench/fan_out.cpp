// fan-out: one node asks sixteen others, each in a process of its own, at once.
#include <memory>

#include "nodes.hpp"

namespace cluster::bench {
namespace {

constexpr std::size_t kPeers = 16;

struct Fan {
  explicit Fan(Protection protection) {
    NodeSetup setup{
        .id = "bench", .cookie = new_cookie(), .ring = "bench", .workers = 1, .protection = protection};
    node.push_back(start_node(setup));
    for (std::size_t i = 0; i < kPeers; ++i) {
      setup.id = "peer-" + std::to_string(i);
      setup.ring.clear();
      peers.emplace_back(setup);
      ids.push_back(take(NodeId::parse(setup.id), "an id"));
      take(node[0].meet(peers.back().endpoint), "meet " + setup.id);
    }
  }
  std::vector<PeerNode> peers;
  std::vector<Node> node;  // one, made after the cookie
  std::vector<NodeId> ids;
};

template <class Results>
void check_all(const Results& results) {
  for (const auto& [node, result] : results)
    if (!result) throw Failure(node.str() + ": " + result.error().to_string());
}

}  // namespace

void fan_out(Context& context) {
  Fan fan(context.settings().protection);
  Node& node = fan.node[0];
  const std::int64_t calls = context.amount(5'000);
  const std::int64_t casts = context.amount(20'000);
  context.each_run([&] {
    std::vector<std::int64_t> took;
    for (std::int64_t i = 0; i < calls; ++i) {
      const Instant begun = MonotonicClock::now();
      check_all(node.multicall<Target>(fan.ids, "target", Number{i}));
      took.push_back((MonotonicClock::now() - begun).count());
    }
    context.record("multicall p50", "us", percentile(took, 0.5) / 1e3);
    context.record("multicall p99", "us", percentile(took, 0.99) / 1e3);

    check_all(node.abcast<Target>(fan.ids, "target", Reset{}));
    const Stopwatch watch;
    for (std::int64_t i = 0; i < casts; ++i) check_all(node.abcast<Target>(fan.ids, "target", Tick{i}));
    for (const auto& [id, handled] : node.multicall<Target>(fan.ids, "target", Handled{}, 60s))
      check_count(take(handled, id.str()), casts);
    context.record("abcast", "msg/s", static_cast<double>(casts) * kPeers / watch.seconds());
  });
}

}  // namespace cluster::bench
