#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cluster/gateway/http.hpp"

namespace cluster::gateway {

/// The bytes from number `first` to number `last`, both included.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};
struct WholeBody {
  friend bool operator==(const WholeBody&, const WholeBody&) = default;
};
struct UnsatisfiableRange {
  friend bool operator==(const UnsatisfiableRange&, const UnsatisfiableRange&) = default;
};

/// What a Range header asks of a body of `size` bytes (RFC 9110 section 14). Several ranges, other units and
/// what is no range are answered with the whole body, as the standard allows.
[[nodiscard]] std::variant<WholeBody, ByteRange, UnsatisfiableRange> requested_range(std::string_view header,
                                                                                     std::uint64_t size);
/// Whether a list of entity tags, as in If-None-Match, holds `tag` or is "*". Weak tags count.
[[nodiscard]] bool has_entity_tag(std::string_view list, std::string_view tag);
/// What is between the quotes of the strong entity tags of a list, as in If-Match.
[[nodiscard]] std::vector<std::string_view> strong_tags(std::string_view list);
/// How a GET of what has `tag` is answered by its If-Match and If-None-Match, each empty if it has none: 412,
/// 304 or 200 (RFC 9110 section 13.2.2).
[[nodiscard]] unsigned status_of_get(std::string_view if_match, std::string_view if_none_match,
                                     std::string_view tag);
/// The same of what was changed at a known time, by its If-Unmodified-Since and If-Modified-Since too. Beside
/// the entity tags they say nothing, nor if they are no times.
[[nodiscard]] unsigned status_of_get(const Request& request, std::string_view tag, WallTime changed);
/// `text` with all but letters, digits and "-._~" as %XX (RFC 8187's value).
[[nodiscard]] std::string percent_encoded(std::string_view text);

}  // namespace cluster::gateway
