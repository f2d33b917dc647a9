// W4 and callers: many servers of one process call one of another process, all at once.
#include <array>
#include <atomic>
#include <latch>
#include <memory>

#include "nodes.hpp"

namespace cluster::bench {
namespace {

constexpr std::int64_t kPayloadBytes = 64;

struct Finish {
  explicit Finish(int callers) : left(callers) {}
  std::latch left;
  std::atomic<int> failed = 0;
};
struct Begin {};
/// Calls when told to begin, notes what each call took, then says that it is done.
class Caller : public GenServer<Caller, Begin> {
 public:
  Caller(Ref<Target> target, std::vector<std::int64_t>* took, std::shared_ptr<Finish> finish)
      : target_(std::move(target)), took_(took), finish_(std::move(finish)) {}

  Task<> handle_cast(Begin) {
    const Bytes data(kPayloadBytes, 'x');
    for (auto& each : *took_) {
      const Instant begun = now();
      auto back = co_await call_within<Payload>(60s, target_, data);
      if (!back) {
        ++finish_->failed;
        break;
      }
      each = (now() - begun).count();
    }
    finish_->left.count_down();
  }

 private:
  Ref<Target> target_;
  std::vector<std::int64_t>* took_;  // outlives the calls: who made it waits for `finish_`
  std::shared_ptr<Finish> finish_;
};

struct Outcome {
  double seconds = 0;
  std::vector<std::int64_t> took;  ///< nanoseconds of each call
};

Outcome run_callers(Pair& pair, int count, std::int64_t times) {
  std::vector<std::vector<std::int64_t>> took(static_cast<std::size_t>(count),
                                              std::vector<std::int64_t>(static_cast<std::size_t>(times)));
  const auto finish = std::make_shared<Finish>(count);
  std::vector<Ref<Caller>> callers;
  for (auto& each : took)
    callers.push_back(take(pair.node.spawn<Caller>({}, pair.target, &each, finish), "spawn"));
  const Stopwatch watch;
  for (const auto& caller : callers) take(pair.node.cast(caller, Begin{}), "begin");
  finish->left.wait();
  Outcome outcome{watch.seconds(), {}};
  for (const auto& caller : callers) take(pair.node.actors().stop(caller), "stop");
  if (finish->failed > 0) throw Failure("calls failed");
  for (const auto& each : took) outcome.took.insert(outcome.took.end(), each.begin(), each.end());
  return outcome;
}

}  // namespace

void concurrent_calls(Context& context) {
  Pair pair({.protection = context.settings().protection});
  constexpr int kCallers = 64;
  const std::int64_t times = context.amount(4'000);
  context.each_run([&] {
    const auto outcome = run_callers(pair, kCallers, times);
    context.record("calls", "1/s", static_cast<double>(kCallers * times) / outcome.seconds);
  });
}

void caller_counts(Context& context) {
  Pair pair({.protection = context.settings().protection});
  context.each_run([&] {
    for (const int count : {1, 8, 64, 512}) {
      const std::int64_t times = context.amount(count == 1 ? 20'000 : 256'000 / count);
      auto outcome = run_callers(pair, count, times);
      const auto name = std::to_string(count);
      context.record(name, "1/s", static_cast<double>(count * times) / outcome.seconds);
      context.record(name + " p50", "us", percentile(outcome.took, 0.5) / 1e3);
      context.record(name + " p99", "us", percentile(outcome.took, 0.99) / 1e3);
    }
  });
}

}  // namespace cluster::bench
