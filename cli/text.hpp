#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace cluster::cli {

/// `text` as a terminal may show it: control characters, bytes that are not UTF-8 and characters that
/// turn the direction of writing become \n, \t, \xNN or \u{NNNN}, so that data cannot steer a terminal.
[[nodiscard]] std::string printable(std::string_view text);

/// How many columns a printable text takes, one a code point.
[[nodiscard]] std::size_t columns(std::string_view printable_text);

}  // namespace cluster::cli
