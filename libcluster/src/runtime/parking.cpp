#include "parking.hpp"

#include <algorithm>

#include "futex.hpp"

namespace cluster::runtime {

void Parking::work_added() noexcept {
  while (searching_.load() == 0 && (driver_until_.load() != kAwake || parked_count_.load() != 0)) {
    std::uint32_t nobody = 0;
    if (!searching_.compare_exchange_strong(nobody, 1)) return;
    // The driver first: it was active last, and it spins on the I/O once the work is done. Those who stay
    // parked then cost nothing while one thread can do it all.
    if (claim_driver() || claim_parked()) return;
    searching_.fetch_sub(1);
  }
}

void Parking::timer_added(Instant due) noexcept {
  if (due.time_since_epoch().count() >= driver_until_.load()) return;
  searching_.fetch_add(1);
  if (!claim_driver() && searching_.fetch_sub(1) == 1) work_added();
}

void Parking::announce_wait(Instant until) noexcept {
  driver_until_.store(until.time_since_epoch().count());
  searching_.fetch_sub(1);
}

void Parking::retract_wait() noexcept {
  if (driver_until_.exchange(kAwake) != kAwake) searching_.fetch_add(1);
}

void Parking::enlist(Sleeper& sleeper) {
  const std::lock_guard lock(mutex_);
  sleeper.woken_.store(0, std::memory_order_relaxed);
  parked_.push_back(&sleeper);
  parked_count_.fetch_add(1);
}

bool Parking::delist(Sleeper& sleeper) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = std::find(parked_.begin(), parked_.end(), &sleeper);
  if (found == parked_.end()) return false;
  parked_.erase(found);
  parked_count_.fetch_sub(1);
  return true;
}

void Parking::park(Sleeper& sleeper) noexcept {
  while (sleeper.woken_.load(std::memory_order_acquire) == 0) futex_wait(sleeper.woken_, 0);
}

void Parking::park(Sleeper& sleeper, Duration time) noexcept { futex_wait(sleeper.woken_, 0, time); }

void Parking::wake_parked() noexcept {
  searching_.fetch_add(1);
  if (!claim_parked() && searching_.fetch_sub(1) == 1) work_added();
}

void Parking::wake_all() noexcept {
  searching_.fetch_add(1);
  while (claim_driver() || claim_parked()) searching_.fetch_add(1);
  searching_.fetch_sub(1);
}

// Wakes the driver if it blocks; it takes over the caller's place among the searchers.
bool Parking::claim_driver() noexcept {
  if (driver_until_.load() == kAwake || driver_until_.exchange(kAwake) == kAwake) return false;
  io_.wake();
  return true;
}

// The same for a parked thread.
bool Parking::claim_parked() noexcept {
  Sleeper* sleeper = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (parked_.empty()) return false;
    sleeper = parked_.back();
    parked_.pop_back();
    parked_count_.fetch_sub(1);
    sleeper->woken_.store(1, std::memory_order_release);
  }
  futex_wake_one(&sleeper->woken_);
  return true;
}

}  // namespace cluster::runtime
