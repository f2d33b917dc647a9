#include "router.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "cluster/base/log.hpp"
#include "cluster/wire/message.hpp"
#include "large_message.hpp"

namespace cluster::runtime {

namespace {

Result<void> refusal(Posted posted, std::string_view name) {
  switch (posted) {
    case Posted::ok:
      return {};
    case Posted::full:
      return Error(Errc::overloaded, "the mailbox of '" + std::string(name) + "' is full");
    case Posted::closed:
      break;
  }
  return Error(Errc::no_server,
               name.empty() ? "that server has ended" : "no server named '" + std::string(name) + "'");
}

Error unreachable_error(const NodeId& node, Executed executed = Executed::no) {
  return {Errc::unreachable, "'" + node.str() + "' does not answer: it is marked unreachable", executed};
}

/// Names the running actor (0: a plain thread) and the one that it writes to: their messages keep their
/// order.
std::uint64_t pair_of(std::string_view to) noexcept {
  const ActorRef* self = Engine::current();
  return std::hash<std::string_view>{}(to) ^ (self == nullptr ? 0 : self->serial() * 0x9e3779b97f4a7c15);
}

}  // namespace

/// The way back over one connection: encodes replies to the calls that came over it.
class Router::Connection final : public ReplySink {
 public:
  Connection(std::shared_ptr<Gate> gate, const net::PeerRef& peer, std::uint64_t session)
      : gate_(std::move(gate)), peer_(peer), session_(session) {}

  void deliver(std::uint64_t id, ReplyPtr reply) noexcept override {
    ScratchBytes bytes;
    if (const Error* error = reply->error()) {
      wire::write_error(*bytes, id, *error);
    } else {
      wire::begin_reply(*bytes, id);
      reply->encode_value(*bytes);
    }
    const std::shared_lock lock(gate_->mutex);
    if (gate_->kernel == nullptr) return;
    const bool flush_now = !Engine::on_worker();
    const net::PeerRef peer = peer_.lock();
    const auto sent =
        gate_->kernel->send(peer, session_, std::move(*bytes), {.pair = pair_of({}), .flush_now = flush_now});
    // A session that has gone meanwhile needs no reply: its caller was told that the link broke.
    if (sent || sent.error().code() == Errc::peer_lost) return;
    log::limited(gate_->unsent_lines, log::Level::warn, "router",
                 "a reply was not sent: ", sent.error().message());
    Bytes excuse;
    wire::write_error(excuse, id,
                      Error(sent.error().code(), "the reply: " + sent.error().message(), Executed::yes));
    static_cast<void>(gate_->kernel->send(peer, session_, std::move(excuse),
                                          {.lane = net::Lane::control, .flush_now = flush_now}));
  }

 private:
  std::shared_ptr<Gate> gate_;
  std::weak_ptr<net::Peer> peer_;  // a From may outlive the kernel
  std::uint64_t session_;
};

void Router::attach(net::NetKernel& kernel) {
  kernel_ = &kernel;
  gate_->kernel = &kernel;
}

void Router::detach() noexcept {
  const std::unique_lock lock(gate_->mutex);
  gate_->kernel = nullptr;
}

void Router::listen_to_peers(std::function<void(const PeerEvent&)> listener) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.push_back(std::move(listener));
}

bool Router::is_unreachable(const NodeId& node) const {
  const std::shared_lock lock(unreachable_mutex_);
  return unreachable_.contains(node);
}

void Router::set_unreachable(const NodeId& node, bool unreachable) {
  {
    const std::unique_lock lock(unreachable_mutex_);
    if (unreachable)
      unreachable_.insert(node);
    else
      unreachable_.erase(node);
    unreachable_count_.store(unreachable_.size());
  }
  const auto way = unreachable ? routes_.find(node) : nullptr;
  if (way == nullptr) return;
  for (auto& call : calls_.close_all(*way, [](net::Ticket) { return true; })) {
    const bool was_queued = kernel_->cancel(node, *call.ticket);
    call.to.fail(unreachable_error(node, was_queued ? Executed::no : Executed::unknown));
  }
}

void Router::tell_listeners(const PeerEvent& event) {
  std::vector<std::function<void(const PeerEvent&)>> listeners;
  {
    const std::lock_guard lock(listeners_mutex_);
    listeners = listeners_;
  }
  for (const auto& listener : listeners) {
    try {
      listener(event);
    } catch (const std::exception& thrown) {
      log::error("router", "a listener to peers threw: ", thrown.what());
    } catch (...) {
      log::error("router", "a listener to peers threw");
    }
  }
}

