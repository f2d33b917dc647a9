#include <utility>

#include "cluster/gateway/routes.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;

constexpr Duration kReadyTimeout = 2s;

Response not_ready(std::string_view why) { return refusal(503, "not_ready", why); }

/// Ready is who serves, is where he was told to be, and whose servers answer.
void answer_ready(const Toolbox& tools, Answer answer) {
  if (tools.server->is_stopping()) return answer(not_ready("the node is stopping"));
  if (tools.needs_ring && tools.node->ring()->ring.empty())
    return answer(not_ready("the node has not yet met the ring that it was told to meet"));
  tools.caller->call("ring", "ring_info", {}, kReadyTimeout,
                     [answer = std::move(answer)](const Result<Value>& info) {
                       answer(info ? success("ready") : not_ready("the node's servers do not answer"));
                     });
}

}  // namespace

void add_watch_routes(Router& router, const Toolbox& tools) {
  router.add({.pattern = "/healthz",
              .handle = [](const Request&, const Answer& answer) { answer(success("alive")); },
              .open = true});
  router.add({.pattern = "/readyz",
              .handle = [tools](const Request&, Answer answer) { answer_ready(tools, std::move(answer)); },
              .open = true});
}

}  // namespace cluster::gateway
