#include "cluster/chord/chord_commands.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "cluster/chord/chord_picture.hpp"
#include "cluster/node/command_replies.hpp"

// No aggregate is made inside a co_await expression here: GCC 12 would destroy it twice.

namespace cluster {
namespace {

using wire::Value;

constexpr Duration kClientTimeout = 10s;  // of a client that states none
constexpr Duration kJoinTimeout = 9s;     // longer than a dial, a question and a join
constexpr Duration kLookupTimeout = 8s;   // longer than a lookup
constexpr Duration kMemberTimeout = 1s;
constexpr std::size_t kGraphMax = 512;    // nodes
constexpr std::size_t kFingersMax = 160;  // as many as an identifier has bits at most
constexpr Duration kGraphTime = 8s;       // then what was found is shown

/// The time in which to answer, so that the answer is there before the client gives up.
Duration budget(const proto::CommandRequest& request) {
  const Duration timeout =
      request.timeout_ms == 0 ? kClientTimeout : std::chrono::milliseconds(request.timeout_ms);
  return timeout - std::min<Duration>(timeout / 5, 1s);
}

Value shown(const proto::ChordSpace& space, const proto::ChordContact& node) {
  return Value::map({{"id", node.id.str()},
                     {"identifier", space.hex(space.place(node.id.str()))},
                     {"host", node.endpoint.host},
                     {"port", node.endpoint.port}});
}

Value info(const proto::ChordSpace& space, const ChordView::Answer& view) {
  auto data = shown(space, view.self);
  data.set("member", view.member);
  data.set("bits", view.bits);
  data.set("hash", proto::name(view.hash));
  data.set("predecessor", view.predecessor ? Value(view.predecessor->id.str()) : Value());
  data.set("successor", view.successors.empty() ? Value() : Value(view.successors.front().id.str()));
  data.set("successors", view.successors.size());
  data.set("fingers", view.fingers.size());
  data.set("counters", Value::of(view.counters));
  return data;
}

Value successors(const proto::ChordSpace& space, const ChordView::Answer& view) {
  Value::Array list;
  for (const auto& node : view.successors) {
    auto row = Value::map({{"n", list.size() + 1}});
    const auto rest = shown(space, node);
    for (const auto& [key, value] : *rest.map()) row.set(key, value);
    list.push_back(std::move(row));
  }
  return list;
}

/// One row for fingers that are the same node; numbered from 1, as the paper does.
Value fingers(const proto::ChordSpace& space, const ChordView::Answer& view) {
  Value::Array list;
  const auto self = space.place(view.self.id.str());
  for (const auto& finger : view.fingers) {
    if (finger.first >= space.bits()) continue;
    const auto first = std::to_string(finger.first + 1), last = std::to_string(finger.last + 1);
    auto row = Value::map({{"finger", first == last ? first : first + "-" + last},
                           {"start", space.hex(space.add_power(self, finger.first))}});
    const auto rest = shown(space, finger.node);
    for (const auto& [key, value] : *rest.map()) row.set(key, value);
    list.push_back(std::move(row));
  }
  return list;
}

/// Whether an answer may be that of `node`: any member may say anything.
bool is_plausible(const ChordView::Answer& answer, const proto::ChordContact& node) {
  return answer.self.id == node.id && answer.successors.size() <= proto::kChordSuccessorsMax &&
         answer.fingers.size() <= kFingersMax &&
         std::ranges::none_of(answer.successors, [](const proto::ChordContact& next) {
           return next.id.empty() || next.endpoint.host.empty() || next.endpoint.port == 0;
         });
}

}  // namespace

Task<Value> ChordCommands::handle_call(proto::CommandRequest asked) {
  auto checked = proto::check(std::move(asked));  // others may ask than the server `command`
  if (!checked) co_return replies::failure(checked.error());
  const proto::CommandRequest& request = *checked;
  if (request.name != "chord")
    co_return replies::failure(
        Error(Errc::invalid_argument, "'" + request.name + "' is not for this server"));
  const auto what = request.args.front();
  if (what == "join") co_return co_await join(request);
  if (what == "leave") {
    const auto left = co_await call<LeaveChord>(chord_);
    co_return replies::outcome(left ? Result<void>() : Result<void>(left.error()));
  }
  const auto view = co_await call<ChordView>(chord_);
  if (!view) co_return replies::failure(view.error());
  const proto::ChordSpace space(view->bits, view->hash);
  if (what == "info") co_return replies::answer(info(space, *view));
  if (!view->member)
    co_return replies::failure(
        Error(Errc::refused, "this node is in no Chord ring; 'chord join' enters one", Executed::no));
  if (what == "lookup") co_return co_await lookup(request, space);
  if (what == "successors") co_return replies::answer(successors(space, *view));
  if (what == "fingers") co_return replies::answer(fingers(space, *view));
  co_return co_await graph(request, *view);
}

Task<Value> ChordCommands::join(const proto::CommandRequest& request) {
  std::optional<Endpoint> endpoint;
  if (request.args.size() > 1) endpoint = Endpoint::parse(request.args[1]).value();
  const auto joined = co_await call_within<JoinChord>(kJoinTimeout, chord_, endpoint);
  co_return replies::outcome(joined ? Result<void>() : Result<void>(joined.error()));
}

Task<Value> ChordCommands::lookup(const proto::CommandRequest& request, const proto::ChordSpace& space) {
  const std::string key = request.args[1];
  const auto found = co_await call_within<FindOwner>(kLookupTimeout, chord_, key, request.recursive);
  if (!found)  // a look changes nothing, whether it ended or not
    co_return replies::failure(Error(found.error().code(), found.error().message(), Executed::no));
  auto data = Value::map({{"key", key}, {"identifier", space.hex(space.place(key))}});
  data.set("owner", shown(space, found->owner));
  data.set("hops", found->hops);
  data.set("timeouts", found->timeouts);
  if (request.trace) {
    Value::Array path;
    for (const auto& id : found->path)
      path.push_back(Value::map(
          {{"hop", path.size() + 1}, {"id", id.str()}, {"identifier", space.hex(space.place(id.str()))}}));
    data.set("path", std::move(path));
  }
  co_return replies::answer(std::move(data));
}

/// Follows successors from this node until they come back to it, or the time of who asks is over.
Task<Value> ChordCommands::graph(const proto::CommandRequest& request, const ChordView::Answer& own) {
  std::vector<ChordView::Answer> ring{own};
  bool complete = own.successors.empty();
  std::set<NodeId> seen{own.self.id};
  const Instant deadline = now() + std::min(kGraphTime, budget(request));
  while (!complete && ring.size() < kGraphMax && now() < deadline) {
    std::optional<ChordView::Answer> answered;
    const auto candidates = ring.back().successors;  // the first may be dead
    for (const auto& next : candidates) {
      const Duration time = std::min(kMemberTimeout, deadline - now());
      if (time <= Duration::zero()) break;
      if (next.id == own.self.id) {
        complete = true;
        break;
      }
      if (!seen.insert(next.id).second) continue;  // the ring goes around without this node, or it is dead
      if (const auto known = co_await call_within<IntroduceChord>(time, chord_, next); !known) break;
      const Ref<ChordServer> there(runtime::Target{std::string(ChordServer::kName), next.id});
      const auto view = co_await call_within<ChordView>(time, there);
      if (!view || !is_plausible(*view, next)) continue;
      answered = *view;
      answered->fingers = {};  // the pictures show those of the first alone
      break;
    }
    if (!answered) break;
    ring.push_back(std::move(*answered));
  }
  if (request.format == "dot") co_return replies::answer(chord::to_dot(ring));
  if (request.format == "svg") co_return replies::answer(chord::to_svg(ring));
  const proto::ChordSpace space(own.bits, own.hash);
  Value::Array nodes;
  for (const auto& node : ring) {
    auto row = shown(space, node.self);
    row.set("predecessor", node.predecessor ? Value(node.predecessor->id.str()) : Value());
    row.set("successor", node.successors.empty() ? Value() : Value(node.successors.front().id.str()));
    nodes.push_back(std::move(row));
  }
  co_return replies::answer(Value::map({{"complete", complete}, {"nodes", std::move(nodes)}}));
}

}  // namespace cluster
