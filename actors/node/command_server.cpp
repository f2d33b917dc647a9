#include "cluster/node/command_server.hpp"

#include <algorithm>
#include <utility>

#include "cluster/crypto/random.hpp"
#include "cluster/node/command_replies.hpp"

// No aggregate is made inside a co_await expression here: GCC 12 would destroy it twice.

namespace cluster {
namespace {

using wire::Value;

constexpr Duration kClientTimeout = 10s;   // of a client that states none
constexpr Duration kMeetTimeout = 4s;      // how long a meet is tried at most
constexpr Duration kMemberTimeout = 1s;    // for a member to tell its state
constexpr Duration kRecheckPeriod = 50ms;  // between two looks at the members' states
constexpr Duration kDiskPeriod = 5ms;      // between two looks whether a file is written
constexpr Duration kEventsPeriod = 50ms;   // between two looks for new events
constexpr Duration kDrainSlice = 1s;       // after which a client that follows is told how far it is
constexpr Duration kHandoverKept = 10s;    // for that client to ask again
constexpr std::size_t kHandoversMax = 64;
constexpr unsigned kIdBitsUnused = 11;  // the rest is exact in the numbers of JavaScript
constexpr Duration kLookMin = 100ms;    // a look with less time would say only that nobody answered in it

/// The time in which to answer, so that the answer is there before the client gives up.
Duration budget(const proto::CommandRequest& request) {
  const Duration timeout =
      request.timeout_ms == 0 ? kClientTimeout : std::chrono::milliseconds(request.timeout_ms);
  return timeout - std::min<Duration>(timeout / 10, 500ms);
}

Value network_counters(const net::Counters& counters) {
  return Value::map({{"messages_in", counters.messages_in},
                     {"messages_out", counters.messages_out},
                     {"bytes_in", counters.bytes_in},
                     {"bytes_out", counters.bytes_out},
                     {"handshakes_failed", counters.handshakes_failed},
                     {"proofs_failed", counters.proofs_failed},
                     {"certificates_refused", counters.certificates_refused},
                     {"evicted", counters.evicted},
                     {"throttled", counters.throttled},
                     {"accept_failures", counters.accept_failures},
                     {"bad_frames", counters.bad_frames},
                     {"frames_timed_out", counters.frames_timed_out},
                     {"overloaded", counters.overloaded},
                     {"dropped", counters.dropped},
                     {"uncertain", counters.uncertain}});
}

/// {"folder", "writes", "failures", "error"}; no error is null.
Value data_status(const DataStatus& status) {
  return Value::map({{"folder", status.folder},
                     {"writes", status.writes},
                     {"failures", status.failures},
                     {"error", status.error.empty() ? Value() : Value(status.error)}});
}

/// Messages of the network that wait for their servers, and those that no server got.
Value inbound_counters(const runtime::InboundCounters& counters) {
  return Value::map({{"waiting_bytes", counters.waiting_bytes},
                     {"calls_refused", counters.calls_refused},
                     {"casts_overloaded", counters.casts_overloaded},
                     {"casts_no_server", counters.casts_no_server},
                     {"casts_bad", counters.casts_bad},
                     {"malformed", counters.messages_malformed},
                     {"forged", counters.messages_forged}});
}

}  // namespace

CommandServer::CommandServer(ActorSystem* actors, Views views, NodeKeys keys)
    : actors_(actors),
      ring_(std::move(views.ring)),
      board_(std::move(views.board)),
      detector_(std::move(views.detector)),
      members_(std::move(views.members)),
      events_(std::move(views.events)),
      data_(views.data),
      drill_(std::move(views.drill)),
      keys_(std::move(keys), actors->kernel(), views.data) {}

Task<Value> CommandServer::handle_call(proto::CommandRequest request) {
  auto checked = proto::check(std::move(request));
  if (!checked) co_return replies::failure(checked.error());
  const proto::CommandRequest& command = *checked;
  const Instant deadline = now() + budget(command);
  const auto view = board_->read();
  if (auto reply = replies::from_ring(command, view->hash)) co_return std::move(*reply);
  std::vector<NodeId> leaving;
  for (const auto& member : view->members)
    if (member.weight == 0) leaving.push_back(member.id);
  if (const auto change = replies::ring_command(command, view->hash, leaving)) {
    // What the ring refuses in any case is not prepared.
    const bool may_change = std::holds_alternative<proto::LeaveCommand>(*change) || members_->has_quorum();
    const auto leavers = !view->ring.empty() && may_change
                             ? replies::to_drain(*change, actors_->id(), *members_->read())
                             : std::vector<NodeId>();
    // All members hold something for the ring, or none does.
    auto handover = take_handover(command.drain);
    if (!leavers.empty() && actors_->describe(DrainServer::kName)) {
      auto not_yet = co_await drain(command, leavers, deadline, handover);
      if (not_yet) co_return std::move(*not_yet);
    }
    auto reply = co_await change_ring(command, *change, deadline);
    co_return replies::with_lost(std::move(reply), handover.asked);
  }
  if (command.name == "ping") co_return replies::answer("pong");
  if (command.name == "actors") co_return list_actors();
  if (command.name == "status") co_return co_await status();
  if (command.name == "key") co_return co_await change_keys(command);
  if (command.name == "members") co_return replies::members(*members_->read(), now());
  if (command.name == "events") co_return co_await events(command);
  if (command.name == "drill") co_return co_await drill(command);
  if (command.name == "describe") co_return co_await describe(command);
  if (command.name == "chord")
    co_return co_await hand_on(command, "chord_commands", "this node runs no Chord: start it with --chord");
  if (command.name == "kv")
    co_return co_await hand_on(command, "kv_command",
                               "this node runs no key-value store: start it with --kv");
  if (command.name == "call") co_return co_await call_server(command);
  if (command.name == "cast")
    co_return replies::outcome(cast(command.args[0], command.args[1], command.payload));
  co_return replies::failure(
      Error(Errc::invalid_argument, "'" + command.name + "' is for the command line, not for a node"));
}

/// The ring server ran, but what it refuses did not happen. A meet that had no answer may have.
Error not_changed(const Error& error) {
  if (error.executed() != Executed::yes) return error;
  return Error(error.code(), error.message(),
               error.code() == Errc::timeout ? Executed::unknown : Executed::no);
}

Task<Value> CommandServer::change_ring(const proto::CommandRequest& request,
                                       const proto::RingCommand& command, Instant deadline) {
  const Duration time = std::max<Duration>(deadline - now(), kLookMin);
  auto change = command;
  if (auto* meet = std::get_if<proto::MeetCommand>(&change)) meet->timeout = std::min(time, kMeetTimeout);
  const auto changed = co_await call_within<ChangeRing>(time, ring_, std::move(change));
  if (!changed) co_return replies::failure(not_changed(changed.error()));
  auto reply = replies::done();
  if (request.wait) reply = co_await wait_for_all(deadline);
  std::string note;
  if (const auto* insert = std::get_if<proto::InsertCommand>(&command)) {
    const auto view = board_->read();
    note = replies::insert_note(*insert, view->members);
  }
  if (const auto unsaved = not_on_disk(); !unsaved.empty()) note += (note.empty() ? "" : "; ") + unsaved;
  if (!note.empty()) reply.set("note", std::move(note));
  co_return reply;
}

Task<std::optional<Value>> CommandServer::drain(const proto::CommandRequest& request,
                                                const std::vector<NodeId>& leavers, Instant deadline,
                                                Handover& handover) {
  const Duration most = std::chrono::milliseconds(request.drain_ms.value_or(proto::kDrainMs));
  const Duration slice =
      std::min({most, (deadline - now()) / 2, request.follow ? kDrainSlice : Duration::max()});
  auto state = co_await ask_to_drain(leavers, slice, deadline, handover);
  // Those that were done first may have had to take keys back meanwhile.
  if (state.done) state = co_await ask_to_drain(leavers, {}, deadline, handover);
  if (state.done) co_return std::nullopt;
  if (!state.failed && request.follow && most > slice) {
    auto answer = Value::map(
        {{"draining", true}, {"drain", handover.id}, {"left", state.left}, {"text", std::move(state.text)}});
    keep(std::move(handover));
    co_return replies::answer(std::move(answer));
  }
  for (const auto& [id, done] : handover.asked)
    static_cast<void>(cast(drain_server_of(id), EndDrain{handover.id}));
  if (state.failed)
    co_return replies::failure(Error(Errc::io,
                                     "nobody has left, as not all can be handed over (" + state.text +
                                         "): force it (-f), which may make what the others lack unreadable",
                                     Executed::no));
  co_return replies::failure(Error(
      Errc::timeout,
      "not all is handed over to those who stay, so nobody has left (" + state.text +
          "): try again, give it more time (--drain-timeout), or force it (-f), which may make what the "
          "others lack unreadable",
      Executed::no));
}

/// That of the request before, or a new one.
CommandServer::Handover CommandServer::take_handover(std::uint64_t id) {
  std::erase_if(handovers_, [&](const Handover& kept) { return kept.until <= now(); });
  const auto found = std::ranges::find(handovers_, id, &Handover::id);
  Handover handover{.id = id != 0 ? id : crypto::random_u64() >> kIdBitsUnused};
  if (found == handovers_.end()) return handover;
  handover = std::move(*found);
  handovers_.erase(found);
  return handover;
}

void CommandServer::keep(Handover handover) {
  if (handovers_.size() == kHandoversMax) handovers_.erase(handovers_.begin());  // the oldest
  handover.until = now() + kHandoverKept;
  handovers_.push_back(std::move(handover));
}

Ref<DrainServer> CommandServer::drain_server_of(const NodeId& id) const {
  return Ref<DrainServer>(
      runtime::Target{std::string(DrainServer::kName), id == actors_->id() ? NodeId() : id});
}

/// All at once, for so long; what they say together. Who does not answer any more has nothing to say, and
/// who has no such server nothing to hand over.
Task<DrainState> CommandServer::ask_to_drain(std::vector<NodeId> leavers, Duration time, Instant deadline,
                                             Handover& handover) {
  const Duration patience = std::clamp<Duration>(deadline - now(), kLookMin, time + kMemberTimeout);
  const auto time_ms =
      static_cast<std::uint32_t>(std::chrono::floor<std::chrono::milliseconds>(time).count());
  std::vector<DirectCall<DrainState>> asked;
  for (const auto& id : leavers)
    asked.push_back(call_within<DrainNode>(patience, drain_server_of(id), time_ms, handover.id));
  DrainState all{.done = true};
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto state = co_await asked[i];
    if (!state && state.error().code() == Errc::no_server) continue;
    auto& done = handover.asked[leavers[i]];
    if (state) done = state->done;
    if (state ? state->done : !answers(*members_->read(), leavers[i])) continue;
    all.done = false;
    all.failed = all.failed || (state && state->failed);
    all.left += state ? state->left : 0;
    all.text += (all.text.empty() ? "'" : "; '") + leavers[i].str() +
                "': " + (state ? state->text : state.error().message());
  }
  co_return all;
}

