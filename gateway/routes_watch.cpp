#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "cluster/gateway/routes.hpp"
#include "cluster/kv/kv_server.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;

constexpr Duration kReadyTimeout = 2s;
constexpr Duration kAloneTime = 5s;  // for one that was told whom to meet, from its start

struct Since {
  Instant start = MonotonicClock::now();
  std::atomic<bool> settled{false};  // among others; later changes of the ring move keys while it serves
};

Response not_ready(std::string_view why) { return refusal(503, "not_ready", why); }

/// `has_settled`: once, among others.
Response readiness_of(const Result<Value>& store, bool is_in_ring, bool has_settled) {
  if (!store && store.error().code() == Errc::no_server) return success("ready");
  const auto info = store ? store->to<KvInfo::Answer>() : store.error();
  if (!info) return not_ready("the node's store does not answer");
  if (!info->progress.fault.empty())
    return not_ready("the disk of the node's store failed: " + info->progress.fault);
  if (!is_in_ring) return not_ready("the node has a store and is in no ring");
  if (info->progress.settled || has_settled) return success("ready");
  return not_ready("the node's store has not yet got all that it is to hold");
}

/// Ready is who serves, is where he was told to be, and whose servers answer; and a store once it has
/// settled: who restarts nodes one by one waits for each, and two stores at once would be one too many.
void answer_ready(const Toolbox& tools, const std::shared_ptr<Since>& since, const Answer& answer) {
  if (tools.server->is_stopping()) return answer(not_ready("the node is stopping"));
  const auto ring = tools.node->ring();
  const auto is_leaving = [&](const auto& member) {
    return member.weight == 0 && member.id == tools.node->id();
  };
  if (std::ranges::any_of(ring->members, is_leaving))
    return answer(not_ready("the node is leaving its ring"));
  if (tools.needs_ring && ring->ring.empty())
    return answer(not_ready("the node has not yet met the ring that it was told to meet"));
  const bool alone = ring->members.size() < 2;
  if (tools.needs_ring && alone && MonotonicClock::now() < since->start + kAloneTime)
    return answer(not_ready("the node has not yet met those that it was told to meet"));
  tools.caller->call("ring", "ring_info", {}, kReadyTimeout, [=](const Result<Value>& info) {
    if (!info) return answer(not_ready("the node's servers do not answer"));
    tools.caller->call(std::string(KvServer::kName), std::string(KvInfo::event), {}, kReadyTimeout,
                       [=](const Result<Value>& store) {
                         auto readiness = readiness_of(store, !ring->ring.empty(), since->settled);
                         if (store && readiness.status == 200 && !alone) since->settled = true;
                         answer(std::move(readiness));
                       });
  });
}

}  // namespace

void add_watch_routes(Router& router, const Toolbox& tools) {
  router.add({.pattern = "/healthz",
              .handle = [](const Request&, const Answer& answer) { answer(success("alive")); },
              .open = true});
  router.add({.pattern = "/readyz",
              .handle = [tools, since = std::make_shared<Since>()](
                            const Request&, const Answer& answer) { answer_ready(tools, since, answer); },
              .open = true});
}

}  // namespace cluster::gateway
