// W3, W4 and W5: servers of two processes, over TCP on loopback, every frame signed.
#include <array>
#include <atomic>
#include <latch>
#include <memory>
#include <optional>

#include "harness.hpp"
#include "process.hpp"
#include "servers.hpp"

namespace cluster::bench {
namespace {

constexpr Duration kLong = 10min;

/// This process's node, and a child with a Target, in one ring.
struct RemotePair {
  RemotePair() {
    const std::string cookie = new_cookie();
    server.write_line(cookie);
    const auto port = static_cast<std::uint16_t>(std::stoi(server.read_line()));
    node.emplace(start_node("bench", cookie));
    take(node->meet({"127.0.0.1", port}), "meet the server process");
    target = take(node->ref<Target>("target@server"), "the server");
    take(node->call(target, Number{1}), "the first call");
  }
  [[nodiscard]] Ref<Driver> driver() { return take(node->spawn<Driver>({}, target), "spawn"); }

  Process server = Process::of_role("target");
  std::optional<Node> node;
  Ref<Target> target;
};

struct Finish {
  explicit Finish(int callers) : left(callers) {}
  std::latch left;
  std::atomic<int> failed = 0;
};
struct Begin {};
/// Calls `times` times when told to begin, then says that it is done.
class Caller : public GenServer<Caller, Begin> {
 public:
  Caller(Ref<Target> target, std::int64_t times, std::shared_ptr<Finish> finish)
      : target_(std::move(target)), times_(times), finish_(std::move(finish)) {}

  Task<> handle_cast(Begin) {
    const Bytes data(64, 'x');
    for (std::int64_t i = 0; i < times_; ++i) {
      auto back = co_await call<Payload>(target_, data);
      if (!back) {
        ++finish_->failed;
        break;
      }
    }
    finish_->left.count_down();
  }

 private:
  Ref<Target> target_;
  std::int64_t times_;
  std::shared_ptr<Finish> finish_;
};

}  // namespace

void remote_calls(Context& context) {
  RemotePair pair;
  const auto driver = pair.driver();
  const std::int64_t times = context.amount(50'000);
  context.each_run([&] {
    const Stopwatch watch;
    auto took = take(pair.node->call(driver, CallPayloads{times, 64}, kLong), "calls");
    const double seconds = watch.seconds();
    context.record("p50", "us", percentile(took, 0.5) / 1e3);
    context.record("p99", "us", percentile(took, 0.99) / 1e3);
    context.record("calls", "1/s", static_cast<double>(times) / seconds);
  });
}

void concurrent_calls(Context& context) {
  RemotePair pair;
  constexpr int kCallers = 64;
  const std::int64_t times = context.amount(4'000);
  context.each_run([&] {
    const auto finish = std::make_shared<Finish>(kCallers);
    std::vector<Ref<Caller>> callers;
    for (int i = 0; i < kCallers; ++i)
      callers.push_back(take(pair.node->spawn<Caller>({}, pair.target, times, finish), "spawn"));
    const Stopwatch watch;
    for (const auto& caller : callers) take(pair.node->cast(caller, Begin{}), "begin");
    finish->left.wait();
    if (finish->failed > 0) throw Failure("calls failed");
    context.record("calls", "1/s", static_cast<double>(kCallers * times) / watch.seconds());
    for (const auto& caller : callers) take(pair.node->actors().stop(caller), "stop");
  });
}

void remote_casts(Context& context) {
  RemotePair pair;
  const auto driver = pair.driver();
  struct Size {
    const char* metric;
    const char* unit;
    std::int64_t bytes;
    std::int64_t times;
    double scale;  ///< from messages a second to the unit
  };
  const std::array sizes{Size{"64B", "msg/s", 64, 1'000'000, 1},
                         Size{"1KiB", "MB/s", 1024, 300'000, 1024 / 1e6},
                         Size{"1MiB", "MB/s", 1 << 20, 1'500, (1 << 20) / 1e6}};
  constexpr std::int64_t kWindowBytes = 4 << 20;  // two of them fit into the peer's queue
  context.each_run([&] {
    for (const auto& size : sizes) {
      const std::int64_t times = context.amount(size.times, 10);
      const std::int64_t window = std::min<std::int64_t>(kWindowBytes / size.bytes, 8192);
      const Stopwatch watch;
      const auto handled =
          take(pair.node->call(driver, FloodNotes{times, size.bytes, window}, kLong), "casts");
      const double seconds = watch.seconds();
      if (handled != times)
        throw Failure("lost: " + std::to_string(handled) + " of " + std::to_string(times) + " arrived");
      context.record(size.metric, size.unit, static_cast<double>(times) / seconds * size.scale);
    }
  });
}

}  // namespace cluster::bench