/// Answered once the change is on the disk, or could not be written.
Task<Value> CommandServer::change_keys(const proto::CommandRequest& request) {
  const Instant deadline = now() + budget(request);
  auto reply = keys_.run(request, now());
  while (data_ != nullptr && data_->is_pending(kKeyFileName) && now() < deadline) co_await sleep(kDiskPeriod);
  if (request.args.front() != "list")
    if (auto note = not_on_disk(); !note.empty()) reply.set("note", std::move(note));
  co_return reply;
}

/// A note that what changes is not saved; empty if it is, or is not meant to be.
std::string CommandServer::not_on_disk() const {
  const auto error = data_ != nullptr ? data_->status().error : std::string();
  return error.empty() ? error : "not on this node's disk: " + error;
}

Task<Value> CommandServer::wait_for_all(Instant deadline) {
  while (true) {
    const auto own = co_await call<RingInfo>(ring_);
    if (!own) co_return replies::failure(own.error());
    const auto late = co_await behind(*own, std::clamp<Duration>(deadline - now(), kLookMin, kMemberTimeout));
    if (late.empty()) co_return replies::done();
    if (deadline - now() < kRecheckPeriod + kLookMin)
      co_return replies::failure(Error(Errc::timeout, replies::not_yet_known(late), Executed::yes));
    co_await sleep(kRecheckPeriod);
  }
}

