// W3, W5, sizes, remote-thread-call: one process calls or floods a server of another, over TCP.
#include <algorithm>
#include <array>

#include "nodes.hpp"

namespace cluster::bench {
namespace {

/// Seconds until `times` casts of `bytes` have been handled. No more than 8 MiB are on the way, half of what
/// a peer's queue takes, so that none is refused.
double flood(Pair& pair, const Ref<Driver>& driver, std::int64_t bytes, std::int64_t times) {
  constexpr std::int64_t kWindowBytes = 4 << 20;
  constexpr std::int64_t kWindowMessages = 8192;
  const auto window = std::clamp<std::int64_t>(kWindowBytes / bytes, 1, kWindowMessages);
  const Stopwatch watch;
  const auto handled = take(pair.node.call(driver, FloodNotes{times, bytes, window}, kLong), "casts");
  const double seconds = watch.seconds();
  check_count(handled, times);
  return seconds;
}

}  // namespace

void remote_calls(Context& context) {
  Pair pair({.protection = context.settings().protection});
  const auto driver = pair.driver();
  const std::int64_t times = context.amount(50'000);
  context.each_run([&] {
    const Stopwatch watch;
    auto took = take(pair.node.call(driver, CallPayloads{times, 64}, kLong), "calls");
    const double seconds = watch.seconds();
    context.record("p50", "us", percentile(took, 0.5) / 1e3);
    context.record("p99", "us", percentile(took, 0.99) / 1e3);
    context.record("calls", "1/s", static_cast<double>(times) / seconds);
  });
}

void remote_thread_calls(Context& context) {
  Pair pair({.protection = context.settings().protection});
  const std::int64_t times = context.amount(20'000);
  context.each_run([&] {
    std::vector<std::int64_t> took;
    took.reserve(static_cast<std::size_t>(times));
    for (std::int64_t i = 0; i < times; ++i) {
      const Instant begun = MonotonicClock::now();
      check_count(take(pair.node.call(pair.target, Number{i}), "call"), i + 1);
      took.push_back((MonotonicClock::now() - begun).count());
    }
    context.record("p50", "us", percentile(took, 0.5) / 1e3);
    context.record("p99", "us", percentile(took, 0.99) / 1e3);
  });
}

void remote_casts(Context& context) {
  Pair pair({.protection = context.settings().protection});
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
  context.each_run([&] {
    for (const auto& size : sizes) {
      const std::int64_t times = context.amount(size.times, 10);
      const double seconds = flood(pair, driver, size.bytes, times);
      context.record(size.metric, size.unit, static_cast<double>(times) / seconds * size.scale);
    }
  });
}

void message_sizes(Context& context) {
  Pair pair({.protection = context.settings().protection});
  const auto driver = pair.driver();
  context.each_run([&] {
    for (std::int64_t bytes = 16; bytes <= 4 << 20; bytes *= 4) {
      const auto name = std::to_string(bytes);
      const std::int64_t calls = context.amount(std::clamp<std::int64_t>((128 << 20) / bytes, 100, 10'000));
      auto took = take(pair.node.call(driver, CallPayloads{calls, bytes}, kLong), "calls");
      context.record(name + " p50", "us", percentile(took, 0.5) / 1e3);
      context.record(name + " p99", "us", percentile(took, 0.99) / 1e3);
      const std::int64_t casts =
          context.amount(std::clamp<std::int64_t>((256 << 20) / bytes, 128, 500'000), 2);
      context.record(name, "MB/s",
                     static_cast<double>(casts * bytes) / flood(pair, driver, bytes, casts) / 1e6);
    }
  });
}

}  // namespace cluster::bench
