#include "cluster/node/command_replies.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <utility>

#include "cluster/node/command_plan.hpp"

namespace cluster::replies {
namespace {

using wire::Value;

Value node_of(const CHash::Node& node) { return replies::node(node.id, node.endpoint, node.zone); }

Value inspect(const CHash& ring) {
  Value::Array tree;
  tree.reserve(ring.size());
  for (std::size_t i = 0; i < ring.size(); ++i)
    tree.push_back(Value::map({{"key", position_text(ring.config().policy, ring.position(i))},
                               {"value", node_of(ring.holder(i))}}));
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

Value owner(const CHash& ring, const std::vector<std::string>& args) {
  const auto& key = args.front();
  if (args.size() > 1) {
    Value::Array list;
    const auto copies = std::min<std::uint64_t>(proto::parse_number(args[1]).value(), CHash::kRangeMax);
    for (const auto* holder : ring.replicas(key, copies)) list.push_back(node_of(*holder));
    return answer(std::move(list));
  }
  const auto* found = ring.find(key);
  return found ? answer(node_of(*found)) : failure(Error(Errc::not_found, "the ring has no member"));
}

Value field(const wire::Field& described) {
  auto shown = Value::map({{"name", described.name}, {"type", described.type}});
  if (described.optional) shown.set("optional", true);
  if (described.fields.empty()) return shown;
  Value::Array inner;
  for (const auto& each : described.fields) inner.push_back(field(each));
  shown.set("fields", std::move(inner));
  return shown;
}

proto::RingCommand insert(const proto::CommandRequest& request) {
  proto::InsertCommand command{.members = {}, .force = request.force};
  for (auto& member : proto::triples(request.args))
    command.members.push_back({std::move(member.id), std::move(member.endpoint), request.weight});
  return command;
}

proto::RingCommand meet(std::span<const std::string> args) {
  proto::MeetCommand command;
  if (args.size() == 3) command.expected = NodeId::parse(args.front()).value();
  const auto address = args.last(2);
  command.endpoint = {address[0], parse_port(address[1]).value()};
  return command;
}

std::vector<NodeId> ids_to_remove(std::span<const std::string> args, const CHash& ring,
                                  const std::vector<NodeId>& leaving) {
  bool as_triples = proto::are_triples(args);
  const auto is_member = [&](const std::string& id) {
    return ring.contains(id) || std::ranges::find(leaving, id, &NodeId::str) != leaving.end();
  };
  for (std::size_t i = 0; i < args.size() && as_triples; ++i)
    if (i % 3 != 0 && is_member(args[i])) as_triples = false;
  std::vector<NodeId> ids;
  for (std::size_t i = 0; i < args.size(); i += as_triples ? 3 : 1)
    ids.push_back(NodeId::parse(args[i]).value());
  return ids;
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

Value ids(const std::vector<NodeId>& nodes) {
  Value::Array list;
  for (const auto& id : nodes) list.emplace_back(id.str());
  return list;
}

Value node(const NodeId& id, const Endpoint& endpoint, const std::string& zone) {
  auto shown = Value::map({{"id", id.str()}, {"host", endpoint.host}, {"port", endpoint.port}});
  if (!zone.empty()) shown.set("zone", zone);
  return shown;
}

Value members(const MemberBoard::View& members, Instant now) {
  Value::Array list;
  for (const auto& member : members) {
    auto shown = node(member.id, member.endpoint, member.zone);
    shown.set("state", proto::name(member.state));
    shown.set("incarnation", member.incarnation);
    shown.set("boot", member.boot.number);
    shown.set("by", member.by.empty() ? Value() : Value(member.by.str()));
    shown.set("for_ms", std::chrono::floor<std::chrono::milliseconds>(now - member.since).count());
    list.push_back(std::move(shown));
  }
  return answer(std::move(list));
}

Value detector(const DetectorInfo::Answer& info) {
  auto shown = Value::map({{"incarnation", info.incarnation}, {"health", info.health}});
  const auto counters = Value::of(info.counters);
  for (const auto& [name, count] : *counters.map()) shown.set(name, count);
  return shown;
}

Value events(const std::vector<EventInfo>& infos) {
  Value::Array list;
  for (const auto& info : infos) {
    Value::Array fields;
    for (const auto& each : info.fields) fields.push_back(field(each));
    list.push_back(
        Value::map({{"event", info.name}, {"replies", info.replies}, {"fields", std::move(fields)}}));
  }
  return list;
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
  if (request.name == "owner") return owner(ring, request.args);
  if (request.name == "balance") return balance(ring);
  if (request.name == "plan") return plan(request, ring);
  return std::nullopt;
}

Value with_lost(Value reply, const std::map<NodeId, bool>& asked) {
  std::vector<NodeId> lost;
  std::string names;
  for (const auto& [id, done] : asked) {
    if (done) continue;
    lost.push_back(id);
    names += (names.empty() ? "'" : ", '") + id.str() + "'";
  }
  const auto* error = reply.find("error");  // it may have changed all the same: not all know of it yet
  if (lost.empty() || (error != nullptr && *error->find("executed")->text() != name(Executed::yes)))
    return reply;
  reply.set("not_handed_over", ids(lost));
  const auto note = names + " did not answer any more before all was handed over: what the others lack is " +
                    "unreadable until it is back";
  const auto* before = reply.find("note");
  reply.set("note", before == nullptr ? note : *before->text() + "; " + note);
  return reply;
}

std::vector<NodeId> to_drain(const proto::RingCommand& command, const NodeId& self,
                             const MemberBoard::View& members) {
  if (const auto* leave = std::get_if<proto::LeaveCommand>(&command))
    return leave->force ? std::vector<NodeId>() : std::vector<NodeId>{self};
  const auto* remove = std::get_if<proto::RemoveCommand>(&command);
  if (remove == nullptr || remove->force || std::ranges::find(remove->ids, self) != remove->ids.end())
    return {};
  std::vector<NodeId> ids;
  std::ranges::copy_if(remove->ids, std::back_inserter(ids),
                       [&](const NodeId& id) { return answers(members, id); });
  return ids;
}

std::optional<proto::RingCommand> ring_command(const proto::CommandRequest& request, const CHash& ring,
                                               const std::vector<NodeId>& leaving) {
  const auto& args = request.args;
  if (request.name == "insert" || request.name == "minsert") return insert(request);
  if (request.name == "update") {
    const auto member = proto::triples(args).front();
    return proto::UpdateCommand{member.id, member.endpoint, request.weight, request.force};
  }
  if (request.name == "remove")
    return proto::RemoveCommand{{NodeId::parse(args.front()).value()}, request.force};
  if (request.name == "mremove")
    return proto::RemoveCommand{ids_to_remove(args, ring, leaving), request.force};
  if (request.name == "meet") return meet(args);
  if (request.name == "join") return proto::JoinCommand{args.front()};
  if (request.name == "leave") return proto::LeaveCommand{request.force};
  return std::nullopt;
}

}  // namespace cluster::replies