Task<std::vector<replies::Behind>> CommandServer::behind(const RingInfo::Answer& own, Duration timeout) {
  const bool with_clock = !own.clock.empty();
  const auto view = board_->read();
  const auto peers = actors_->kernel().peers();
  std::vector<replies::Behind> late;
  std::vector<NodeId> ids;
  std::vector<DirectCall<RingInfo::Answer>> asked;  // all at once
  for (const auto& member : view->members) {
    if (member.id == actors_->id()) continue;
    const auto peer = std::ranges::find(peers, member.id, &net::PeerStatus::id);
    if (peer == peers.end() || (!peer->connected && peer->keep == net::Keep::standing)) {
      late.push_back({member.id, "no process"});
      continue;
    }
    const Ref<GossipRing> there(runtime::Target{std::string(GossipRing::kName), member.id});
    ids.push_back(member.id);
    asked.push_back(call_within<RingInfo>(timeout, there, with_clock));
  }
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto answer = co_await asked[i];
    if (!answer)
      late.push_back({ids[i], "no answer: " + answer.error().message()});
    else if (answer->ring != view->ring)
      late.push_back({ids[i], answer->ring.empty() ? "in no ring" : "in ring '" + answer->ring + "'"});
    else if (answer->state != own.state)
      late.push_back(
          {ids[i], with_clock ? replies::compare_clocks(own.clock, answer->clock) : "other edits"});
  }
  co_return late;
}

