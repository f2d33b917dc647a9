#pragma once
#include <string>

#include "cluster/base/result.hpp"
#include "cluster/wire/value.hpp"

namespace cluster::cli {

/// The message that a JSON text stands for (wire/json.hpp says how). `invalid_argument` for text that is
/// not JSON or nests deeper than a message may.
[[nodiscard]] Result<wire::Value> value_from_json(const std::string& text);

}  // namespace cluster::cli
