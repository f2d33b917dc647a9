#pragma once
#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <vector>

#include "cluster/base/time.hpp"
#include "cluster/runtime/io_driver.hpp"

namespace cluster::runtime {

/// Knows which threads sleep and which look for work, and wakes one when work appears, never more than are
/// needed: waking a thread costs 15-25 us on a virtual machine.
///
/// A thread without work is in one of these states:
///
///     searching   awake, looks at all queues; the driver while it spins, and whoever was just woken
///     driving     holds the one right to poll the I/O; while it blocks there, `driver_until_` says until
///     when parked      sleeps on a futex word of its own, listed in `parked_`
///
/// Why no wake-up is lost. All steps named here are sequentially consistent, so they have one order.
///
///     who adds work:        1 makes it visible    2 reads searching_    3 reads driver_until_, parked_count_
///     who goes to sleep:    a announces itself (driver_until_ or parked_count_)    b lowers searching_
///                           c looks at all queues again    d sleeps
///
/// If 3 finds a sleeper, it is woken. If 3 comes before a, then 1 comes before c, and c finds the work. If 2
/// finds a searcher, then 1 comes before that searcher's b, thus before its c, or it finds other work first:
/// then it lowers searching_ and, if it was the last searcher, looks again and wakes the next one
/// (`end_search`, whose callers do that). A waker raises searching_ for the thread it wakes, so that those
/// who add work meanwhile do not wake a second one; if it then finds nobody to wake, it lowers it and begins
/// at 2 again, because others may have relied on it. The same holds for timers: 1 is then the new
/// deadline, 3 compares it with driver_until_, and c reads the earliest deadline again.
class Parking {
 public:
  /// Where one thread sleeps.
  class Sleeper {
    friend class Parking;
    std::atomic<std::uint32_t> woken_{0};
  };

  explicit Parking(IoDriver& io) noexcept : io_(io) {}

  /// Work was added to a queue: sees to it that somebody looks for it. Any thread.
  void work_added() noexcept;
  /// A timer that is due before all others was added. Any thread.
  void timer_added(Instant due) noexcept;

  void begin_search() noexcept { searching_.fetch_add(1); }
  /// True: nobody searches now, so the caller must look whether there is more work and call work_added().
  [[nodiscard]] bool end_search() noexcept { return searching_.fetch_sub(1) == 1; }

  /// Takes the right to poll the I/O, if nobody has it.
  [[nodiscard]] bool try_drive() noexcept {
    return !driving_.load(std::memory_order_relaxed) && !driving_.exchange(true);
  }
  void stop_driving() noexcept { driving_.store(false); }
  [[nodiscard]] bool driven() const noexcept { return driving_.load(); }

  /// The driver will block in the poller until `until`, and is no searcher any more. It must look at all
  /// queues and timers again before it blocks.
  void announce_wait(Instant until) noexcept;
  /// The driver is awake and a searcher again, whether somebody woke it or not.
  void retract_wait() noexcept;

  /// The caller will park. It must look at all queues again before `park`.
  void enlist(Sleeper& sleeper);
  /// False: it was woken meanwhile, which made it a searcher.
  [[nodiscard]] bool delist(Sleeper& sleeper) noexcept;
  /// Sleeps until somebody wakes it, which makes it a searcher.
  void park(Sleeper& sleeper) noexcept;
  /// The same for `time` at most; it must then `delist`.
  void park(Sleeper& sleeper, Duration time) noexcept;
  [[nodiscard]] bool anyone_parked() const noexcept { return parked_count_.load() != 0; }

  /// Wakes a parked thread, if there is one, though no work was added: to have it drive.
  void wake_parked() noexcept;
  void wake_all() noexcept;

 private:
  using Ticks = Instant::rep;
  static constexpr Ticks kAwake = std::numeric_limits<Ticks>::min();  // before any deadline

  [[nodiscard]] bool claim_driver() noexcept;
  [[nodiscard]] bool claim_parked() noexcept;

  IoDriver& io_;
  alignas(64) std::atomic<std::uint32_t> searching_{0};
  std::atomic<Ticks> driver_until_{kAwake};
  std::atomic<std::uint32_t> parked_count_{0};
  std::atomic<bool> driving_{false};
  alignas(64) std::mutex mutex_;
  std::vector<Sleeper*> parked_;  // guarded by mutex_; the last to park is woken first: its cache is warm
};

}  // namespace cluster::runtime
