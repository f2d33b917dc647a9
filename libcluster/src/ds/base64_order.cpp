#include "base64_order.hpp"

#include <algorithm>
#include <array>

#include "cluster/base/bytes.hpp"

namespace cluster::detail {
namespace {

// '+' < '/' < '0'..'9' < 'A'..'Z' < 'a'..'z' in ASCII; their values are 62, 63, 52.., 0.., 26...
constexpr auto kRank = [] {
  std::array<std::uint8_t, 64> rank{};
  for (std::size_t value = 0; value < rank.size(); ++value)
    rank[value] = static_cast<std::uint8_t>(value < 52 ? value + 12 : value < 62 ? value - 50 : value - 62);
  return rank;
}();

/// Digit `index` (0..42) of the base64 text.
std::uint8_t digit(const crypto::Digest& digest, std::size_t index) noexcept {
  const std::size_t bit = index * 6;
  const std::size_t byte = bit / 8;
  const unsigned window =
      static_cast<unsigned>(digest[byte]) << 8 | (byte + 1 < digest.size() ? digest[byte + 1] : 0u);
  return static_cast<std::uint8_t>(window >> (10 - bit % 8) & 63);
}

}  // namespace

std::uint64_t base64_prefix(const crypto::Digest& digest) noexcept {
  const auto bits = load_be<std::uint64_t>(digest.data());
  std::uint64_t prefix = 0;
  for (int shift = 58; shift >= 4; shift -= 6) prefix = prefix << 6 | kRank[bits >> shift & 63];
  const auto last = static_cast<std::size_t>((bits & 15) << 2 | digest[8] >> 6);
  return prefix << 4 | kRank[last] >> 2;
}

std::strong_ordering base64_compare(const crypto::Digest& a, const crypto::Digest& b) noexcept {
  const auto [left, right] = std::ranges::mismatch(a, b);
  if (left == a.end()) return std::strong_ordering::equal;
  const auto byte = static_cast<std::size_t>(left - a.begin());
  const std::size_t first = byte * 8 / 6;  // this digit or the next one differs
  const std::size_t index = digit(a, first) != digit(b, first) ? first : first + 1;
  return kRank[digit(a, index)] <=> kRank[digit(b, index)];
}

}  // namespace cluster::detail
