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

struct Settings {
  int runs = 5;
  bool quick = false;  ///< a hundredth of the work: shows that all works; its figures mean little
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

// Each group of workloads has a file; workloads() lists them.
void local_calls(Context& context);       // W1
void local_casts(Context& context);       // W2
void thread_calls(Context& context);      // thread-call
void remote_calls(Context& context);      // W3
void concurrent_calls(Context& context);  // W4
void remote_casts(Context& context);      // W5
void spawns(Context& context);            // W6

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
/// Memory of this process that is resident, in bytes.
[[nodiscard]] double resident_bytes();

}  // namespace cluster::bench
