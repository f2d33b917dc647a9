#pragma once
#include <string>
#include <string_view>

#include "cluster/base/result.hpp"
#include "cluster/wire/value.hpp"

namespace cluster::gateway {

/// Values in one document at most: each takes some 50 bytes of memory, but may be 2 bytes of text.
inline constexpr std::size_t kJsonValuesMax = 4'000'000;

/// The value that a JSON text stands for (wire/json.hpp says how), made without a document in between. Linear
/// in the text. `invalid_argument` for what is no JSON in UTF-8, nests deeper than a message may, or names a
/// member twice; `too_large` for more than kJsonValuesMax values.
[[nodiscard]] Result<wire::Value> value_from_json(std::string_view text);

/// The inverse, on one line.
[[nodiscard]] std::string json_text(const wire::Value& value);
/// The same as the body of a response, with the end of its line.
[[nodiscard]] std::string json_body(const wire::Value& value);

}  // namespace cluster::gateway
