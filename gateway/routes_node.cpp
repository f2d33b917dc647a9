#include <utility>

#include "cluster/gateway/routes.hpp"
#include "cluster/node/command_replies.hpp"
#include "json_text.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;

Value actors(ActorSystem& system) {
  Value::Array list;
  for (const auto& server : system.actors()) {
    const auto events = system.describe(server.name);
    if (!events) continue;  // it has ended meanwhile
    list.push_back(Value::map({{"name", server.name},
                               {"type", server.type},
                               {"serial", server.serial},
                               {"waiting", static_cast<std::uint64_t>(server.waiting)},
                               {"events", replies::events(*events)}}));
  }
  return list;
}

/// The connections of this node and what waits for them.
Value links(const std::vector<net::PeerStatus>& peers) {
  Value::Array list;
  for (const auto& peer : peers) {
    auto shown = replies::node(peer.id, peer.endpoint);
    shown.set("role", peer.role == net::Role::node ? "node" : "client");
    shown.set("keep", peer.keep == net::Keep::standing ? "standing" : "on_demand");
    shown.set("connected", peer.connected);
    shown.set("protection", peer.connected ? Value(wire::name(peer.protection)) : Value());
    shown.set("queued_messages", peer.queued_messages);
    shown.set("queued_bytes", peer.queued_bytes);
    shown.set("messages_in", peer.messages_in);
    shown.set("messages_out", peer.messages_out);
    shown.set("bytes_in", peer.bytes_in);
    shown.set("bytes_out", peer.bytes_out);
    shown.set("dials_failed", peer.dials_failed);
    shown.set("last_error", peer.last_error.empty() ? Value() : Value(peer.last_error));
    list.push_back(std::move(shown));
  }
  return list;
}

/// What the server `command` answers: "describe" asks another node for a server "server@node".
void command(const Toolbox& tools, const proto::CommandRequest& request, const Answer& answer) {
  tools.caller->call(
      "command", std::string(proto::CommandRequest::event), Value::of(request), kCallTimeout,
      [answer](const Result<Value>& reply) { answer(reply ? from_reply(*reply) : failure(reply.error())); });
}

}  // namespace

Response success(Value data, unsigned status) {
  Response response{.status = status};
  response.body = json_body(replies::answer(std::move(data)));
  return response;
}

Response from_reply(const Value& reply) {
  Response response;
  const auto* ok = reply.find("ok");
  const auto* error = reply.find("error");
  if (ok == nullptr || ok->boolean() == nullptr) {
    return failure(Error(Errc::bad_message, "the server's answer is not a reply", Executed::yes));
  }
  if (!*ok->boolean()) {
    const auto* code = error != nullptr ? error->find("code") : nullptr;
    response.status = status_of(code != nullptr && code->text() != nullptr ? errc_from_name(*code->text())
                                                                           : Errc::internal);
  }
  response.body = json_body(reply);
  return response;
}

void run(const Toolbox& tools, std::size_t bytes, std::function<void()> work) {
  if (bytes < kLongBytes) return work();
  tools.server->offload(std::move(work));
}

std::size_t text_bytes(const Value& value, std::size_t enough) {
  std::size_t bytes = 8;
  if (const auto* text = value.text()) bytes += text->size();
  if (const auto* data = value.bytes()) bytes += data->size();
  if (const auto* elements = value.array())
    for (std::size_t i = 0; i < elements->size() && bytes < enough; ++i)
      bytes += text_bytes((*elements)[i], enough - bytes);
  if (const auto* members = value.map())
    for (std::size_t i = 0; i < members->size() && bytes < enough; ++i)
      bytes += (*members)[i].first.size() + text_bytes((*members)[i].second, enough - bytes);
  return bytes;
}

Result<std::uint64_t> number_parameter(const Request& request, std::string_view name, std::uint64_t max,
                                       std::uint64_t otherwise) {
  const auto* text = request.parameter(name);
  if (text == nullptr) return otherwise;
  const auto number = proto::parse_number(*text);
  if (!number || *number > max)
    return Error(Errc::invalid_argument, std::string(name) + " is not a number up to " + std::to_string(max));
  return number;
}

void add_node_routes(Router& router, const Toolbox& tools) {
  router.add({.pattern = "/v1/status", .handle = [tools](const Request&, const Answer& answer) {
                command(tools, {.name = "status"}, answer);
              }});
  router.add({.pattern = "/v1/links", .handle = [tools](const Request&, const Answer& answer) {
                answer(success(links(tools.node->actors().kernel().peers())));
              }});
  router.add({.pattern = "/v1/members", .handle = [tools](const Request&, const Answer& answer) {
                answer(from_reply(replies::members(tools.node->members(), MonotonicClock::now())));
              }});
  router.add({.pattern = "/v1/actors", .handle = [tools](const Request&, const Answer& answer) {
                answer(success(actors(tools.node->actors())));
              }});
  router.add(
      {.pattern = "/v1/actors/{server}", .handle = [tools](const Request& request, const Answer& answer) {
         command(tools, {.name = "describe", .args = {request.captures[0]}}, answer);
       }});
}

}  // namespace cluster::gateway
