#include "cluster/base/time.hpp"

#include <ctime>

namespace cluster {
namespace {

Duration since_zero(const timespec& time) noexcept {
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

Instant MonotonicClock::now() noexcept {
  return Instant{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

Instant MonotonicClock::coarse_now() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return Instant{since_zero(time)};
}

Duration MonotonicClock::coarse_tick() noexcept {
  static const Duration tick = [] {
    timespec time{};
    clock_getres(CLOCK_MONOTONIC_COARSE, &time);
    return since_zero(time);
  }();
  return tick;
}

WallTime wall_now() noexcept {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

}  // namespace cluster
