#include "text.hpp"

#include <array>
#include <cstdint>

#include "cluster/base/utf8.hpp"

namespace cluster::cli {
namespace {

/// The length of the UTF-8 sequence that `lead` begins; 1 for anything else.
std::size_t sequence_length(char lead) {
  const auto byte = static_cast<std::uint8_t>(lead);
  if (byte >= 0xF0) return 4;
  if (byte >= 0xE0) return 3;
  return byte >= 0xC0 ? 2 : 1;
}

char32_t code_point(std::string_view sequence) {
  const auto lead = static_cast<std::uint8_t>(sequence.front());
  char32_t point = sequence.size() == 1 ? lead : lead & (0x7FU >> sequence.size());
  for (const char c : sequence.substr(1)) point = (point << 6) | (static_cast<std::uint8_t>(c) & 0x3FU);
  return point;
}

bool turns_direction(char32_t point) {
  return point == 0x200E || point == 0x200F || point == 0x061C || (point >= 0x202A && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x2069);
}

std::string in_hex(char32_t value, std::size_t digits_min) {
  std::string text;
  for (; value != 0 || text.size() < digits_min; value >>= 4)
    text.insert(0, 1, "0123456789abcdef"[value & 15]);
  return text;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const auto sequence = text.substr(0, sequence_length(text.front()));
    if (!is_utf8(sequence)) {
      shown += "\\x" + in_hex(static_cast<std::uint8_t>(text.front()), 2);
      text.remove_prefix(1);
      continue;
    }
    const auto point = code_point(sequence);
    if (point == '\n')
      shown += "\\n";
    else if (point == '\t')
      shown += "\\t";
    else if (point < 0x20 || (point >= 0x7F && point < 0xA0))
      shown += "\\x" + in_hex(point, 2);
    else if (turns_direction(point))
      shown += "\\u{" + in_hex(point, 4) + "}";
    else
      shown += sequence;
    text.remove_prefix(sequence.size());
  }
  return shown;
}

std::size_t columns(std::string_view printable_text) {
  std::size_t count = 0;
  for (const char c : printable_text) count += (static_cast<std::uint8_t>(c) & 0xC0U) != 0x80U ? 1 : 0;
  return count;
}

}  // namespace cluster::cli
