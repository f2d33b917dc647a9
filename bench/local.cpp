// W1, W2 and thread-call: servers of one process.
#include "harness.hpp"
#include "nodes.hpp"

namespace cluster::bench {
namespace {

struct LocalPair {
  Node node = start_node();
  Ref<Target> target = take(node.spawn<Target>({.name = "target"}), "spawn");
  Ref<Driver> driver = take(node.spawn<Driver>({.name = "driver"}, target), "spawn");
};

}  // namespace

void local_calls(Context& context) {
  LocalPair pair;
  const std::int64_t times = context.amount(1'000'000);
  context.each_run([&] {
    const Stopwatch watch;
    check_count(take(pair.node.call(pair.driver, CallNumbers{times}, kLong), "calls"), times);
    context.record("call", "ns/call", watch.seconds() / static_cast<double>(times) * 1e9);
  });
}

void local_casts(Context& context) {
  LocalPair pair;
  const std::int64_t times = context.amount(2'000'000);
  context.each_run([&] {
    const Stopwatch watch;
    check_count(take(pair.node.call(pair.driver, FloodTicks{times}, kLong), "casts"), times);
    context.record("cast", "msg/s", static_cast<double>(times) / watch.seconds());
  });
}

void thread_calls(Context& context) {
  LocalPair pair;
  const std::int64_t times = context.amount(200'000);
  context.each_run([&] {
    std::vector<std::int64_t> took;
    took.reserve(static_cast<std::size_t>(times));
    Instant begun = MonotonicClock::now();
    for (std::int64_t i = 0; i < times; ++i) {
      check_count(take(pair.node.call(pair.target, Number{i}), "call"), i + 1);
      const Instant done = MonotonicClock::now();
      took.push_back((done - begun).count());
      begun = done;
    }
    context.record("p50", "ns", percentile(took, 0.5));
    context.record("p99", "ns", percentile(took, 0.99));
  });
}

}  // namespace cluster::bench
