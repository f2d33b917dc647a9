#pragma once
#include <thread>

#include "cluster/base/time.hpp"

namespace cluster::testing {

/// Whether `holds()` becomes true within a time that is ample even under a sanitizer; asked again and again.
template <class Condition>
[[nodiscard]] bool eventually(Condition&& holds, Duration within = 30s) {
  const Instant deadline = MonotonicClock::now() + within;
  while (!holds()) {
    if (MonotonicClock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace cluster::testing
