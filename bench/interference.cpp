// interference: what a call of 64 B and a ping take while a very large message is on the way to the same
// node.
#include <atomic>
#include <thread>

#include "nodes.hpp"

namespace cluster::bench {
namespace {

/// What calls take, each of `batch` of them, until `enough()`.
template <class Enough>
std::vector<std::int64_t> calls_until(Pair& pair, const Ref<Driver>& driver, Enough&& enough) {
  std::vector<std::int64_t> all;
  do {
    const auto took = take(pair.node.call(driver, CallPayloads{20, 64}, kLong), "calls");
    all.insert(all.end(), took.begin(), took.end());
  } while (!enough());
  return all;
}
template <class Enough>
std::vector<std::int64_t> pings_until(Pair& pair, Enough&& enough) {
  const auto server = take(NodeId::parse("server"), "an id");
  std::vector<std::int64_t> all;
  do {
    all.push_back(take(pair.node.ping(server, 60s), "ping").count());
    std::this_thread::sleep_for(200us);
  } while (!enough());
  return all;
}

/// Sends one message of `bytes` and has `measure(enough)` run until it has been handled. Its seconds.
template <class Measure>
double beside_message(Pair& pair, std::int64_t bytes, Measure&& measure) {
  const auto sender = pair.driver();
  std::atomic<bool> done = false;
  double seconds = 0;
  std::string failed;
  std::thread large([&] {
    const Stopwatch watch;
    const auto handled = pair.node.call(sender, FloodNotes{1, bytes, 1}, kLong);
    seconds = watch.seconds();
    if (!handled) failed = handled.error().to_string();
    done = true;
  });
  std::exception_ptr broken;
  try {
    measure([&] { return done.load(); });
  } catch (...) {
    broken = std::current_exception();
  }
  large.join();
  if (broken) std::rethrow_exception(broken);
  if (!failed.empty()) throw Failure("the large message: " + failed);
  take(pair.node.actors().stop(sender), "stop");
  return seconds;
}

}  // namespace

void interference(Context& context) {
  const std::int64_t bytes = context.settings().quick ? 4 << 20 : context.settings().large_bytes;
  Pair pair({.protection = context.settings().protection,
             .message_bytes_max = static_cast<std::size_t>(bytes) + (1 << 20)});
  const auto driver = pair.driver();
  context.each_run([&] {
    const double seconds = context.settings().quick ? 0.02 : 1;
    const auto some = [seconds, watch = Stopwatch()] { return watch.seconds() > seconds; };
    context.record_latencies("call alone", calls_until(pair, driver, some));
    const auto more = [seconds, watch = Stopwatch()] { return watch.seconds() > seconds; };
    context.record_latencies("ping alone", pings_until(pair, more));
    const auto megabytes = static_cast<double>(bytes) / 1e6;
    std::vector<std::int64_t> calls;
    const double first =
        beside_message(pair, bytes, [&](const auto& enough) { calls = calls_until(pair, driver, enough); });
    context.record_latencies("call beside", std::move(calls));
    std::vector<std::int64_t> pings;
    const double second =
        beside_message(pair, bytes, [&](const auto& enough) { pings = pings_until(pair, enough); });
    context.record_latencies("ping beside", std::move(pings));
    context.record("message, calls beside", "MB/s", megabytes / first);
    context.record("message, pings beside", "MB/s", megabytes / second);
  });
}

}  // namespace cluster::bench
