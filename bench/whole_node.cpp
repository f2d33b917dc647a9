// idle and start: cluster-node and cluster-cli as they run in service.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "nodes.hpp"
#include "service_node.hpp"

namespace cluster::bench {
namespace {

using ServiceNodes = std::vector<std::unique_ptr<ServiceNode>>;

/// Nanoseconds of CPU that the process has used: exact, where the clock of /proc/PID/stat counts in 10 ms.
double cpu_nanoseconds(const ServiceNode& node) {
  double sum = 0;
  for (const auto& thread : std::filesystem::directory_iterator(node.file("task"))) {
    std::ifstream stat(thread.path() / "schedstat");
    double used = 0;
    stat >> used;
    sum += used;
  }
  return sum;
}
double resident_of(const ServiceNode& node) {
  std::ifstream statm(node.file("statm"));
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}
template <class Measure>
double sum_over(const ServiceNodes& nodes, Measure&& measure) {
  double sum = 0;
  for (const auto& node : nodes) sum += measure(*node);
  return sum;
}

/// A ring of `count`: cluster-node processes and one node of ours, whose traffic we can count.
class Ring {
 public:
  Ring(std::size_t count, Protection protection)
      : cookie_(new_cookie()),
        own_(start_node({.id = "watcher", .cookie = cookie_, .ring = "bench", .protection = protection})) {
    const auto meet = own_.endpoint().to_string();
    while (nodes_.size() + 1 < count)
      nodes_.push_back(std::make_unique<ServiceNode>(
          "node-" + std::to_string(nodes_.size()), cookie_,
          std::vector<std::string>{"--meet", meet, "--protection", std::string(wire::name(protection))}));
    const Stopwatch watch;
    while (own_.ring()->members.size() < count || !linked(count)) {
      if (watch.seconds() > 60)
        throw Failure("the ring of " + std::to_string(count) + " did not come together");
      std::this_thread::sleep_for(20ms);
    }
  }
  [[nodiscard]] const ServiceNodes& nodes() const noexcept { return nodes_; }
  [[nodiscard]] net::Counters traffic() const { return own_.actors().kernel().counters(); }

 private:
  [[nodiscard]] bool linked(std::size_t count) const {
    std::size_t connected = 0;
    for (const auto& peer : own_.actors().kernel().peers()) connected += peer.connected ? 1 : 0;
    return connected + 1 >= count;
  }
  std::string cookie_;
  Node own_;
  ServiceNodes nodes_;
};

}  // namespace

void idle(Context& context) {
  const Duration settle = context.settings().quick ? 500ms : 5s;
  const Duration window = context.settings().quick ? 500ms : 10s;
  const double seconds = std::chrono::duration<double>(window).count();
  const std::size_t great = context.settings().quick ? 5 : 50;
  for (const std::size_t count : {std::size_t{3}, great}) {
    const Ring ring(count, context.settings().protection);
    const auto suffix = " of " + std::to_string(count);
    const auto processes = static_cast<double>(ring.nodes().size());
    std::this_thread::sleep_for(settle);
    context.each_fresh_run([&] {
      const auto traffic = ring.traffic();
      const double used = sum_over(ring.nodes(), cpu_nanoseconds);
      std::this_thread::sleep_for(window);
      const auto later = ring.traffic();
      const double busy = sum_over(ring.nodes(), cpu_nanoseconds) - used;
      context.record("CPU" + suffix, "%", busy / processes / seconds / 1e9 * 100);
      context.record("RSS" + suffix, "MB", sum_over(ring.nodes(), resident_of) / processes / 1e6);
      context.record("sent" + suffix, "B/s",
                     static_cast<double>(later.bytes_out - traffic.bytes_out) / seconds);
      constexpr std::size_t kFrameBytes = wire::kFrameHeaderBytes + wire::kFrameTagBytes;
      const auto framing = static_cast<double>((later.frames_out - traffic.frames_out) * kFrameBytes);
      context.record("payload" + suffix, "B/s",
                     (static_cast<double>(later.bytes_out - traffic.bytes_out) - framing) / seconds);
      context.record("received" + suffix, "B/s",
                     static_cast<double>(later.bytes_in - traffic.bytes_in) / seconds);
    });
  }
}

void process_start(Context& context) {
  const std::string cookie = new_cookie();
  const auto ask = [&](const ServiceNode& node) {
    Process cli({program("cluster-cli"), "-H", "127.0.0.1", "-p", std::to_string(node.port()), "nodes"},
                {"CLUSTER_COOKIE=" + cookie});
    if (cli.wait() != 0) throw Failure("cluster-cli failed");
  };
  context.each_run([&] {
    const Stopwatch from_start;
    const ServiceNode node("node", cookie, {"--ring", "bench"});
    context.record("cluster-node listens", "ms", from_start.seconds() * 1e3);
    ask(node);
    context.record("first answer", "ms", from_start.seconds() * 1e3);
    const Stopwatch cli;
    ask(node);
    context.record("cluster-cli alone", "ms", cli.seconds() * 1e3);
  });
}

}  // namespace cluster::bench
