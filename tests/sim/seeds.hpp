#pragma once
#include <cstdint>
#include <cstdlib>

namespace cluster::sim {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

/// How many seeds to run: a few by default, fewer where every step is checked, and any number by the variable
/// CLUSTER_SIM_TIMES, which multiplies (a nightly run takes 50).
inline std::uint64_t seeds(std::uint64_t usual) {
  const char* times = std::getenv("CLUSTER_SIM_TIMES");
  const auto factor = times != nullptr ? std::strtoull(times, nullptr, 10) : 1;
  const auto scaled = usual * (factor > 0 ? factor : 1);
  return kSanitized && scaled > 4 ? scaled / 4 : scaled;
}

}  // namespace cluster::sim
