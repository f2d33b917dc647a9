#pragma once
#include <cstdint>

#include "cluster/base/bytes.hpp"
#include "cluster/crypto/sha256.hpp"

namespace cluster::detail {

/// Replaces each 6-bit value in the low 60 bits by the rank of its base64 letter in ASCII, where
/// '+' < '/' < '0'..'9' < 'A'..'Z' < 'a'..'z': the letters' values are 62, 63, 52..61, 0..25, 26..51. So the
/// rank is value + 12, or + 14 from 52 on, or + 2 from 62 on, modulo 64: all ten at once, without a table.
[[nodiscard]] constexpr std::uint64_t base64_ranks(std::uint64_t values) noexcept {
  constexpr std::uint64_t kOnes = 0x0041'0410'4104'1041;  // the lowest bit of each value
  constexpr std::uint64_t kHighs = kOnes << 5;
  const std::uint64_t twice = values << 1, four = values << 2, eight = values << 3, sixteen = values << 4;
  const std::uint64_t from_52 = values & twice & (four | eight) & kHighs;
  const std::uint64_t from_62 = values & twice & four & eight & sixteen & kHighs;
  const std::uint64_t added = (kOnes * 12 & ~(from_62 >> 2 | from_62 >> 3)) | from_52 >> 4;
  return ((values & ~kHighs & kOnes * 63) + added) ^ (values & kHighs);  // no carry leaves a value
}

/// The first 64 bits of the number that orders digests as their base64 texts order byte by byte.
[[nodiscard]] inline std::uint64_t base64_prefix(const crypto::Digest& digest) noexcept {
  // Two loads: SHA-256 has just stored words of 32 bits, and a wider load would have to wait for them.
  const auto bits =
      std::uint64_t{load_be<std::uint32_t>(digest.data())} << 32 | load_be<std::uint32_t>(digest.data() + 4);
  const std::uint64_t eleventh = (bits & 15) << 2 | digest[8] >> 6;
  return base64_ranks(bits >> 4) << 4 | (base64_ranks(eleventh) >> 2 & 15);
}

}  // namespace cluster::detail
