#pragma once
#include <string_view>

namespace cluster {

/// Whether `text` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;
/// Whether `text` holds a C0 or C1 control character or DEL. `text` is well-formed UTF-8.
[[nodiscard]] bool has_control_character(std::string_view text) noexcept;

}  // namespace cluster
