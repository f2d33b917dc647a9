#include "cluster/node/command_replies.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace cluster::replies {
namespace {

using wire::Value;

Value node_of(const CHash::Node& node) { return replies::node(node.id, node.endpoint); }

Value inspect(const CHash& ring) {
  Value::Array tree;
  tree.reserve(ring.size());
  for (const auto& point : ring.points())
    tree.push_back(Value::map({{"key", base64(point.key)}, {"value", node_of(point.node)}}));
  return answer(Value::map(
      {{"rfactor", ring.config().rfactor}, {"pfactor", ring.config().pfactor}, {"tree", std::move(tree)}}));
}

Value nodes(const CHash& ring) {
  Value::Array list;
  for (const auto& node : ring.nodes()) list.push_back(node_of(node));
  return answer(std::move(list));
}

Value weights(const CHash& ring) {
  auto map = Value::map({});
  for (const auto& [id, weight] : ring.weights()) map.set(id.str(), weight);
  return answer(std::move(map));
}

Value get(const CHash& ring, const std::string& id) {
  const auto* found = ring.get(id);
  return found ? answer(node_of(*found)) : failure(not_in_ring(id));
}

Value weight(const CHash& ring, const std::string& id) {
  const auto found = ring.weight(id);
  return found != 0 ? answer(found) : failure(not_in_ring(id));
}

Value owner(const CHash& ring, const std::string& key) {
  const auto* found = ring.find(key);
  return found ? answer(node_of(*found)) : failure(Error(Errc::not_found, "the ring has no member"));
}

}  // namespace

Value done() { return Value::map({{"ok", true}}); }

Value answer(Value data) { return Value::map({{"ok", true}, {"data", std::move(data)}}); }

Value failure(const Error& error) {
  return Value::map({{"ok", false},
                     {"error", Value::map({{"message", error.message()},
                                           {"code", name(error.code())},
                                           {"executed", name(error.executed())}})}});
}

Value outcome(const Result<void>& result) { return result ? done() : failure(result.error()); }

Value node(const NodeId& id, const Endpoint& endpoint) {
  return Value::map({{"id", id.str()}, {"host", endpoint.host}, {"port", endpoint.port}});
}

Error not_in_ring(std::string_view id) {
  return {Errc::not_found, "'" + std::string(id) + "' is not defined in this ring."};
}

Error already_in_ring(std::string_view ring) {
  return {Errc::already_exists, "Node already belongs to ring '" + std::string(ring) + "'"};
}

std::optional<Value> from_ring(const proto::CommandRequest& request, const CHash& ring) {
  if (request.name == "inspect") return inspect(ring);
  if (request.name == "nodes") return nodes(ring);
  if (request.name == "weights") return weights(ring);
  if (request.name == "get") return get(ring, request.args.front());
  if (request.name == "has") return answer(ring.contains(request.args.front()));
  if (request.name == "weight") return weight(ring, request.args.front());
  if (request.name == "owner") return owner(ring, request.args.front());
  return std::nullopt;
}

std::vector<NodeId> ids_to_remove(const proto::CommandRequest& request, const CHash& ring) {
  const auto& args = request.args;
  const auto is_member = [&](const std::string& id) { return ring.contains(id); };
  std::vector<NodeId> ids;
  if (proto::are_triples(args)) {
    bool others_are_members = false;
    for (std::size_t i = 0; i < args.size(); ++i) others_are_members |= i % 3 != 0 && is_member(args[i]);
    if (request.name == "remove" || !others_are_members) {
      for (const auto& member : proto::triples(args)) ids.push_back(member.id);
      return ids;
    }
  }
  for (const auto& id : args) ids.push_back(NodeId::parse(id).value());
  return ids;
}

}  // namespace cluster::replies
