#include "json_value.hpp"

#include "cluster/wire/json.hpp"

namespace cluster::cli {

Result<wire::Value> value_from_json(const std::string& text) {
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (json.is_discarded())
    return Error(Errc::invalid_argument, "'" + text + "' is not JSON (a text needs quotes: '\"text\"')");
  return wire::from_json(json);
}

}  // namespace cluster::cli