// A server that has the name now is found once, not for each message; when it has ended, the name counts.
Result<Target> Router::resolve(std::string_view address) const {
  auto target = parse_target(address, self_);
  if (!target) return target;
  if (!target->node.empty()) {
    target->route = routes_.find_or_add(target->node);
  } else if (auto found = registry_.find(target->name)) {
    target->actor = std::move(found->actor);
    target->type = found->type;
  }
  return target;
}

Result<void> Router::post(const Target& to, const ServerType& expected, MessagePtr& message) {
  EnvelopePtr envelope(message.release());
  Posted posted = Posted::closed;
  if (to.actor && to.type == &expected) posted = to.actor.post(envelope);
  if (posted == Posted::closed && !to.name.empty()) {
    // By name, or the server behind the reference has ended: whoever has the name now.
    const auto entry = registry_.find(to.name);
    if (entry && entry->type != &expected) {
      message.reset(static_cast<Message*>(envelope.release()));
      return Error(Errc::bad_message, "'" + to.name + "' is a " + std::string(entry->type->name) +
                                          ", not a " + std::string(expected.name));
    }
    if (entry) posted = entry->actor.post(envelope);
  }
  if (posted == Posted::ok) return {};
  message.reset(static_cast<Message*>(envelope.release()));
  return refusal(posted, to.name);
}

Result<void> Router::post_encoded(const wire::Target& to, std::string_view event, ByteView payload,
                                  ReplyTo reply_to, Instant expires) {
  const auto fail = [&](Error error) -> Result<void> {
    reply_to.fail(error);
    return error;
  };
  const auto* by_name = std::get_if<std::string_view>(&to);
  const std::string_view name = by_name == nullptr ? std::string_view{} : *by_name;
  const auto entry = by_name == nullptr ? std::nullopt : registry_.find(name);
  if (!entry) return fail(refusal(Posted::closed, name).error());
  const Event* known = entry->type->find(event);
  if (known == nullptr)
    return fail(
        Error(Errc::bad_message, "'" + std::string(name) + "' has no event '" + std::string(event) + "'"));
  if (known->sender != nullptr)
    return fail(Error(Errc::refused, "a '" + std::string(event) + "' is between nodes", Executed::no));
  auto message = decode(*known, payload);
  if (!message) return fail(message.error());
  (*message)->reply_to = std::move(reply_to);
  (*message)->expires = expires;
  EnvelopePtr envelope(std::move(message).value().release());
  const Posted posted = entry->actor.post(envelope);
  if (posted == Posted::ok) return {};
  reply_to = std::move(static_cast<Message&>(*envelope).reply_to);
  return fail(refusal(posted, name).error());
}

// Reading the precise clock costs a local call a fifth of its time.
Instant Router::deadline_after(Duration timeout) const {
  if (timeout < 1s) return saturated_add(MonotonicClock::now(), timeout);
  return saturated_add(MonotonicClock::coarse_now() + MonotonicClock::coarse_tick(), timeout);
}

// Calls and casts to other nodes.

std::shared_ptr<Route> Router::route(const Target& to) {
  return to.route && to.route->is_of(routes_.router()) ? to.route : routes_.find_or_add(to.node);
}

/// Searches for the peer only if the route has none, or one that has ended.
Result<net::Ticket> Router::send(Route& route, Bytes& message, const net::SendOptions& options) {
  const net::PeerRef* peer = route.peer();
  if (peer != nullptr) {
    auto ticket = kernel_->send(*peer, std::move(message), options);
    if (ticket || ticket.error().code() != Errc::unreachable) return ticket;
  }
  const net::PeerRef* now = route.find_peer(*kernel_);
  if (now == nullptr) return kernel_->send(route.node, std::move(message), options);  // says what is wrong
  return kernel_->send(*now, std::move(message), options);
}

std::uint64_t Router::open_call(const Target& to, ReplyTo reply_to) {
  return calls_.open(route(to), std::move(reply_to));
}

// A call goes out at once, unless other actors are ready to send theirs with it.
Result<void> Router::send_call(std::uint64_t call, const Target& to, Bytes& message, std::size_t ttl_at,
                               Duration timeout) {
  const auto way = route(to);
  if (unreachable_count_.load(std::memory_order_relaxed) != 0 && is_unreachable(way->node)) {
    if (auto closed = calls_.close(call)) closed->to.forget();
    return unreachable_error(way->node);
  }
  auto ticket = send(*way, message,
                     {.pair = pair_of(to.name),
                      .flush_now = !Engine::more_to_run() || way->is_quiet(),
                      .ttl_at = ttl_at,
                      .expires = deadline_after(timeout)});
  if (!ticket) {
    if (auto closed = calls_.close(call)) closed->to.forget();
    return std::move(ticket).error();
  }
  if (calls_.set_ticket(call, ticket.value()) && !kernel_->is_queued(to.node, ticket.value()))
    if (auto orphan = calls_.close(call))
      orphan->to.fail(Error(Errc::peer_lost, "the link to '" + to.node.str() + "' broke"));
  return {};
}

