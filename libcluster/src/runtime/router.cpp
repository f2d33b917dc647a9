#include "router.hpp"

#include <algorithm>
#include <utility>

#include "cluster/base/log.hpp"
#include "cluster/wire/message.hpp"

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

}  // namespace

/// The way back over one connection: encodes replies to the calls that came over it.
class Router::Connection final : public ReplySink {
 public:
  Connection(net::NetKernel& kernel, std::uint64_t session) : kernel_(kernel), session_(session) {}

  void deliver(std::uint64_t id, ReplyPtr reply) noexcept override {
    Bytes bytes;
    if (const auto& error = reply->error()) {
      wire::write_error(bytes, id, *error);
    } else {
      wire::begin_reply(bytes, id);
      reply->encode_value(bytes);
    }
    // A session that has gone meanwhile needs no reply: its caller was told that the link broke.
    auto sent = kernel_.send(session_, bytes, {.flush_now = !Engine::on_worker()});
    if (sent || sent.error().code() != Errc::too_large) return;
    Bytes shorter;
    wire::write_error(shorter, id, Error(Errc::too_large, sent.error().message(), Executed::yes));
    static_cast<void>(kernel_.send(session_, shorter, {.flush_now = !Engine::on_worker()}));
  }

 private:
  net::NetKernel& kernel_;
  std::uint64_t session_;
};

void Router::listen_to_peers(std::function<void(const PeerEvent&)> listener) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.push_back(std::move(listener));
}

void Router::tell_listeners(const PeerEvent& event) {
  std::vector<std::function<void(const PeerEvent&)>> listeners;
  {
    const std::lock_guard lock(listeners_mutex_);
    listeners = listeners_;
  }
  for (const auto& listener : listeners) listener(event);
}

Result<Target> Router::resolve(std::string_view address) const { return parse_target(address, self_); }

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
  auto message = known->decode(payload);
  if (!message) return fail(message.error());
  (*message)->reply_to = std::move(reply_to);
  (*message)->expires = expires;
  EnvelopePtr envelope(std::move(message).value().release());
  const Posted posted = entry->actor.post(envelope);
  if (posted == Posted::ok) return {};
  reply_to = std::move(static_cast<Message&>(*envelope).reply_to);
  return fail(refusal(posted, name).error());
}

// Calls and casts to other nodes.

std::uint64_t Router::open_call(const NodeId& node, ReplyTo to) { return calls_.open(node, std::move(to)); }

Result<void> Router::send_call(std::uint64_t call, const NodeId& node, Bytes message) {
  auto ticket = kernel_->send(node, std::move(message), {.flush_now = true});
  if (!ticket) {
    if (auto closed = calls_.close(call)) closed->to.forget();
    return std::move(ticket).error();
  }
  calls_.set_ticket(call, ticket.value());
  return {};
}

Executed Router::abandon_call(std::uint64_t call) {
  auto closed = calls_.close(call);
  if (!closed) return Executed::unknown;
  closed->to.forget();
  const bool was_queued = closed->ticket && kernel_->cancel(closed->node, *closed->ticket);
  return was_queued ? Executed::no : Executed::unknown;
}

Result<void> Router::send_cast(const NodeId& node, Bytes message) {
  auto ticket = kernel_->send(node, std::move(message), {.flush_now = !Engine::on_worker()});
  if (!ticket) return std::move(ticket).error();
  return {};
}

std::uint64_t Router::set_timer(Instant due, const ActorRef& to, EnvelopePtr message) {
  return engine_->set_timer(due, to, std::move(message)).value;
}

void Router::cancel_timer(std::uint64_t timer) { engine_->cancel_timer(TimerId{timer}); }

// What the kernel tells us.

std::shared_ptr<ReplySink> Router::connection(const net::PeerInfo& peer) {
  auto& connection = connections_[peer.session];
  if (connection == nullptr) connection = std::make_shared<Connection>(*kernel_, peer.session);
  return connection;
}

void Router::on_message(const net::PeerInfo& from, net::Lane, ByteView bytes) {
  auto message = wire::decode_message(bytes);
  if (!message) {
    log::warn("router", "a message of '", from.id.str(), "' was dropped: ", message.error().message());
    return;
  }
  std::visit([&](auto& view) { on_view(from, view); }, message.value());
}

void Router::on_view(const net::PeerInfo& from, const wire::CastView& cast) {
  const auto posted = post_encoded(cast.head.to, cast.head.event, cast.payload, ReplyTo{}, kNever);
  if (!posted)
    log::debug("router", "a cast of '", from.id.str(), "' was dropped: ", posted.error().to_string());
}

void Router::on_view(const net::PeerInfo& from, const wire::CallView& call) {
  const Instant expires = call.head.ttl == 0ms ? kNever : saturated_add(now(), call.head.ttl);
  static_cast<void>(post_encoded(call.head.to, call.head.event, call.payload,
                                 ReplyTo(connection(from), call.head.id), expires));
}

void Router::on_view(const net::PeerInfo& from, const wire::ReplyView& reply) {
  if (auto call = calls_.close_at(reply.id, from.id))
    call->to.deliver(std::make_unique<EncodedReply>(Bytes(reply.payload.begin(), reply.payload.end())));
}

void Router::on_view(const net::PeerInfo& from, const wire::ErrorView& error) {
  if (auto call = calls_.close_at(error.id, from.id)) call->to.fail(error.error());
}

void Router::on_peer_up(const net::PeerInfo& peer) { tell_listeners({PeerEvent::Kind::up, peer, {}}); }

void Router::on_peer_down(const net::PeerInfo& peer, net::PeerDownReason, std::string_view text) {
  connections_.erase(peer.session);
  auto broken =
      calls_.close_all(peer.id, [&](net::Ticket ticket) { return !kernel_->is_queued(peer.id, ticket); });
  for (auto& call : broken)
    call.to.fail(Error(Errc::peer_lost, "the link to '" + peer.id.str() + "' broke: " + std::string(text)));
  tell_listeners({PeerEvent::Kind::down, peer, std::string(text)});
}

void Router::on_peer_lost(const NodeId& node, const Error& why) {
  net::PeerInfo peer;
  peer.id = node;
  tell_listeners({PeerEvent::Kind::lost, peer, why.message()});
}

void Router::on_dropped(const NodeId& node, std::span<const net::Ticket> tickets) {
  auto ended = calls_.close_all(
      node, [&](net::Ticket ticket) { return std::ranges::find(tickets, ticket) != tickets.end(); });
  for (auto& call : ended)
    call.to.fail(Error(Errc::unreachable, "'" + node.str() + "' is no longer a peer", Executed::no));
}

}  // namespace cluster::runtime
