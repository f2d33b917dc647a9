#pragma once
// JSON forms of CHash and VectorClock for nlohmann::json. Link cluster::ds_json; cluster::ds itself knows no
// JSON.
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

/// {"id", "host", "port"}, and "zone" if it has one.
inline nlohmann::ordered_json to_json(const CHash::Node& node) {
  nlohmann::ordered_json json{
      {"id", node.id.str()}, {"host", node.endpoint.host}, {"port", node.endpoint.port}};
  if (!node.zone.empty()) json["zone"] = node.zone;
  return json;
}

template <class Json>
Result<CHash::Node> chash_node_from_json(const Json& json) {
  const auto* const id = detail::json_text(detail::json_member(json, "id"));
  const auto* const host = detail::json_text(detail::json_member(json, "host"));
  const auto port = detail::json_unsigned(detail::json_member(json, "port"), 65'535);
  if (id == nullptr || host == nullptr || !port)
    return detail::json_error("a node is {\"id\": text, \"host\": text, \"port\": 0..65535}");
  const auto* const zone = detail::json_member(json, "zone");
  if (zone != nullptr && !zone->is_string()) return detail::json_error("the zone of a node is a text");
  auto parsed = NodeId::parse(*id);
  if (!parsed) return std::move(parsed).error();
  return CHash::Node{*std::move(parsed),
                     {*host, static_cast<std::uint16_t>(*port)},
                     zone == nullptr ? std::string() : *detail::json_text(zone)};
}

/// {"rfactor", "pfactor", "tree": [{"key": text, "value": node}, ...]}, the tree in ring order, the keys as
/// `position_text` has them; before these "policy", unless it is sha256.
inline nlohmann::ordered_json to_json(const CHash& ring) {
  const auto& config = ring.config();
  nlohmann::ordered_json json;
  if (config.policy != HashPolicy::sha256) json["policy"] = name(config.policy);
  json["rfactor"] = config.rfactor;
  json["pfactor"] = config.pfactor;
  auto& tree = json["tree"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < ring.size(); ++i)
    tree.push_back(
        {{"key", position_text(config.policy, ring.position(i))}, {"value", to_json(ring.holder(i))}});
  return json;
}

/// The inverse. `invalid_argument` says which part is wrong. Unknown members are skipped; no policy is
/// sha256.
template <class Json>
Result<CHash> chash_from_json(const Json& json) {
  constexpr std::uint64_t kAny = std::numeric_limits<std::uint32_t>::max();  // the ring knows its bounds
  const auto rfactor = detail::json_unsigned(detail::json_member(json, "rfactor"), kAny);
  const auto pfactor = detail::json_unsigned(detail::json_member(json, "pfactor"), kAny);
  const auto* const tree = detail::json_member(json, "tree");
  if (!rfactor || !pfactor || tree == nullptr || !tree->is_array())
    return detail::json_error("a ring is {\"rfactor\": number, \"pfactor\": number, \"tree\": list}");
  CHashConfig config{static_cast<std::uint32_t>(*rfactor), static_cast<std::uint32_t>(*pfactor)};
  if (const auto* const given = detail::json_member(json, "policy")) {
    const auto* const text = detail::json_text(given);
    const auto policy = text == nullptr ? std::nullopt : hash_policy_from_name(*text);
    if (!policy) return detail::json_error("the policy of a ring is \"sha256\" or \"xxh3\"");
    config.policy = *policy;
  }
  std::vector<CHash::Point> points;
  points.reserve(tree->size());
  for (const auto& item : *tree) {
    const std::string where = "tree entry " + std::to_string(points.size()) + ": ";
    const auto* const text = detail::json_text(detail::json_member(item, "key"));
    const auto position = text == nullptr ? std::nullopt : position_from_text(config.policy, *text);
    const auto* const value = detail::json_member(item, "value");
    if (!position)
      return detail::json_error(where + (config.policy == HashPolicy::sha256
                                             ? "the key is not base64 of 32 bytes"
                                             : "the key is not 16 hexadecimal digits"));
    if (value == nullptr) return detail::json_error(where + "the value is missing");
    auto node = chash_node_from_json(*value);
    if (!node) return detail::json_error(where + node.error().message());
    points.push_back({*position, *std::move(node)});
  }
  return CHash::from_points(config, std::move(points));
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
