#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace cluster::cli {

/// `document` on one line with a space after each ':' and ',', as in {"ok": true, "data": [1, 2]}. Bytes
/// that are not UTF-8 become U+FFFD; control characters are escaped.
[[nodiscard]] std::string to_line(const nlohmann::ordered_json& document);

}  // namespace cluster::cli
