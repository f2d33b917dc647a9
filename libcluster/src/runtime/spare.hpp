#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "scheduler.hpp"

namespace cluster::runtime {

/// The thread that steps in when the workers are blocked by the callbacks they run. While any worker is busy
/// it looks at them once a period; otherwise it sleeps. What it does then:
///
///     a worker is in the same slice as a period ago    moves the job in its slot to a queue
///     nobody has polled for a period                   has a parked worker drive; if there is none, drives
///                                                      itself and runs system jobs until a worker is free
class Spare final : public PoolThread {
 public:
  explicit Spare(Scheduler& scheduler);
  /// The thread's main function.
  void run();
  void add(Job* job) noexcept override;

  /// The worker's busy() is true, and it begins a slice that may be long: makes the thread look at it in
  /// time.
  void worker_is_busy() noexcept {
    if (asleep_.load()) wake();
  }
  /// After the scheduler began to quit.
  void quit() noexcept;

 private:
  // A parked worker relies on a searcher's finding the jobs that come; this one would not, and leaves.
  [[nodiscard]] bool must_not_wait() const noexcept override {
    return !scheduler_.system_.empty() || scheduler_.parking_.anyone_parked();
  }
  void wake() noexcept;
  void sleep_until_busy() noexcept;
  [[nodiscard]] bool anyone_busy() const noexcept;
  /// Compares each worker with what it was a period ago, and saves its slot if it is stuck.
  void look_at_workers() noexcept;
  /// All workers are in the slice they were in when look_at_workers saw them last.
  [[nodiscard]] bool all_stuck() const noexcept;
  void stand_in();
  void run_system_jobs() noexcept;

  // Slices of system jobs between two looks at the I/O.
  static constexpr int kSlicesPerPoll = 64;

  std::vector<std::uint64_t> seen_;  // slices of each worker at the last look
  std::atomic<std::uint32_t> asleep_{0};
  std::atomic<std::uint32_t> quit_{0};
};

}  // namespace cluster::runtime
