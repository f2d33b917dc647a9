// workers: servers that call and flood each other, all to all, with more and more worker threads.
#include <atomic>
#include <latch>
#include <memory>

#include "nodes.hpp"

namespace cluster::bench {
namespace {

constexpr int kServers = 16;

struct Round {
  explicit Round(std::ptrdiff_t count) : left(count) {}
  std::latch left;
  std::atomic<int> failed = 0;
};
struct CallAll {
  std::int64_t times = 0;
};
struct CastAll {
  std::int64_t times = 0;
};
/// Talks to one Target after the other.
class Talker : public GenServer<Talker, CallAll, CastAll> {
 public:
  Talker(std::vector<Ref<Target>> targets, std::shared_ptr<std::unique_ptr<Round>> round)
      : targets_(std::move(targets)), round_(std::move(round)) {}

  Task<> handle_cast(CallAll job) {
    for (std::int64_t i = 0; i < job.times; ++i)
      if (auto back = co_await call<Number>(next(), i); !back) ++(*round_)->failed;
    (*round_)->left.count_down();
  }
  Task<> handle_cast(CastAll job) {
    for (std::int64_t i = 0; i < job.times; ++i)
      if (!cast(next(), Tick{i})) ++(*round_)->failed;
    for (std::size_t i = 0; i < targets_.size(); ++i)  // answered when all before it was handled
      if (auto handled = co_await call_within<Handled>(60s, next()); !handled) ++(*round_)->failed;
    (*round_)->left.count_down();
  }

 private:
  const Ref<Target>& next() { return targets_[at_++ % targets_.size()]; }

  std::vector<Ref<Target>> targets_;
  std::shared_ptr<std::unique_ptr<Round>> round_;
  std::size_t at_ = 0;
};

class Crowd {
 public:
  explicit Crowd(std::size_t workers) : node_(start_node({.workers = workers})) {
    std::vector<Ref<Target>> targets;
    for (int i = 0; i < kServers; ++i) targets.push_back(take(node_.spawn<Target>({}), "spawn"));
    for (int i = 0; i < kServers; ++i) {
      talkers_.push_back(take(node_.spawn<Talker>({}, targets, round_), "spawn"));
      std::rotate(targets.begin(), targets.begin() + 1, targets.end());
    }
  }
  /// Seconds until all talkers are done.
  template <class Job>
  double seconds(Job job) {
    *round_ = std::make_unique<Round>(kServers);
    const Stopwatch watch;
    for (const auto& talker : talkers_) take(node_.cast(talker, job), "begin");
    (*round_)->left.wait();
    const double took = watch.seconds();
    if ((*round_)->failed > 0) throw Failure("messages of the crowd failed");
    return took;
  }

 private:
  std::shared_ptr<std::unique_ptr<Round>> round_ = std::make_shared<std::unique_ptr<Round>>();
  Node node_;
  std::vector<Ref<Talker>> talkers_;
};

}  // namespace

void worker_counts(Context& context) {
  const std::int64_t calls = context.amount(50'000);
  const std::int64_t casts = context.amount(100'000);
  context.each_run([&] {
    for (const std::size_t workers : {1, 2, 4, 8, 16}) {
      Crowd crowd(workers);
      const auto name = std::to_string(workers) + (workers == 1 ? " thread" : " threads");
      context.record("call " + name, "1/s",
                     static_cast<double>(kServers * calls) / crowd.seconds(CallAll{calls}));
      context.record("cast " + name, "msg/s",
                     static_cast<double>(kServers * casts) / crowd.seconds(CastAll{casts}));
    }
  });
}

}  // namespace cluster::bench
