#include "json_value.hpp"

#include <cmath>
#include <string>

#include "cluster/base/bytes.hpp"

namespace cluster::cli {
namespace {

using Json = nlohmann::ordered_json;
using wire::Value;

constexpr std::size_t kJsonDepthMax = wire::kDepthMax - 2;  // it travels as a field of a message

Value from_json(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return json.get<bool>();
    case Json::value_t::number_integer:
      return json.get<std::int64_t>();
    case Json::value_t::number_unsigned:
      return json.get<std::uint64_t>();
    case Json::value_t::number_float:
      return json.get<double>();
    case Json::value_t::string:
      return json.get<std::string>();
    case Json::value_t::array: {
      Value value(Value::Array{});
      for (const auto& item : json) value.push(from_json(item));
      return value;
    }
    case Json::value_t::object: {
      auto value = Value::map({});
      for (const auto& item : json.items()) value.set(item.key(), from_json(item.value()));
      return value;
    }
    case Json::value_t::null:
    case Json::value_t::binary:
    case Json::value_t::discarded:
      break;
  }
  return {};
}

/// Whether brackets nest deeper than the codec takes; `text` is valid JSON.
bool too_deep(const std::string& text) {
  std::size_t depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (in_text && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      in_text = !in_text;
    else if (!in_text && (text[i] == '{' || text[i] == '[')) {
      if (++depth > kJsonDepthMax) return true;
    } else if (!in_text && (text[i] == '}' || text[i] == ']'))
      --depth;
  }
  return false;
}

}  // namespace

Json to_json(const Value& value) {
  if (const auto* boolean = value.boolean()) return *boolean;
  if (const auto* integer = value.integer()) return *integer;
  if (const auto* big = value.big_integer()) return *big;
  if (const auto* real = value.real()) return std::isfinite(*real) ? Json(*real) : Json(nullptr);
  if (const auto* text = value.text()) return *text;
  if (const auto* bytes = value.bytes()) return base64(*bytes);
  if (const auto* array = value.array()) {
    auto json = Json::array();
    for (const auto& item : *array) json.push_back(to_json(item));
    return json;
  }
  if (const auto* map = value.map()) {
    auto json = Json::object();
    for (const auto& [key, member] : *map) json[key] = to_json(member);
    return json;
  }
  return nullptr;
}

Result<Value> value_from_json(const std::string& text) {
  if (!Json::accept(text))
    return Error(Errc::invalid_argument, "'" + text + "' is not JSON (a text needs quotes: '\"text\"')");
  if (too_deep(text)) return Error(Errc::invalid_argument, "the JSON nests too deep");
  return from_json(Json::parse(text));
}

}  // namespace cluster::cli
