#include "worker.hpp"

#include <algorithm>
#include <thread>

#include "futex.hpp"
#include "spare.hpp"

namespace cluster::runtime {

void Worker::run() {
  enter("cluster-worker");
  while (Job* job = wait_for_job()) {
    busy_.store(true);
    do run_job(job);
    while ((job = find_job()) != nullptr);
    scheduler_.io_.flush();
    busy_.store(false, std::memory_order_relaxed);
  }
}

void Worker::add(Job* job) noexcept {
  stop_waiting();
  if (slot_.load(std::memory_order_relaxed) == nullptr) {
    slot_.store(job, std::memory_order_release);
  } else if (job->system()) {
    scheduler_.enqueue_shared(job);
  } else {
    queue_.push(job);
    scheduler_.parking_.work_added();
  }
}

Job* Worker::find_job() noexcept {
  if (++searches_ % kSearchesPerShared == 0)
    if (Job* job = find_shared()) return job;
  if (slot_.load(std::memory_order_relaxed) != nullptr && slot_runs_ < kSlotRunsMax)
    if (Job* job = steal_slot()) return ++slot_runs_, job;
  slot_runs_ = 0;
  if (Job* job = scheduler_.system_.pop()) return job;
  if (Job* job = queue_.pop()) return job;
  if (Job* job = scheduler_.injected_.pop()) return job;
  if (slot_.load(std::memory_order_relaxed) != nullptr)
    if (Job* job = steal_slot()) return job;
  return find_elsewhere();
}

Job* Worker::find_shared() noexcept {
  Job* job = scheduler_.system_.pop();
  return job != nullptr ? job : scheduler_.injected_.pop();
}

Job* Worker::find_elsewhere() noexcept {
  const auto& workers = scheduler_.workers_;
  for (std::size_t i = 1; i < workers.size(); ++i)
    if (Job* job = workers[(index_ + i) % workers.size()]->steal()) return job;
  return nullptr;
}

Job* Worker::wait_for_job() {
  Job* job = nullptr;
  do {
    job = scheduler_.parking_.try_drive() ? drive() : park();
    if (job == nullptr && others_lag()) job = nap();
  } while (job == nullptr && !scheduler_.quitting());
  end_search();
  return job;
}

Job* Worker::drive() {
  if (!searching_) scheduler_.parking_.begin_search();
  searching_ = true;
  Job* job = nullptr;
  const auto next_spin = [this] {
    return spins_ ? MonotonicClock::now() + scheduler_.config_.spin : Instant::min();
  };
  Instant spin_end = next_spin();
  while ((job = find_job()) == nullptr && !scheduler_.quitting()) {
    const Instant now = MonotonicClock::now();
    const bool spins = now < spin_end;
    const std::size_t events = spins ? scheduler_.poll(Duration::zero()) : wait_for_events(kNever);
    if (!spins) spins_ = MonotonicClock::now() - now < kSilence;
    if (events != 0) spin_end = next_spin();
    if (others_lag()) break;
    // Threads that wait for a processor go first: they may be the callers whose replies have just come.
    if (spins && events == 0 && !scheduler_.work_visible()) std::this_thread::yield();
  }
  scheduler_.parking_.stop_driving();
  return job;
}

Job* Worker::park() {
  Parking& parking = scheduler_.parking_;
  parking.enlist(sleeper_);
  end_search();
  if (scheduler_.work_visible() || !parking.driven() || scheduler_.quitting()) {
    searching_ = !parking.delist(sleeper_);
  } else {
    parking.park(sleeper_);
    searching_ = true;
  }
  return find_job();
}

/// What this thread has read waits for actors that others run: it leaves the I/O to them for a moment, rather
/// than fill the mailboxes from another core.
bool Worker::others_lag() const noexcept {
  const auto& workers = scheduler_.workers_;
  return scheduler_.io_.is_ahead() && std::any_of(workers.begin(), workers.end(), [this](const auto& w) {
           return w.get() != this && w->busy();
         });
}

Job* Worker::nap() {
  Parking& parking = scheduler_.parking_;
  parking.enlist(sleeper_);
  end_search();
  if (!scheduler_.work_visible() && !scheduler_.quitting()) parking.park(sleeper_, kNap);
  searching_ = !parking.delist(sleeper_);
  return find_job();
}

void Worker::end_search() noexcept {
  if (!searching_) return;
  searching_ = false;
  if (scheduler_.parking_.end_search() && scheduler_.work_visible()) scheduler_.parking_.work_added();
}

void Worker::run_job(Job* job) noexcept {
  if (!job->system()) scheduler_.spare_->worker_is_busy();  // what the node's own servers do is short
  const std::uint64_t slice = slices_.load(std::memory_order_relaxed) + 1;
  slices_.store(slice, std::memory_order_relaxed);
  const Job::Turn turn = job->run_slice(scheduler_.config_.slice_messages_max);
  if (turn == Job::Turn::again) put_back(job);
  if (scheduler_.io_.has_unflushed()) flush_or_hold();
  if (slice % kSlicesPerLook == 0) look_at_io();
}

/// Queues a job that has more to do.
void Worker::put_back(Job* job) noexcept {
  if (job->system()) return scheduler_.enqueue_shared(job);
  Parking& parking = scheduler_.parking_;
  const bool alone =
      !has_more() && (parking.driven() || scheduler_.poll_age(MonotonicClock::now()) < kAloneMax);
  queue_.push(job);
  if (!alone) parking.work_added();
}

/// Sends what the jobs have put off, unless another job is about to add to it: one frame for all of them.
void Worker::flush_or_hold() noexcept {
  if (has_more()) {
    const Instant now = MonotonicClock::now();
    if (held_since_ == kNever) held_since_ = now;
    if (now - held_since_ < kHoldMax) return;
  }
  held_since_ = kNever;
  scheduler_.io_.flush();
}

void Worker::look_at_io() {
  Parking& parking = scheduler_.parking_;
  const Duration age_max = scheduler_.io_.is_ahead() ? kAloneMax : kPollAgeMax;
  if (parking.driven() || scheduler_.poll_age(MonotonicClock::now()) < age_max || !parking.try_drive())
    return;
  scheduler_.poll(Duration::zero());
  parking.stop_driving();
}

}  // namespace cluster::runtime
