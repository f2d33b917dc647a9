#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "job.hpp"
#include "parking.hpp"
#include "scheduler.hpp"

namespace cluster::runtime {

/// One of the threads that run the actors. With nothing to run it drives the I/O, or parks while another
/// does.
///
/// The job it woke first in a slice goes to its hand-off slot and runs next, on a warm cache: a call and its
/// reply bounce between two actors without waking any thread. The other jobs go to its queue, from where
/// others steal. What waits in the slot of a worker that is blocked is moved away by the spare thread.
class Worker final : public PoolThread {
 public:
  Worker(Scheduler& scheduler, std::size_t index) noexcept : PoolThread(scheduler), index_(index) {}
  /// The thread's main function.
  void run();
  void add(Job* job) noexcept override;

  // For other threads.
  [[nodiscard]] Job* steal() noexcept { return queue_.pop(); }
  [[nodiscard]] Job* steal_slot() noexcept { return slot_.exchange(nullptr, std::memory_order_acquire); }
  [[nodiscard]] bool has_queued() const noexcept { return !queue_.empty(); }
  [[nodiscard]] bool has_more() const noexcept override {
    return slot_.load(std::memory_order_relaxed) != nullptr || !queue_.empty();
  }
  /// It runs jobs, or looks for one after it ran one.
  [[nodiscard]] bool busy() const noexcept { return busy_.load(); }
  /// How many slices it has begun: while it is busy and this stands still, it is in one slice.
  [[nodiscard]] std::uint64_t slices() const noexcept { return slices_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] bool must_not_wait() const noexcept override { return scheduler_.work_visible(); }
  /// A job from any queue, or null.
  [[nodiscard]] Job* find_job() noexcept;
  [[nodiscard]] Job* find_shared() noexcept;
  [[nodiscard]] Job* find_elsewhere() noexcept;
  /// Drives or parks until there is a job; null: the scheduler quits.
  [[nodiscard]] Job* wait_for_job();
  [[nodiscard]] Job* drive();
  [[nodiscard]] Job* park();
  [[nodiscard]] bool others_lag() const noexcept;
  [[nodiscard]] Job* nap();
  void end_search() noexcept;
  void run_job(Job* job) noexcept;
  void put_back(Job* job) noexcept;
  void flush_or_hold() noexcept;
  void look_at_io();

  // Consecutive jobs from the slot before the queues get their turn.
  static constexpr unsigned kSlotRunsMax = 64;
  // Every so many searches begin with the shared queues, so that neither the slot nor a busy actor starves
  // them.
  static constexpr unsigned kSearchesPerShared = 4;
  // Every so many slices a busy worker looks at the clock, and at the I/O if nobody has for kPollAgeMax.
  static constexpr unsigned kSlicesPerLook = 8;
  static constexpr Duration kPollAgeMax = 200us;
  // When the only job here has more to do, no other thread is woken: it would take the job from a warm cache,
  // or find nothing. Unless nobody drives the I/O, for so long.
  static constexpr Duration kAloneMax = 500us;
  // What jobs send is put off this long at most while other jobs here are ready to add to it.
  static constexpr Duration kHoldMax = 50us;
  // How long the driver leaves the I/O to workers that lag behind it; other traffic waits no longer.
  static constexpr Duration kNap = 300us;
  // What came after a longer silence than this is seldom followed by more within the time of a spin.
  static constexpr Duration kSilence = 1ms;

  const std::size_t index_;
  bool searching_ = false;  // counted by Parking as a searcher
  unsigned slot_runs_ = 0;
  unsigned searches_ = 0;
  Instant held_since_ = kNever;  // output is put off since then
  bool spins_ = true;            // before it blocks in the poller: work comes often
  Parking::Sleeper sleeper_;
  RunQueue queue_;
  std::atomic<Job*> slot_{nullptr};  // only this thread puts one in, any thread takes it out
  std::atomic<std::uint64_t> slices_{0};
  std::atomic<bool> busy_{false};
};

}  // namespace cluster::runtime
