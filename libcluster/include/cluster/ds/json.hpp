#pragma once
// JSON forms of CHash and VectorClock for nlohmann::json. Link cluster::ds_json; cluster::ds itself knows no
// JSON.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/ds/chash.hpp"
#include "cluster/ds/vector_clock.hpp"

namespace cluster {

namespace detail {

inline Error json_error(const std::string& what) { return Error(Errc::invalid_argument, what); }

/// The member `name` of `object`; null if it is not an object or has none.
template <class Json>
const Json* json_member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto at = object.find(name);
  return at == object.end() ? nullptr : &*at;
}

/// A whole number in [0, max].
template <class Json>
std::optional<std::uint64_t> json_unsigned(const Json* value, std::uint64_t max) {
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  if (!value->is_number_unsigned() && value->template get<std::int64_t>() < 0) return std::nullopt;
  const auto number = value->template get<std::uint64_t>();
  return number <= max ? std::optional(number) : std::nullopt;
}

template <class Json>
std::optional<std::int64_t> json_signed(const Json* value) {
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  if (value->is_number_unsigned() &&
      value->template get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
    return std::nullopt;
  return value->template get<std::int64_t>();
}

template <class Json>
const std::string* json_text(const Json* value) {
  return value == nullptr ? nullptr : value->template get_ptr<const std::string*>();
}

}  // namespace detail

/// {"id", "host", "port"}
inline nlohmann::ordered_json to_json(const CHash::Node& node) {
  return {{"id", node.id.str()}, {"host", node.endpoint.host}, {"port", node.endpoint.port}};
}

template <class Json>
Result<CHash::Node> chash_node_from_json(const Json& json) {
  const auto* const id = detail::json_text(detail::json_member(json, "id"));
  const auto* const host = detail::json_text(detail::json_member(json, "host"));
  const auto port = detail::json_unsigned(detail::json_member(json, "port"), 65'535);
  if (id == nullptr || host == nullptr || !port)
    return detail::json_error("a node is {\"id\": text, \"host\": text, \"port\": 0..65535}");
  auto parsed = NodeId::parse(*id);
  if (!parsed) return std::move(parsed).error();
  return CHash::Node{*std::move(parsed), {*host, static_cast<std::uint16_t>(*port)}};
}

/// {"rfactor", "pfactor", "tree": [{"key": base64, "value": node}, ...]}, the tree in ring order.
inline nlohmann::ordered_json to_json(const CHash& ring) {
  auto tree = nlohmann::ordered_json::array();
  for (const auto& point : ring.points())
    tree.push_back({{"key", base64(point.key)}, {"value", to_json(point.node)}});
  return {{"rfactor", ring.config().rfactor}, {"pfactor", ring.config().pfactor}, {"tree", std::move(tree)}};
}

/// The inverse. `invalid_argument` says which part is wrong. Unknown members are skipped.
template <class Json>
Result<CHash> chash_from_json(const Json& json) {
  constexpr std::uint64_t kAny = std::numeric_limits<std::uint32_t>::max();  // the ring knows its bounds
  const auto rfactor = detail::json_unsigned(detail::json_member(json, "rfactor"), kAny);
  const auto pfactor = detail::json_unsigned(detail::json_member(json, "pfactor"), kAny);
  const auto* const tree = detail::json_member(json, "tree");
  if (!rfactor || !pfactor || tree == nullptr || !tree->is_array())
    return detail::json_error("a ring is {\"rfactor\": number, \"pfactor\": number, \"tree\": list}");
  std::vector<CHash::Point> points;
  points.reserve(tree->size());
  for (const auto& item : *tree) {
    const std::string where = "tree entry " + std::to_string(points.size()) + ": ";
    const auto* const text = detail::json_text(detail::json_member(item, "key"));
    const auto key = text == nullptr ? std::nullopt : from_base64(*text);
    const auto* const value = detail::json_member(item, "value");
    CHash::Point point;
    if (!key || key->size() != point.key.size())
      return detail::json_error(where + "the key is not base64 of 32 bytes");
    if (value == nullptr) return detail::json_error(where + "the value is missing");
    auto node = chash_node_from_json(*value);
    if (!node) return detail::json_error(where + node.error().message());
    std::copy(key->begin(), key->end(), point.key.begin());
    point.node = *std::move(node);
    points.push_back(std::move(point));
  }
  return CHash::from_points({static_cast<std::uint32_t>(*rfactor), static_cast<std::uint32_t>(*pfactor)},
                            std::move(points));
}

/// {id: {"count", "insert", "time"}, ...}, times in microseconds since 1970.
inline nlohmann::ordered_json to_json(const VectorClock& clock) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [id, count, insert, time] : clock.entries())
    json[id.str()] = {{"count", count}, {"insert", micros(insert)}, {"time", micros(time)}};
  return json;
}

/// The inverse. `invalid_argument` says which entry is wrong. Unknown members are skipped.
template <class Json>
Result<VectorClock> vector_clock_from_json(const Json& json) {
  if (!json.is_object()) return detail::json_error("a vector clock is an object");
  std::vector<VectorClock::Entry> entries;
  for (const auto& [name, value] : json.items()) {
    auto id = NodeId::parse(name);
    if (!id) return std::move(id).error();
    const auto count =
        detail::json_unsigned(detail::json_member(value, "count"), std::numeric_limits<std::uint64_t>::max());
    const auto insert = detail::json_signed(detail::json_member(value, "insert"));
    const auto time = detail::json_signed(detail::json_member(value, "time"));
    if (!count || !insert || !time)
      return detail::json_error("clock entry '" + name +
                                "' is {\"count\", \"insert\", \"time\"}, whole numbers");
    entries.push_back({*std::move(id), *count, wall_from_micros(*insert), wall_from_micros(*time)});
  }
  return VectorClock::from_entries(std::move(entries));
}

}  // namespace cluster
