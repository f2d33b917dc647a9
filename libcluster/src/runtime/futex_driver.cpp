#include "futex_driver.hpp"

#include "futex.hpp"

namespace cluster::runtime {

std::size_t FutexDriver::poll(Duration max_wait) {
  if (max_wait > Duration::zero()) {
    futex_wait(woken_, 0, max_wait);
    woken_.store(0, std::memory_order_relaxed);
  }
  return 0;
}

void FutexDriver::wake() noexcept {
  if (woken_.exchange(1, std::memory_order_release) == 0) futex_wake_one(&woken_);
}

}  // namespace cluster::runtime
