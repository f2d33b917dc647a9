#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cluster {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

[[nodiscard]] inline ByteView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Big-endian (network order) loads and stores; the caller has checked that the bytes are there.
template <class U>
[[nodiscard]] inline U load_be(const std::uint8_t* from) noexcept {
  static_assert(sizeof(U) == 1 || sizeof(U) == 2 || sizeof(U) == 4 || sizeof(U) == 8);
  U value = 0;
  for (std::size_t i = 0; i < sizeof(U); ++i)
    value = static_cast<U>((sizeof(U) == 1 ? 0 : value << 8) | from[i]);
  return value;
}
template <class U>
inline void store_be(std::uint8_t* to, U value) noexcept {
  static_assert(sizeof(U) == 1 || sizeof(U) == 2 || sizeof(U) == 4 || sizeof(U) == 8);
  for (std::size_t i = 0; i < sizeof(U); ++i)
    to[i] = static_cast<std::uint8_t>(value >> (8 * (sizeof(U) - 1 - i)));
}

/// Standard base64 with padding (RFC 4648 section 4).
[[nodiscard]] std::string base64(ByteView bytes);
/// The inverse; nothing on any deviation from the canonical form.
[[nodiscard]] std::optional<Bytes> from_base64(std::string_view text);
/// Lower-case hexadecimal.
[[nodiscard]] std::string hex(ByteView bytes);
[[nodiscard]] std::optional<Bytes> from_hex(std::string_view text);

}  // namespace cluster
