#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "cluster/gateway/routes.hpp"
#include "cluster/node/command_replies.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;

constexpr std::uint64_t kPartsDefault = 2048;  // of a picture of the ring
constexpr std::uint64_t kPartsMax = 16'384;

Value ring_name(const RingView& view) { return view.ring.empty() ? Value() : Value(view.ring); }

Value ring(const RingView& view) {
  const auto balance = view.hash.balance();
  std::map<NodeId, double> shares;
  for (const auto& share : balance.shares) shares[share.id] = share.share;
  Value::Array members;
  for (const auto& member : view.members) {
    auto shown = replies::node(member.id, member.endpoint, member.zone);
    shown.set("weight", member.weight);
    shown.set("share", shares[member.id]);
    members.push_back(std::move(shown));
  }
  return Value::map({{"ring", ring_name(view)},
                     {"state", hex(view.state)},
                     {"rfactor", view.hash.config().rfactor},
                     {"pfactor", view.hash.config().pfactor},
                     {"members", std::move(members)},
                     {"max_over_mean", balance.max_over_mean}});
}

/// The ring cut into equal parts, each with the owner of its middle; neighbours with one owner are one arc.
/// However many points a ring has, its picture is no larger than the parts asked for.
Value arcs(const RingView& view, std::uint64_t parts) {
  Value::Array ids;
  std::map<std::string_view, std::uint64_t> places;
  for (const auto& weight : view.hash.weights()) {
    places.emplace(weight.id.str(), places.size());
    ids.emplace_back(weight.id.str());
  }
  Value::Array arcs;
  std::string_view last;
  for (std::uint64_t part = 0; part < parts; ++part) {
    const std::uint64_t middle = (2 * part + 1) * ((std::uint64_t{1} << 63) / parts);
    const auto* owner = view.hash.owner_at(Position{{middle}});
    if (owner == nullptr) break;
    if (!arcs.empty() && owner->id.str() == last) continue;
    last = owner->id.str();
    arcs.emplace_back(Value::Array{part, places.at(last)});
  }
  return Value::map({{"ring", ring_name(view)},
                     {"state", hex(view.state)},
                     {"points", view.hash.size()},
                     {"parts", parts},
                     {"members", std::move(ids)},
                     {"arcs", std::move(arcs)}});
}

/// Where a key lies, as a fraction of the ring, and who keeps its `count` copies, the owner first.
Value place(const RingView& view, const std::string& key, std::uint64_t count) {
  const auto position = position_of(view.hash.config().policy, key);
  Value::Array replicas;
  for (const auto* node : view.hash.replicas_at(position, count))
    replicas.push_back(replies::node(node->id, node->endpoint, node->zone));
  return Value::map({{"key", key},
                     {"position", static_cast<double>(position.words[0] >> 11) * 0x1p-53},
                     {"replicas", std::move(replicas)}});
}

Response arcs_answer(const Toolbox& tools, const Request& request) {
  const auto parts = number_parameter(request, "parts", kPartsMax, kPartsDefault);
  if (!parts) return failure(parts.error());
  if (*parts == 0) return failure(Error(Errc::invalid_argument, "parts is 1 at least"));
  return success(arcs(*tools.node->ring(), *parts));
}

Response place_answer(const Toolbox& tools, const Request& request) {
  const auto view = tools.node->ring();
  const auto count =
      number_parameter(request, "count", CHash::kRangeMax, std::uint64_t{view->hash.config().pfactor} + 1);
  return count ? success(place(*view, request.captures[0], *count)) : failure(count.error());
}

}  // namespace

void add_ring_routes(Router& router, const Toolbox& tools) {
  router.add({.pattern = "/v1/ring", .handle = [tools](const Request&, const Answer& answer) {
                answer(success(ring(*tools.node->ring())));
              }});
  router.add({.pattern = "/v1/ring/arcs", .handle = [tools](const Request& request, const Answer& answer) {
                run(tools, kLongBytes, [tools, request, answer] { answer(arcs_answer(tools, request)); });
              }});
  router.add(
      {.pattern = "/v1/ring/keys/{key}", .handle = [tools](const Request& request, const Answer& answer) {
         answer(place_answer(tools, request));
       }});
}

}  // namespace cluster::gateway
