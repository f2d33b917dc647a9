#include "spare.hpp"

#include <algorithm>
#include <utility>

#include "futex.hpp"
#include "worker.hpp"

namespace cluster::runtime {

Spare::Spare(Scheduler& scheduler) : PoolThread(scheduler), seen_(scheduler.workers_.size()) {}

void Spare::run() {
  enter("cluster-spare");
  const Duration period = scheduler_.config_.spare_period;
  while (!scheduler_.quitting()) {
    sleep_until_busy();  // to wake it costs a worker about 2 us, once a period at most
    futex_wait(quit_, 0, period);
    if (!anyone_busy()) continue;
    look_at_workers();
    // What a worker has put off, and then got stuck in a long slice.
    if (scheduler_.io_.has_unflushed()) scheduler_.io_.flush();
    if (scheduler_.parking_.driven() || scheduler_.poll_age(MonotonicClock::now()) < period) continue;
    if (scheduler_.parking_.anyone_parked())
      scheduler_.parking_.wake_parked();
    else
      stand_in();
  }
}

void Spare::add(Job* job) noexcept {
  stop_waiting();
  scheduler_.enqueue_shared(job);
}

void Spare::wake() noexcept {
  if (asleep_.exchange(0) != 0) futex_wake_one(&asleep_);
}

void Spare::quit() noexcept {
  quit_.store(1);
  futex_wake_one(&quit_);
  wake();
}

// asleep_ is raised before busy() is read, and a worker raises busy() before it reads asleep_: one sees the
// other.
void Spare::sleep_until_busy() noexcept {
  asleep_.store(1);
  while (asleep_.load() != 0 && !anyone_busy() && !scheduler_.quitting()) futex_wait(asleep_, 1);
  asleep_.store(0);
}

bool Spare::anyone_busy() const noexcept {
  return std::any_of(scheduler_.workers_.begin(), scheduler_.workers_.end(),
                     [](const auto& worker) { return worker->busy(); });
}

void Spare::look_at_workers() noexcept {
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    Worker& worker = *scheduler_.workers_[i];
    const std::uint64_t before = std::exchange(seen_[i], worker.slices());
    if (seen_[i] != before || !worker.busy()) continue;
    if (Job* job = worker.steal_slot()) scheduler_.enqueue_shared(job);
  }
}

bool Spare::all_stuck() const noexcept {
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    const Worker& worker = *scheduler_.workers_[i];
    if (!worker.busy() || worker.slices() != seen_[i]) return false;
  }
  return true;
}

void Spare::stand_in() {
  Parking& parking = scheduler_.parking_;
  if (!parking.try_drive()) return;
  parking.begin_search();
  do {
    look_at_workers();
    run_system_jobs();
    wait_for_events(MonotonicClock::now() + scheduler_.config_.spare_period);
  } while (all_stuck() && !parking.anyone_parked() && !scheduler_.quitting());
  parking.stop_driving();
  // A worker may have parked because this thread was driving: now it must drive.
  if (parking.end_search() && scheduler_.work_visible()) parking.work_added();
  if (parking.anyone_parked()) parking.wake_parked();
}

void Spare::run_system_jobs() noexcept {
  for (int i = 0; i < kSlicesPerPoll; ++i) {
    Job* job = scheduler_.system_.pop();
    if (job == nullptr) return;
    const Job::Turn turn = job->run_slice(scheduler_.config_.slice_messages_max);
    scheduler_.io_.flush();
    if (turn == Job::Turn::again) scheduler_.enqueue_shared(job);
  }
}

}  // namespace cluster::runtime
