#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/wire/frame_protection.hpp"

/// What all workloads of cluster-bench share: their list, their runs and their figures.
namespace cluster::bench {

/// A workload that cannot go on: ends the program with exit code 1 and this text.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
/// The value, or a Failure that says what was tried.
template <class T>
T take(Result<T> result, std::string_view what) {
  if (!result) throw Failure(std::string(what) + ": " + result.error().to_string());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

/// The timeout of a call that takes as long as the measurement.
inline constexpr Duration kLong = std::chrono::minutes(10);

/// A Failure unless all of `expected` arrived.
void check_count(std::int64_t got, std::int64_t expected);

struct Settings {
  int runs = 5;
  bool quick = false;  ///< a hundredth of the work: shows that all works; its figures mean little
  wire::Protection protection = wire::Protection::sign;  ///< of the frames between processes
  std::int64_t large_bytes = 256 << 20;                  ///< the message of `interference`
};

/// The values of one metric, one a run.
struct Figure {
  std::string workload;
  std::string metric;
  std::string unit;
  std::vector<double> values;
};

/// What a workload is given: how much to do, and where its figures go.
class Context {
 public:
  Context(std::string workload, const Settings& settings) noexcept
      : settings_(settings), workload_(std::move(workload)) {}

  [[nodiscard]] const Settings& settings() const noexcept { return settings_; }
  /// `full`, or a hundredth of it (at least `least`) with --quick.
  [[nodiscard]] std::int64_t amount(std::int64_t full, std::int64_t least = 1) const noexcept;
  /// Calls `body` once to warm up, without its figures, then once a run; says so on stderr.
  void each_run(const std::function<void()>& body);
  /// The same for what begins anew each time (a process of its own): no warm-up.
  void each_fresh_run(const std::function<void()>& body);
  void record(std::string_view metric, std::string_view unit, double value);
  /// Records "`name` p50", p99 and max, in us, of nanoseconds.
  void record_latencies(const std::string& name, std::vector<std::int64_t> nanoseconds);

  [[nodiscard]] const std::vector<Figure>& figures() const noexcept { return figures_; }

 private:
  void one_run(const std::function<void()>& body, int run);

  const Settings& settings_;
  std::string workload_;
  bool warming_up_ = false;
  std::vector<Figure> figures_;
};

struct Workload {
  std::string_view name;
  std::string_view measures;  ///< one line, for --list
  void (*run)(Context&);
};
/// All, in the order in which they run.
[[nodiscard]] std::span<const Workload> workloads();

// One for each; workloads() names them.
void local_calls(Context& context);
void local_casts(Context& context);
void remote_calls(Context& context);
void concurrent_calls(Context& context);
void remote_casts(Context& context);
void spawns(Context& context);
void thread_calls(Context& context);
void remote_thread_calls(Context& context);
void caller_counts(Context& context);
void message_sizes(Context& context);
void fan_out(Context& context);
void interference(Context& context);
void backpressure(Context& context);
void fairness(Context& context);
void blocked(Context& context);
void worker_counts(Context& context);
void chash(Context& context);
void vector_clock(Context& context);
void codec(Context& context);
void gossip_merge(Context& context);
void idle(Context& context);
void detect(Context& context);
void pause(Context& context);
void join(Context& context);
void process_start(Context& context);
void kv_ring(Context& context);
void kv_node(Context& context);
void engine(Context& context);

/// Seconds since it was made.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(MonotonicClock::now() - begun_).count();
  }

 private:
  Instant begun_ = MonotonicClock::now();
};
/// The value below which `share` (0..1) of the values lie. Sorts them. 0 if there are none.
[[nodiscard]] double percentile(std::vector<std::int64_t>& values, double share);
/// Keeps the compiler from leaving out what made the bytes at `pointer`.
inline void keep(const void* pointer) { asm volatile("" : : "r"(pointer) : "memory"); }
/// Nanoseconds that `work` takes, on average of so many times.
template <class Work>
double nanoseconds_each(std::int64_t times, Work&& work) {
  const Stopwatch watch;
  for (std::int64_t i = 0; i < times; ++i) work();
  return watch.seconds() / static_cast<double>(times) * 1e9;
}
/// Memory of this process that is resident, in bytes, and the most that it was.
[[nodiscard]] double resident_bytes();
[[nodiscard]] double resident_peak_bytes();
/// From here on the peak is counted anew.
void forget_resident_peak();

}  // namespace cluster::bench