Task<Value> CommandServer::call_server(const proto::CommandRequest& request) {
  auto pending = call(request.args[0], request.args[1], request.payload, budget(request));
  auto answer = co_await pending;
  co_return answer ? replies::answer(std::move(*answer)) : replies::failure(answer.error());
}

Task<Value> CommandServer::drill(const proto::CommandRequest& request) {
  if (!drill_)
    co_return replies::failure(Error(
        Errc::refused,
        "node '" + actors_->id().str() + "' does not allow drills: it was started without --allow-drills",
        Executed::no));
  const Duration time = budget(request);
  auto pending = call(*drill_, RunDrill{request, time}, time);
  auto reply = co_await pending;
  co_return reply ? std::move(*reply) : replies::failure(reply.error());
}

/// To a server of a library of its own, which this node may run or not, and which answers as this one does.
Task<Value> CommandServer::hand_on(const proto::CommandRequest& request, std::string_view server,
                                   std::string_view without) {
  const auto message = Value::of(request);
  auto pending = call(server, proto::CommandRequest::event, message, budget(request));
  auto answer = co_await pending;
  if (answer) co_return std::move(*answer);
  if (answer.error().code() != Errc::no_server) co_return replies::failure(answer.error());
  co_return replies::failure(Error(Errc::no_server, std::string(without), Executed::no));
}

/// With `follow` it answers when there are events, or with none in time for the client to ask again.
Task<Value> CommandServer::events(const proto::CommandRequest& request) {
  const auto since = request.args.empty() ? 0 : proto::parse_number(request.args.front()).value();
  const Instant deadline = now() + budget(request);
  while (true) {
    auto found = events_->after(since);
    if (!found.empty() || !request.follow || deadline - now() < kEventsPeriod)
      co_return replies::answer(std::move(found));
    co_await sleep(kEventsPeriod);
  }
}

