#pragma once
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/utf8.hpp"
#include "cluster/wire/value.hpp"

/// Value <-> JSON, for the edges: command line, web, scripts. Header-only, target cluster::wire_json.
///
/// nil, booleans, integers, finite floats, UTF-8 text, arrays and maps are what they are in JSON. The rest
/// becomes an object of one member:
///     bytes                {"$bytes": "<base64>"}
///     text, not UTF-8      {"$text": "<base64>"}
///     NaN, infinities      {"$float": "nan"} {"$float": "inf"} {"$float": "-inf"}
/// and a map's key that is not UTF-8 becomes "$text:<base64>". Keys that look like these get one more "$" in
/// front. So from_json(to_json(v)) is v, for every v without NaN.
namespace cluster::wire {
namespace detail {

/// `key` without its leading dollars, or nothing if it has none.
inline std::string_view behind_dollars(std::string_view key) noexcept {
  const auto name = key.find_first_not_of('$');
  return name == 0 || name == std::string_view::npos ? std::string_view{} : key.substr(name);
}
inline bool looks_like_tag(std::string_view key) noexcept {
  const auto name = behind_dollars(key);
  return name == "bytes" || name == "text" || name == "float" || name.starts_with("text:");
}

inline std::string json_key(const std::string& key) {
  if (!is_utf8(key)) return "$text:" + base64(as_bytes(key));
  return looks_like_tag(key) ? "$" + key : key;
}

inline Result<std::string> key_from_json(const std::string& key) {
  if (!looks_like_tag(key)) return key;
  if (key.starts_with("$$")) return key.substr(1);
  if (!key.starts_with("$text:"))
    return Error(Errc::invalid_argument, "'" + key + "' must stand alone in its object");
  const auto bytes = from_base64(std::string_view(key).substr(6));
  if (!bytes || is_utf8(as_text(*bytes)))  // else two keys could become one
    return Error(Errc::invalid_argument, "a key after '$text:' must be the base64 of what is not UTF-8");
  return std::string(as_text(*bytes));
}

/// The value that {"$bytes": ...}, {"$text": ...} or {"$float": ...} stands for.
inline Result<Value> tagged_from_json(const std::string& tag, const nlohmann::ordered_json& json) {
  const auto* text = json.get_ptr<const std::string*>();
  if (tag == "$float") {
    if (text && *text == "nan") return Value(std::nan(""));
    if (text && *text == "inf") return Value(HUGE_VAL);
    if (text && *text == "-inf") return Value(-HUGE_VAL);
    return Error(Errc::invalid_argument, "'$float' must be \"nan\", \"inf\" or \"-inf\"");
  }
  auto bytes = text ? from_base64(*text) : std::nullopt;
  if (!bytes) return Error(Errc::invalid_argument, "'" + tag + "' must be base64");
  if (tag == "$text") return Value(std::string(as_text(*bytes)));
  return Value(std::move(*bytes));
}

inline Result<Value> from_json(const nlohmann::ordered_json& json, std::size_t depth) {
  using Type = nlohmann::ordered_json::value_t;
  if (json.is_structured() && depth > kDepthMax) return Error(Errc::invalid_argument, "nested too deeply");
  switch (json.type()) {
    case Type::null:
      return Value();
    case Type::boolean:
      return Value(json.get<bool>());
    case Type::number_integer:
      return Value(json.get<std::int64_t>());
    case Type::number_unsigned:
      return Value(json.get<std::uint64_t>());
    case Type::number_float:
      return Value(json.get<double>());
    case Type::string:
      return Value(json.get_ref<const std::string&>());
    case Type::array: {
      Value::Array elements;
      elements.reserve(json.size());
      for (const auto& element : json) {
        auto value = from_json(element, depth + 1);
        if (!value) return value;
        elements.push_back(std::move(*value));
      }
      return Value(std::move(elements));
    }
    case Type::object: {
      if (json.size() == 1) {
        const auto& tag = json.begin().key();
        if (tag == "$bytes" || tag == "$text" || tag == "$float")
          return tagged_from_json(tag, json.begin().value());
      }
      Value::Map members;
      members.reserve(json.size());
      for (const auto& [name, member] : json.items()) {
        auto key = key_from_json(name);
        if (!key) return std::move(key).error();
        auto value = from_json(member, depth + 1);
        if (!value) return value;
        members.emplace_back(std::move(*key), std::move(*value));
      }
      return Value(std::move(members));
    }
    case Type::binary:
    case Type::discarded:
      break;
  }
  return Error(Errc::invalid_argument, "no JSON value");
}

}  // namespace detail

/// Errc::invalid_argument for nesting over kDepthMax and for tags with a wrong content.
[[nodiscard]] inline Result<Value> from_json(const nlohmann::ordered_json& json) {
  return detail::from_json(json, 1);
}

/// The result has UTF-8 text only, so `dump()` does not throw. Control characters are for the printer to
/// escape.
[[nodiscard]] inline nlohmann::ordered_json to_json(const Value& value) {
  using Json = nlohmann::ordered_json;
  if (const auto* boolean = value.boolean()) return *boolean;
  if (const auto* integer = value.integer()) return *integer;
  if (const auto* integer = value.big_integer()) return *integer;
  if (const auto* real = value.real()) {
    if (std::isfinite(*real)) return *real;
    return Json{{"$float", std::isnan(*real) ? "nan" : *real > 0 ? "inf" : "-inf"}};
  }
  if (const auto* text = value.text()) {
    if (is_utf8(*text)) return *text;
    return Json{{"$text", base64(as_bytes(*text))}};
  }
  if (const auto* bytes = value.bytes()) return Json{{"$bytes", base64(*bytes)}};
  if (const auto* elements = value.array()) {
    auto json = Json::array();
    for (const auto& element : *elements) json.push_back(to_json(element));
    return json;
  }
  if (const auto* members = value.map()) {
    Json::object_t object;  // appended to as the vector that it is: its own insertion searches all keys
    object.reserve(members->size());
    for (const auto& [key, mapped] : *members)
      object.Json::object_t::Container::emplace_back(detail::json_key(key), to_json(mapped));
    return object;
  }
  return nullptr;
}

}  // namespace cluster::wire
