#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace cluster::cli {

/// `data` for a person at a terminal: lists of objects as tables, objects as lines of name and value,
/// anything else as text; ends with a newline. Control characters are escaped.
[[nodiscard]] std::string to_table(const nlohmann::ordered_json& data);

/// An event of `events --follow` on one line, without a newline: "7  node_down  id: bar, state: stopped,
/// ...".
[[nodiscard]] std::string event_line(const nlohmann::ordered_json& event);

}  // namespace cluster::cli
