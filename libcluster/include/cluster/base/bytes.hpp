#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
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

namespace detail {
/// `value` with its bytes in network order. (A loop over bytes reads better and is not recognised by GCC 12.)
template <class U>
[[nodiscard]] constexpr U to_big_endian(U value) noexcept {
  static_assert(std::is_unsigned_v<U> && sizeof(U) <= 8);
  if constexpr (std::endian::native == std::endian::big || sizeof(U) == 1)
    return value;
  else if constexpr (sizeof(U) == 2)
    return __builtin_bswap16(value);
  else if constexpr (sizeof(U) == 4)
    return __builtin_bswap32(value);
  else
    return __builtin_bswap64(value);
}
}  // namespace detail

/// Big-endian (network order) loads and stores; the caller has checked that the bytes are there.
template <class U>
[[nodiscard]] inline U load_be(const std::uint8_t* from) noexcept {
  U value;
  std::memcpy(&value, from, sizeof value);
  return detail::to_big_endian(value);
}
template <class U>
inline void store_be(std::uint8_t* to, U value) noexcept {
  value = detail::to_big_endian(value);
  std::memcpy(to, &value, sizeof value);
}

/// Standard base64 with padding (RFC 4648 section 4).
[[nodiscard]] std::string base64(ByteView bytes);
/// The inverse; nothing on any deviation from the canonical form.
[[nodiscard]] std::optional<Bytes> from_base64(std::string_view text);
/// Lower-case hexadecimal.
[[nodiscard]] std::string hex(ByteView bytes);
[[nodiscard]] std::optional<Bytes> from_hex(std::string_view text);

}  // namespace cluster
