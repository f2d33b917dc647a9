// fairness and blocked: what others feel while one server is flooded, and while user code blocks all workers.
#include <atomic>
#include <exception>
#include <thread>

#include "nodes.hpp"

namespace cluster::bench {
namespace {

std::vector<std::int64_t> thread_calls(Node& node, const Ref<Target>& target, std::int64_t times) {
  std::vector<std::int64_t> took;
  for (std::int64_t i = 0; i < times; ++i) {
    const Instant begun = MonotonicClock::now();
    check_count(take(node.call(target, Number{i}), "call"), i + 1);
    took.push_back((MonotonicClock::now() - begun).count());
  }
  return took;
}

/// Keeps a server busy with casts: between one and two windows of them always wait in its mailbox.
class Flood {
 public:
  Flood(Node& node, Ref<Target> target) : thread_([this, &node, target] { run(node, target); }) {
    while (!begun_) std::this_thread::yield();
  }
  ~Flood() {
    stop_ = true;
    thread_.join();
  }

 private:
  void run(Node& node, const Ref<Target>& target) {
    constexpr int kWindow = 20'000;
    while (!stop_) {
      for (int i = 0; i < kWindow; ++i) static_cast<void>(node.cast(target, Tick{i}));
      begun_ = true;
      static_cast<void>(node.call(target, Handled{}, 60s));
    }
  }
  std::atomic<bool> begun_ = false;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

std::vector<std::int64_t> pings_for(Node& node, const NodeId& to, Duration time) {
  std::vector<std::int64_t> took;
  const Instant end = MonotonicClock::now() + time;
  while (MonotonicClock::now() < end) {
    took.push_back(take(node.ping(to, 60s), "ping").count());
    std::this_thread::sleep_for(1ms);
  }
  return took;
}

}  // namespace

void fairness(Context& context) {
  Node node = start_node();
  const auto quiet = take(node.spawn<Target>({}), "spawn");
  const auto flooded = take(node.spawn<Target>({}), "spawn");
  const std::int64_t times = context.amount(50'000);
  context.each_run([&] {
    context.record_latencies("alone", thread_calls(node, quiet, times));
    const Flood flood(node, flooded);
    context.record_latencies("beside a flood", thread_calls(node, quiet, times));
  });
}

void blocked(Context& context) {
  const std::chrono::milliseconds time = context.settings().quick ? 200ms : 10s;
  const std::size_t workers = std::max(1u, std::thread::hardware_concurrency());
  Pair pair({.workers = workers, .protection = context.settings().protection}, "blockers");
  const auto server = take(NodeId::parse("server"), "an id");
  context.each_fresh_run([&] {
    context.record_latencies("ping alone", pings_for(pair.node, server, time / 10));
    std::vector<Ref<Blocker>> blockers;
    for (std::size_t i = 0; i < workers; ++i) {
      blockers.push_back(
          take(pair.node.ref<Blocker>("blocker-" + std::to_string(i) + "@server"), "the blocker"));
      take(pair.node.cast(blockers.back(), Block{time.count()}), "block");
    }
    context.record_latencies("ping blocked", pings_for(pair.node, server, time));
    for (const auto& blocker : blockers)  // goes on when all have ended
      take(pair.node.call(blocker, Block{0}, 60s), "the end of blocking");
  });
}

}  // namespace cluster::bench
