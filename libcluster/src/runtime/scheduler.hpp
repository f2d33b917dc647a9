#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/runtime/engine.hpp"
#include "cluster/runtime/io_driver.hpp"
#include "job.hpp"
#include "parking.hpp"
#include "timers.hpp"

namespace cluster::runtime {

class Spare;
class Worker;

/// Runs jobs on a fixed set of worker threads that drive the I/O and the timers when they have nothing else
/// to do, with a spare thread for when they all are blocked.
class Scheduler {
 public:
  /// `config.workers` and `config.spin` must be settled (not 0 for "as many as"); `io` outlives it.
  Scheduler(const EngineConfig& config, IoDriver& io);
  ~Scheduler();
  [[nodiscard]] Result<void> start();
  /// Joins all threads. No job may be queued any more.
  void stop() noexcept;

  /// Queues a job that is in no queue and is run by nobody. Any thread.
  void enqueue(Job* job) noexcept;
  /// The same, but never in a place that only this thread looks at.
  void enqueue_shared(Job* job) noexcept;

  TimerId set_timer(Instant due, ActorRef to, EnvelopePtr message);
  bool cancel_timer(TimerId timer) { return timers_.cancel(timer); }

 private:
  friend class PoolThread;
  friend class Spare;
  friend class Worker;

  /// Some queue that all threads look at has a job.
  [[nodiscard]] bool work_visible() const noexcept;
  /// Polls the I/O, then fires the timers that are due. Only who drives. Returns how much happened.
  std::size_t poll(Duration max_wait);
  /// How long ago anybody polled.
  [[nodiscard]] Duration poll_age(Instant now) const noexcept;
  [[nodiscard]] bool quitting() const noexcept { return quitting_.load(); }

  const EngineConfig config_;
  IoDriver& io_;
  Parking parking_;
  Timers timers_;
  RunQueue system_;    // jobs that are system()
  RunQueue injected_;  // others, from threads that are no workers
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Spare> spare_;
  std::vector<std::thread> threads_;
  std::atomic<Instant::rep> last_poll_{0};
  std::atomic<bool> quitting_{false};
};

/// What the workers and the spare thread have in common.
class PoolThread {
 public:
  /// The pool thread that runs the caller, or null.
  [[nodiscard]] static PoolThread* current() noexcept;
  [[nodiscard]] const Scheduler* scheduler() const noexcept { return &scheduler_; }
  /// Queues a job. Only from the thread itself.
  virtual void add(Job* job) noexcept = 0;
  /// This thread has other jobs to run after the one that it runs.
  [[nodiscard]] virtual bool has_more() const noexcept { return false; }

 protected:
  explicit PoolThread(Scheduler& scheduler) noexcept : scheduler_(scheduler) {}
  ~PoolThread() = default;
  /// There is something that this thread must see to rather than block.
  [[nodiscard]] virtual bool must_not_wait() const noexcept = 0;
  /// Makes this object the calling thread's `current()`.
  void enter(const char* name) noexcept;
  /// As driver and searcher: waits for I/O, timers, work, or `latest`. A searcher again when it returns.
  /// Returns how much happened.
  std::size_t wait_for_events(Instant latest);
  /// Something came while the poller handled events: the thread does not count as blocked any more.
  void stop_waiting() noexcept;

  Scheduler& scheduler_;

 private:
  // The longest single wait, so that no poller has to add "forever" to the time.
  static constexpr Duration kWaitMax = std::chrono::hours(1);

  bool waits_ = false;
};

}  // namespace cluster::runtime
