#pragma once
#include <algorithm>
#include <cstdint>

#include "cluster/base/time.hpp"

namespace cluster::proto {

/// Both clocks, as a driver reads them. `now` never goes backwards; `wall` may.
struct Moment {
  Instant now{};
  WallTime wall{};
};

/// What others say is of a time at most so far ahead of a node's own clock: the hour by which the clocks of
/// nodes may differ (Handshake), and as much as times and counts get ahead of their clock by edits and starts
/// in quick succession.
inline constexpr auto kAheadMax = std::chrono::minutes(70);

/// Boots and counts begin as a clock's milliseconds.
[[nodiscard]] constexpr std::uint64_t millis(WallTime wall) noexcept {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(micros(wall), 0) / 1000);
}

}  // namespace cluster::proto