Executed Router::abandon_call(std::uint64_t call) {
  auto closed = calls_.close(call);
  if (!closed) return Executed::unknown;
  closed->to.forget();
  const bool was_queued = closed->ticket && kernel_->cancel(closed->route->node, *closed->ticket);
  return was_queued ? Executed::no : Executed::unknown;
}

// The casts of an actor go out together at the end of its slice, those of another thread while they follow
// each other closely.
Result<void> Router::send_cast(const Target& to, Bytes& message) {
  const bool on_worker = Engine::on_worker();
  const std::shared_ptr<Route>* kept = to.route && to.route->is_of(routes_.router()) ? &to.route : nullptr;
  const std::shared_ptr<Route> found = kept != nullptr ? nullptr : routes_.find_or_add(to.node);
  Route& way = kept != nullptr ? **kept : *found;
  auto ticket =
      send(way, message,
           {.pair = pair_of(to.name), .flush_now = !on_worker && way.is_quiet(), .wake = !on_worker});
  if (!ticket) return std::move(ticket).error();
  return {};
}

std::uint64_t Router::set_timer(Instant due, const ActorRef& to, EnvelopePtr message) {
  return engine_->set_timer(due, to, std::move(message)).value;
}

void Router::cancel_timer(std::uint64_t timer) { engine_->cancel_timer(TimerId{timer}); }

// What the kernel tells us.

SinkPtr<ReplySink> Router::connection(const net::PeerInfo& peer) {
  if (last_session_ == peer.session) return last_connection_;
  auto& connection = connections_[peer.session];
  if (connection == nullptr)
    connection = make_sink<Connection>(gate_, kernel_->peer(peer.session), peer.session);
  last_session_ = peer.session;
  last_connection_ = connection;
  return connection;
}

void Router::on_message(const net::PeerInfo& from, net::Lane lane, ByteView bytes) {
  if (const auto read = wire::read_message(bytes, message_); !read) {
    inbound_.count_malformed(from.id, read.error());
    return;
  }
  std::visit([&](auto& view) { on_view(from, lane, view); }, message_);
}

void Router::on_large_message(const net::PeerInfo& from, net::Lane lane, Buffer&& message) {
  large_ = &message;
  on_message(from, lane, message.view());
  large_ = nullptr;
}

void Router::on_view(const net::PeerInfo& from, net::Lane lane, const wire::CastView& cast) {
  const auto posted = deliver(from, lane, cast.head.to, cast.head.event, cast.payload, ReplyTo{}, kNever);
  if (!posted && posted.error().code() != Errc::refused) inbound_.count_cast(from.id, posted.error());
}

void Router::on_view(const net::PeerInfo& from, net::Lane lane, const wire::CallView& call) {
  const Instant expires = call.head.ttl == 0ms ? kNever : saturated_add(now(), call.head.ttl);
  const auto posted = deliver(from, lane, call.head.to, call.head.event, call.payload,
                              ReplyTo(connection(from), call.head.id), expires);
  if (!posted && posted.error().code() == Errc::overloaded) inbound_.count_refused_call();
}

/// Posts to the server that a message from the network names, if that much may wait for it. `refused`: it is
/// between nodes, and not of the node that it names (counted).
Result<void> Router::deliver(const net::PeerInfo& from, net::Lane lane, const wire::Target& to,
                             std::string_view event, ByteView payload, ReplyTo reply_to, Instant expires) {
  const auto fail = [&](Error error) -> Result<void> {
    reply_to.fail(error);
    return error;
  };
  const auto* name = std::get_if<std::string_view>(&to);
  if (name == nullptr) return fail(refusal(Posted::closed, {}).error());
  const auto way = deliveries_.find(*name, event);
  if (!way) return fail(way.error());
  const auto& [server, event_name, actor, known, system] = **way;
  if (known->sender != nullptr && from.role != net::Role::node) {
    const Error why(Errc::refused, "a '" + event_name + "' of a client: it is between nodes", Executed::no);
    inbound_.count_forged(from.id, why);
    return fail(why);
  }

  InboundAccount* account = nullptr;
  const std::uint64_t bytes = payload.size() + InboundAccount::kMessageOverheadBytes;
  if (!system && lane != net::Lane::control) {
    account = inbound_.admit(*actor.core(), bytes);
    if (account == nullptr)
      return fail(Error(Errc::overloaded, "too much is waiting for '" + std::string(*name) + "'"));
  }
  auto decoded = large_ != nullptr ? Result<MessagePtr>(std::make_unique<LargeMessage>(
                                         *known, from.id, inbound_, std::move(*large_), payload))
                                   : decode(*known, payload);
  if (!decoded) return fail(decoded.error());
  Message& message = **decoded;
  if (large_ == nullptr)
    if (const auto named = check_sender(*known, message, from.id, inbound_); !named)
      return fail(named.error());
  message.reply_to = std::move(reply_to);
  message.expires = expires;
  if (account != nullptr) message.inbound()->begin(*account, bytes);
  EnvelopePtr envelope(std::move(decoded).value().release());
  const Posted posted = actor.post(envelope);
  if (posted == Posted::ok) return {};
  message.inbound()->undo();
  reply_to = std::move(message.reply_to);
  return fail(refusal(posted, *name).error());
}

