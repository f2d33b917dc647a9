#include <utility>

#include "cluster/gateway/routes.hpp"
#include "cluster/proto/command.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;

constexpr Duration kChordTimeout = 10s;  // longer than a lookup, and than a walk around the ring

/// As `cluster-cli chord` asks: the gateway needs nothing of the overlay itself.
void ask(const Toolbox& tools, const proto::CommandRequest& request, const Answer& answer) {
  tools.caller->call(
      "command", std::string(proto::CommandRequest::event), Value::of(request), kChordTimeout,
      [answer](const Result<Value>& reply) { answer(reply ? from_reply(*reply) : failure(reply.error())); });
}

void look_up(const Toolbox& tools, const Request& request, const Answer& answer) {
  proto::CommandRequest command{.name = "chord", .args = {"lookup", request.captures[0]}};
  command.trace = true;
  if (const auto* mode = request.parameter("mode")) {
    if (*mode != "iterative" && *mode != "recursive")
      return answer(failure(Error(Errc::invalid_argument, "mode is neither iterative nor recursive")));
    command.recursive = *mode == "recursive";
  }
  ask(tools, command, answer);
}

}  // namespace

void add_chord_routes(Router& router, const Toolbox& tools) {
  const auto add = [&](std::string pattern, std::string what) {
    router.add({.pattern = std::move(pattern),
                .handle = [tools, what = std::move(what)](const Request&, const Answer& answer) {
                  ask(tools, {.name = "chord", .args = {what}}, answer);
                }});
  };
  add("/v1/chord", "info");
  add("/v1/chord/successors", "successors");
  add("/v1/chord/fingers", "fingers");
  add("/v1/chord/graph", "graph");
  router.add(
      {.pattern = "/v1/chord/lookup/{key}",
       .handle = [tools](const Request& request, const Answer& answer) { look_up(tools, request, answer); }});
}

}  // namespace cluster::gateway
