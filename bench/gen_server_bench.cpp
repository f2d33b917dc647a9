// Local calls and casts between GenServers, and calls from a plain thread: what an application pays on top of
// the engine. Prints min, median and max over the runs. usage: gen-server-bench [RUNS]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "cluster/node/node.hpp"

using namespace std::chrono_literals;

namespace {

struct Echo {
  std::int64_t n = 0;
  using reply = std::int64_t;
};
struct Count {
  std::int64_t n = 0;
};
struct Seen {
  using reply = std::int64_t;
};
class Server : public cluster::GenServer<Server, Echo, Count, Seen> {
 public:
  std::int64_t handle_call(const Echo& echo) { return echo.n + 1; }
  void handle_cast(const Count& count) { seen_ += count.n; }
  std::int64_t handle_call(const Seen&) { return seen_; }

 private:
  std::int64_t seen_ = 0;
};

struct RunCalls {
  std::int64_t times = 0;
  using reply = std::int64_t;
};
struct RunCasts {
  std::int64_t times = 0;
  using reply = std::int64_t;
};
class Caller : public cluster::GenServer<Caller, RunCalls, RunCasts> {
 public:
  explicit Caller(cluster::Ref<Server> server) : server_(std::move(server)) {}

  cluster::Task<cluster::Result<std::int64_t>> handle_call(RunCalls m) {
    std::int64_t n = 0;
    while (n < m.times) {
      auto next = co_await call<Echo>(server_, n);
      if (!next) co_return next.error();
      n = next.value();
    }
    co_return n;
  }
  cluster::Task<cluster::Result<std::int64_t>> handle_call(RunCasts m) {
    for (std::int64_t i = 0; i < m.times; ++i)
      if (auto sent = cast(server_, Count{1}); !sent) co_return sent.error();
    co_return co_await call<Seen>(server_);
  }

 private:
  cluster::Ref<Server> server_;
};

/// Nanoseconds for each of `times` that `body` takes, over `runs`.
template <class Body>
void measure(const char* name, int runs, std::int64_t times, Body&& body) {
  std::vector<double> each;
  for (int run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    body(times);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    each.push_back(took.count() / static_cast<double>(times));
  }
  std::sort(each.begin(), each.end());
  const double median = each[each.size() / 2];
  std::printf("%-28s %9.1f ns [%.1f .. %.1f]  %7.2f M/s\n", name, median, each.front(), each.back(),
              1e3 / median);
}

}  // namespace

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 5;
  auto node =
      cluster::Node::start({.id = "bench", .host = "127.0.0.1", .port = 0, .cookie = "only on loopback"})
          .value();
  auto server = node.spawn<Server>({.name = "server"}).value();
  auto caller = node.spawn<Caller>({.name = "caller"}, server).value();
  measure("call, server to server", runs, 1'000'000,
          [&](std::int64_t times) { static_cast<void>(node.call(caller, RunCalls{times}, 60s).value()); });
  measure("cast, server to server", runs, 2'000'000,
          [&](std::int64_t times) { static_cast<void>(node.call(caller, RunCasts{times}, 60s).value()); });
  measure("call, from a thread", runs, 100'000, [&](std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) static_cast<void>(node.call(server, Echo{i}).value());
  });
}