/// Nodes are called, and nobody else: a client may bear any name, a node's too.
bool Router::may_answer(const net::PeerInfo& from) {
  if (from.role == net::Role::node) return true;
  inbound_.count_forged(from.id, Error(Errc::refused, "the answer to a call, of a client", Executed::no));
  return false;
}

void Router::on_view(const net::PeerInfo& from, net::Lane, const wire::ReplyView& reply) {
  if (!may_answer(from)) return;
  auto call = calls_.close_at(reply.id, from.id);
  if (!call) return;
  if (large_ != nullptr)
    call->to.deliver(std::make_unique<LargeReply>(std::move(*large_), reply.payload));
  else
    call->to.deliver(std::make_unique<EncodedReply>(Bytes(reply.payload.begin(), reply.payload.end())));
}

void Router::on_view(const net::PeerInfo& from, net::Lane, const wire::ErrorView& error) {
  if (!may_answer(from)) return;
  if (auto call = calls_.close_at(error.id, from.id)) call->to.fail(error.error());
}

void Router::break_calls(const NodeId& node, std::string_view why) {
  const auto way = routes_.find(node);
  if (way == nullptr) return;  // and so no open call
  auto broken = calls_.close_all(*way, [&](net::Ticket ticket) { return !kernel_->is_queued(node, ticket); });
  for (auto& call : broken)
    call.to.fail(Error(Errc::peer_lost, "the link to '" + node.str() + "' broke: " + std::string(why)));
}

/// No call is open on a link, in either direction. Answers are given to the kernel before they are counted as
/// given.
bool Router::is_idle(const net::PeerInfo& peer) {
  if (const auto way = routes_.find(peer.id); way != nullptr && calls_.has_calls(*way)) return false;
  const auto connection = connections_.find(peer.session);
  if (connection == connections_.end()) return true;
  const std::size_t own = last_session_ == peer.session ? 2 : 1;
  return connection->second->holders() == own;
}

void Router::on_peer_up(const net::PeerInfo& peer) {
  if (peer.role == net::Role::node) {
    auto& session = sessions_[peer.id];
    if (session != 0) break_calls(peer.id, "there is a new one");
    session = peer.session;
  }
  tell_listeners({PeerEvent::Kind::up, peer, {}});
}

void Router::on_peer_down(const net::PeerInfo& peer, net::PeerDownReason reason, std::string_view text) {
  connections_.erase(peer.session);
  if (last_session_ == peer.session) last_session_ = 0, last_connection_ = nullptr;
  if (peer.role == net::Role::node) {
    const auto session = sessions_.find(peer.id);
    if (session == sessions_.end() || session->second != peer.session) return;  // a newer link is up
    sessions_.erase(session);
    if (reason != net::PeerDownReason::idle) break_calls(peer.id, text);  // else all are in the queue
  }
  tell_listeners({PeerEvent::Kind::down, peer, std::string(text), {}, reason});
}

void Router::on_peer_lost(const NodeId& node, const Error& why) {
  net::PeerInfo peer;
  peer.id = node;
  tell_listeners({PeerEvent::Kind::lost, peer, why.message(), why.code()});
}

void Router::on_dropped(const NodeId& node, std::span<const net::Ticket> tickets) {
  const auto way = routes_.find(node);
  if (way == nullptr) return;
  auto ended =
      calls_.close_all(*way, [&](net::Ticket ticket) { return std::ranges::binary_search(tickets, ticket); });
  for (auto& call : ended)
    call.to.fail(Error(Errc::unreachable, "'" + node.str() + "' is no longer a peer", Executed::no));
}

}  // namespace cluster::runtime
