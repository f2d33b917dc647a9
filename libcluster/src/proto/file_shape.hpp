#pragma once
#include <bit>
#include <cstdint>

#include "cluster/proto/file.hpp"

namespace cluster::proto {

static_assert(std::has_single_bit(kFileFanOut));
inline constexpr unsigned kFileFanBits = std::countr_zero(kFileFanOut);

/// Which entry of `level` is above chunk number `chunk`; level 0 are the chunks.
[[nodiscard]] constexpr std::uint64_t entry_above(unsigned level, std::uint64_t chunk) noexcept {
  return level * kFileFanBits >= 64 ? 0 : chunk >> (level * kFileFanBits);
}
/// How many chunks or lists `level` has.
[[nodiscard]] constexpr std::uint64_t entries_at(unsigned level, std::uint64_t chunks) noexcept {
  return chunks == 0 ? 0 : entry_above(level, chunks - 1) + 1;
}

}  // namespace cluster::proto
