#pragma once
#include <nlohmann/json.hpp>

#include "cluster/base/result.hpp"
#include "cluster/wire/value.hpp"

namespace cluster::cli {

/// A document as JSON. Bytes become base64 text, NaN and the infinities null.
[[nodiscard]] nlohmann::ordered_json to_json(const wire::Value& value);

/// The inverse, from text: numbers without fraction or exponent become integers. `invalid_argument` for
/// text that is not JSON or nests deeper than the codec allows.
[[nodiscard]] Result<wire::Value> value_from_json(const std::string& text);

}  // namespace cluster::cli
