// detect, pause and join: how a ring hears of a dead process, of a paused one, and of many new ones.
#include <csignal>
#include <memory>
#include <thread>

#include "nodes.hpp"

namespace cluster::bench {
namespace {

constexpr std::size_t kRingSize = 5;
constexpr std::size_t kJoinSize = 50;

/// Processes in role `member` (roles.hpp), each of which takes all others for alive.
class MemberRing {
 public:
  explicit MemberRing(Protection protection) {
    const auto cookie = new_cookie();
    for (std::size_t i = 0; i < kRingSize; ++i) {
      auto arguments = to_arguments({.id = id(i), .ring = "bench", .protection = protection});
      if (i > 0) arguments.push_back(first_);
      processes_.push_back(std::make_unique<Process>(Process::of_role("member", arguments)));
      processes_.back()->write_line(cookie);
      const auto port = processes_.back()->read_line();
      if (i == 0) first_ = "127.0.0.1:" + port;
    }
    for (std::size_t i = 0; i < kRingSize; ++i) ask(i, "whole " + std::to_string(kRingSize));
    for (std::size_t i = 0; i < kRingSize; ++i) static_cast<void>(answer(i));
  }

  [[nodiscard]] static std::string id(std::size_t member) { return "node-" + std::to_string(member); }
  void ask(std::size_t member, const std::string& what) { processes_.at(member)->write_line(what); }
  [[nodiscard]] std::string answer(std::size_t member) { return processes_.at(member)->read_line(); }
  void signal(std::size_t member, int number) { ::kill(processes_.at(member)->pid(), number); }

 private:
  std::string first_;
  std::vector<std::unique_ptr<Process>> processes_;
};

/// Records "`name` p50", p99 and max, in ms.
void record_milliseconds(Context& context, const std::string& name, std::vector<std::int64_t> nanoseconds) {
  context.record(name + " p50", "ms", percentile(nanoseconds, 0.5) / 1e6);
  context.record(name + " p99", "ms", percentile(nanoseconds, 0.99) / 1e6);
  context.record(name + " max", "ms", percentile(nanoseconds, 1) / 1e6);
}

std::int64_t nanoseconds_of(const Stopwatch& watch) {
  return static_cast<std::int64_t>(watch.seconds() * 1e9);
}

/// From the moment when 49 nodes ask a fiftieth to meet until each of them knows all.
std::int64_t time_to_join(Protection protection) {
  const auto cookie = new_cookie();
  std::vector<Node> nodes;
  for (std::size_t i = 0; i < kJoinSize; ++i)
    nodes.push_back(start_node({.id = MemberRing::id(i),
                                .cookie = cookie,
                                .ring = i == 0 ? "bench" : "",
                                .workers = 1,
                                .protection = protection}));
  const Endpoint first = nodes.front().endpoint();
  const Stopwatch watch;
  std::vector<std::thread> joins;
  for (std::size_t i = 1; i < kJoinSize; ++i)
    joins.emplace_back([&node = nodes[i], &first] { static_cast<void>(node.meet(first)); });
  std::size_t whole = 0;
  while (whole < kJoinSize && watch.seconds() < 60) {  // what takes longer counts as that long
    if (nodes[whole].ring()->members.size() == kJoinSize)
      ++whole;
    else
      std::this_thread::sleep_for(1ms);
  }
  const auto took = nanoseconds_of(watch);
  for (auto& join : joins) join.join();
  return took;
}

}  // namespace

void detect(Context& context) {
  context.each_fresh_run([&] {
    std::vector<std::int64_t> took;
    for (std::int64_t i = context.settings().quick ? 1 : 5; i > 0; --i) {
      MemberRing ring(context.settings().protection);
      std::this_thread::sleep_for(1s);
      const std::size_t victim = kRingSize - 1;
      for (std::size_t member = 0; member < victim; ++member)
        ring.ask(member, "down " + MemberRing::id(victim));
      const Stopwatch watch;
      ring.signal(victim, SIGKILL);
      for (std::size_t member = 0; member < victim; ++member) static_cast<void>(ring.answer(member));
      took.push_back(nanoseconds_of(watch));
    }
    record_milliseconds(context, "last knows", std::move(took));
  });
}

void pause(Context& context) {
  context.each_fresh_run([&] {
    MemberRing ring(context.settings().protection);
    const std::int64_t times = context.settings().quick ? 1 : 10;
    std::int64_t declared = 0;
    for (std::int64_t i = 0; i < times; ++i) {
      const std::size_t victim = 1 + static_cast<std::size_t>(i) % (kRingSize - 1);
      ring.signal(victim, SIGSTOP);
      std::this_thread::sleep_for(3s);
      ring.signal(victim, SIGCONT);
      std::this_thread::sleep_for(2s);
      std::int64_t downs = 0;
      for (std::size_t member = 0; member < kRingSize; ++member) {
        ring.ask(member, "downs");
        downs += std::stoll(ring.answer(member));
      }
      declared += downs > 0 ? 1 : 0;
    }
    context.record("declared dead", "%", 100.0 * static_cast<double>(declared) / static_cast<double>(times));
  });
}

void join(Context& context) {
  context.each_fresh_run([&] {
    std::vector<std::int64_t> took;
    for (std::int64_t i = context.settings().quick ? 1 : 10; i > 0; --i)
      took.push_back(time_to_join(context.settings().protection));
    record_milliseconds(context, "all know all", std::move(took));
  });
}

}  // namespace cluster::bench