Task<Value> CommandServer::describe(const proto::CommandRequest& request) {
  const auto address = proto::parse_server_address(request.args[0]).value();
  if (address.node && *address.node != actors_->id()) {
    auto forwarded = request;
    forwarded.args[0] = address.server;
    const auto message = Value::of(forwarded);
    auto pending = call(std::string(kName) + "@" + address.node->str(), proto::CommandRequest::event, message,
                        budget(request));
    auto reply = co_await pending;
    co_return reply ? std::move(*reply) : replies::failure(reply.error());
  }
  const auto events = actors_->describe(address.server);
  if (!events) co_return replies::failure(events.error());
  co_return replies::answer(replies::events(*events));
}

Task<Value> CommandServer::status() {
  const auto own = co_await call<RingInfo>(ring_, true);
  if (!own) co_return replies::failure(own.error());
  const auto late = co_await behind(*own, kMemberTimeout);
  const auto detector = co_await call<DetectorInfo>(detector_);
  if (!detector) co_return replies::failure(detector.error());
  auto& kernel = actors_->kernel();
  const auto peers = kernel.peers();
  const auto clients = std::ranges::count(peers, net::Role::client, &net::PeerStatus::role);
  auto data = replies::node(actors_->id(), kernel.listening());
  data.set("ring", own->ring.empty() ? Value() : Value(own->ring));
  data.set("converged", late.empty());
  data.set("partition_policy", detector->policy);
  data.set("has_quorum", detector->quorum.found);
  data.set("members", members_status(late));
  data.set("clients", static_cast<std::uint64_t>(clients));
  data.set("actors", static_cast<std::uint64_t>(actors_->actors().size()));
  data.set("network", network_counters(kernel.counters()));
  data.set("data", data_ == nullptr ? Value() : data_status(data_->status()));
  data.set("inbound", inbound_counters(actors_->inbound()));
  data.set("gossip", Value::of(own->gossip));
  data.set("detector", replies::detector(*detector));
  co_return replies::answer(std::move(data));
}

Value CommandServer::members_status(const std::vector<replies::Behind>& late) const {
  const auto peers = actors_->kernel().peers();
  const auto healths = members_->read();
  Value::Array list;
  for (const auto& member : board_->read()->members) {
    auto shown = replies::node(member.id, member.endpoint, member.zone);
    shown.set("weight", member.weight);
    const auto peer = std::ranges::find(peers, member.id, &net::PeerStatus::id);
    const bool is_self = member.id == actors_->id();
    const bool connected = peer != peers.end() && peer->connected;
    const bool on_demand = peer != peers.end() && peer->keep == net::Keep::on_demand;
    shown.set("link", is_self ? "self" : connected ? "connected" : on_demand ? "on demand" : "down");
    shown.set("protection", connected ? Value(wire::name(peer->protection)) : Value());
    shown.set("key", connected ? Value(proto::fingerprint(peer->key)) : Value());
    const auto health = std::ranges::lower_bound(*healths, member.id, {}, &NodeMember::id);
    const bool is_watched = health != healths->end() && health->id == member.id;
    shown.set("health", proto::name(is_watched ? health->state : MemberState::unknown));
    const auto found = std::ranges::find(late, member.id, &replies::Behind::id);
    shown.set("state", found == late.end() ? "same" : found->why);
    shown.set("queued_messages", peer == peers.end() ? std::size_t{0} : peer->queued_messages);
    shown.set("queued_bytes", peer == peers.end() ? std::size_t{0} : peer->queued_bytes);
    list.push_back(std::move(shown));
  }
  return list;
}

Value CommandServer::list_actors() const {
  Value::Array list;
  for (const auto& server : actors_->actors())
    list.push_back(Value::map({{"name", server.name},
                               {"type", server.type},
                               {"serial", server.serial},
                               {"waiting", static_cast<std::uint64_t>(server.waiting)}}));
  return replies::answer(std::move(list));
}

}  // namespace cluster
