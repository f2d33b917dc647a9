#include "cluster/proto/detector_config.hpp"

#include <algorithm>
#include <cmath>

namespace cluster::proto {
namespace {

Duration times(Duration base, double factor) noexcept {
  return Duration(std::llround(static_cast<double>(base.count()) * factor));
}

}  // namespace

std::uint32_t retransmit_limit(std::size_t members, const DetectorConfig& config) noexcept {
  std::uint32_t digits = 0;  // ceil(log10(members + 1)), exactly
  for (auto left = members; left > 0; left /= 10) ++digits;
  return config.retransmit_multiplier * std::max(digits, 1u);
}

std::uint32_t confirmations_expected(std::size_t members, const DetectorConfig& config) noexcept {
  if (members <= 2 || config.plain_swim) return 0;
  return static_cast<std::uint32_t>(std::min<std::size_t>(config.confirmations_max, members - 2));
}

Duration suspicion_timeout(std::uint32_t confirmations, std::uint32_t expected,
                           const DetectorConfig& config) noexcept {
  if (confirmations >= expected) return config.suspicion_min;
  const double share = std::log(confirmations + 1.0) / std::log(expected + 1.0);
  return std::max(config.suspicion_min,
                  config.suspicion_max - times(config.suspicion_max - config.suspicion_min, share));
}

Duration scaled(Duration base, std::uint32_t health) noexcept { return base * (health + 1); }

Duration expected_first_detection(std::size_t members, const DetectorConfig& config) noexcept {
  if (members < 2) return Duration::max();
  const auto others = static_cast<double>(members - 1);
  const double picked = 1 - std::pow(1 - 1 / others, others);
  return times(config.probe_interval, 1 / picked);
}

}  // namespace cluster::proto
