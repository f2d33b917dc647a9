#include "cluster/base/utf8.hpp"

#include <cstddef>
#include <cstdint>

namespace cluster {

bool is_utf8(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const std::uint8_t first = at(i);
    if (first < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > text.size() - i) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((at(i + k) & 0xc0) != 0x80) return false;
    // The second byte rules out overlong forms, surrogates and what is above U+10FFFF (RFC 3629, section 4).
    const std::uint8_t second = at(i + 1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
      return false;
    i += length;
  }
  return true;
}

bool has_control_character(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<std::uint8_t>(text[i]);
    if (c < 0x20 || c == 0x7f) return true;
    if (c == 0xc2 && i + 1 < text.size() && static_cast<std::uint8_t>(text[i + 1]) < 0xa0) return true;  // C1
  }
  return false;
}

}  // namespace cluster
