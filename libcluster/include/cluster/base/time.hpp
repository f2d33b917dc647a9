#pragma once
#include <chrono>
#include <cstdint>

namespace cluster {

using namespace std::chrono_literals;  // 5s, 200ms: a time without its unit is not written

using Duration = std::chrono::nanoseconds;

/// The monotonic time line of a node. Protocol code is told instants and never reads them; only
/// drivers call `now()`, and the simulator makes its own.
struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
  [[nodiscard]] static time_point now() noexcept;
  /// As it was at the last tick of the system's clock: up to `coarse_tick` behind `now`, at a fifth of the
  /// cost.
  [[nodiscard]] static time_point coarse_now() noexcept;
  [[nodiscard]] static duration coarse_tick() noexcept;
};
using Instant = MonotonicClock::time_point;
/// Later than every other instant: "no deadline".
inline constexpr Instant kNever = Instant::max();

/// `start + wait`, and `kNever` instead of an overflow.
[[nodiscard]] constexpr Instant saturated_add(Instant start, Duration wait) noexcept {
  return wait > kNever - start ? kNever : start + wait;
}

/// Wall-clock time in microseconds since 1970-01-01 UTC, for records that outlive a process.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;
[[nodiscard]] WallTime wall_now() noexcept;
[[nodiscard]] constexpr std::int64_t micros(WallTime t) noexcept { return t.time_since_epoch().count(); }
[[nodiscard]] constexpr WallTime wall_from_micros(std::int64_t us) noexcept {
  return WallTime{std::chrono::microseconds{us}};
}

}  // namespace cluster
