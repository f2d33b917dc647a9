#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>
#include <utility>

#include "cluster/base/log.hpp"
#include "kernel.hpp"
#include "sockets.hpp"

// From a connection's proof to its end.
namespace cluster::net {
namespace {

using proto::NewcomerVerdict;

// After our goodbye the peer has this long to close the connection.
constexpr Duration kGoodbyeTimeout = 1s;

std::string describe(const ConnectionRef& connection) {
  return (connection->dialler() ? "to " : "from ") + connection->remote_address;
}

PeerDownReason reason_of(wire::GoodbyeReason said) {
  switch (said) {
    case wire::GoodbyeReason::stopping:
      return PeerDownReason::stopping;
    case wire::GoodbyeReason::reconnect:
      return PeerDownReason::moved;
    default:
      return PeerDownReason::goodbye;
  }
}

/// Clients come and go with each command, and connections on demand with what is said.
log::Level log_level(const Peer& peer) {
  return peer.role == Role::client || peer.on_demand() ? log::Level::debug : log::Level::info;
}

}  // namespace

void Kernel::on_greeted(const ConnectionRef& connection) {
  const proto::Identity& who = connection->hello().identity;
  if (connection->dialler() && is_unheard(connection)) return;
  if (!connection->dialler() || who.id == config_.id) return connection->proceed();  // the listener judges
  const PeerRef known = peer(who.id);
  const ConnectionRef link = known ? known->link() : nullptr;
  if (!link) return connection->proceed();
  if (connection->continues && !link->predecessor && link->info.boot == who.boot)
    return connection->proceed();
  if (link->info.boot == who.boot)
    return connection->refuse(Error(Errc::already_exists, "there is a connection to '" + who.id.str() + "'"));
  ask_holder(connection, link);
}

void Kernel::on_proven(const ConnectionRef& connection) {
  half_open_.erase(connection->begun);
  const proto::Identity& who = connection->hello().identity;
  if (is_unheard(connection)) return;
  if (stopping_) return connection->refuse(Error(Errc::stopped, "the node is stopping"));
  if (sessions_.size() >= shared_.limits.sessions_max)
    return connection->refuse(Error(Errc::overloaded, "too many connections"));
  if (who.role == Role::client) return connection->proceed();
  if (who.id == config_.id)
    return connection->refuse(Error(Errc::duplicate_id, "another living process is '" + who.id.str() + "'"));
  judge(connection);
}

void Kernel::judge(const ConnectionRef& newcomer) {
  const proto::Identity& who = newcomer->hello().identity;
  const PeerRef known = peer(who.id);
  const ConnectionRef link = known ? known->link() : nullptr;
  const bool is_continuation = link && continues(newcomer, link);
  if (is_continuation && (link->predecessor || newcomer->begun < link->up_since))
    return newcomer->refuse(Error(Errc::already_exists, "the connection has been continued already"));
  if (is_continuation && !newcomer->is_confirmed) return ask_whether_continued(newcomer, link);
  std::optional<proto::LinkInUse>
      in_use;  // what is continued plays no part in which of two continuations stays
  if (link && !is_continuation) in_use = {.boot = link->info.boot, .up_since = link->up_since};
  switch (proto::judge_newcomer(config_.id, who.id, has_own_dial(who.id, newcomer), in_use,
                                {.boot = who.boot, .begun = newcomer->begun})) {
    case NewcomerVerdict::accept:
      return newcomer->proceed();
    case NewcomerVerdict::refuse:
      return newcomer->refuse(Error(Errc::already_exists, "the other of two simultaneous connections stays"));
    case NewcomerVerdict::ask_holder:
      return ask_holder(newcomer, link);
  }
}

/// The id of `newcomer` is held. If the holder answers, it stays.
void Kernel::ask_holder(const ConnectionRef& newcomer, const ConnectionRef& holder) {
  ping_link(holder, shared_.limits.duplicate_timeout, Question::is_there,
            [this, newcomer, holder](const Result<Duration>& answer) {
              if (newcomer->closed()) return;
              const proto::Identity& who = newcomer->hello().identity;
              if (!answer && answer.error().code() == Errc::peer_lost)  // it is gone, so nobody holds the id
                return newcomer->dialler() ? newcomer->proceed() : judge(newcomer);
              if (proto::newcomer_takes_id(answer.has_value(), holder->info.boot, who.boot, wall_now()))
                return newcomer->proceed();
              if (holder->info.boot == who.boot)
                return newcomer->refuse(
                    Error(Errc::already_exists, "there is a connection to '" + who.id.str() + "'"));
              log::limited(lines_.duplicate, log::Level::warn, "net", "refused '", who.id.str(), "' ",
                           describe(newcomer), ": another process has this id");
              newcomer->refuse(Error(Errc::duplicate_id, "another living process is '" + who.id.str() + "'"));
            });
}

/// Boots are no secret: who continues `link` says so on it.
void Kernel::ask_whether_continued(const ConnectionRef& newcomer, const ConnectionRef& link) {
  ping_link(link, shared_.limits.duplicate_timeout, Question::is_continued,
            [this, newcomer](const Result<Duration>& answer) {
              if (newcomer->closed()) return;
              if (!answer && answer.error().code() != Errc::peer_lost)
                return newcomer->refuse(
                    Error(Errc::already_exists, "its process does not say that it continues the connection"));
              newcomer->is_confirmed = true;
              judge(newcomer);
            });
}

/// Whether a connection of ours to `id` is in handshake.
bool Kernel::has_own_dial(const NodeId& id, const ConnectionRef& other_than) const {
  const PeerRef known = peer(id);
  if (known && known->dialled && known->dialled != other_than) return true;
  return std::any_of(requests_.begin(), requests_.end(), [&](const DialRequestRef& request) {
    const auto& connection = request->connection;
    return connection && connection != other_than &&
           (connection->hello().identity.id == id || request->expected == id);
  });
}

void Kernel::on_established(const ConnectionRef& connection, const proto::Established& established) {
  const proto::Hello& hello = connection->hello();
  const bool is_node = hello.identity.role == Role::node;
  if (established.clock_warning)
    log::limited(lines_.clock, log::Level::warn, "net", "the clock of '", hello.identity.id.str(),
                 "' is more than 10 min from ours");
  const PeerRef known = is_node ? this->peer(hello.identity.id) : nullptr;
  const ConnectionRef old = known ? known->link() : nullptr;
  const bool is_continuation = old && continues(connection, old);
  if (old && !is_continuation) replace_link(known);

  const PeerRef peer = is_node ? find_or_add(hello.identity.id) : make_peer(hello.identity.id, Role::client);
  connection->info = PeerInfo{.id = hello.identity.id,
                              .boot = hello.identity.boot,
                              .role = hello.identity.role,
                              .ring = hello.identity.ring,
                              .endpoint = hello.identity.advertised,
                              .session = is_continuation ? old->info.session : ++session_serial_,
                              .protection = established.protection,
                              .key = established.key};
  connection->up_since = ++event_serial_;
  connection->quiet_since = MonotonicClock::now();
  connection->can_idle = (hello.capabilities & proto::kCapabilityIdle) != 0;
  connection->peer = peer;
  {
    const std::unique_lock lock(peers_mutex_);
    sessions_[connection->info.session] = peer;
  }
  add(connection->dialler() ? shared_.counters.connections_out : shared_.counters.connections_in);
  peer->backoff.reset();
  peer->relink = peer->says_taken = false;
  shared_.timers.cancel(peer->redial);
  if (is_continuation)
    hand_over(peer, old, connection);
  else
    peer->attach(connection);
  if (peer->dialled == connection) peer->dialled = nullptr;
  const DialRequestRef request = std::exchange(connection->request, nullptr);
  if (request) request->connection = nullptr;
  if (is_node) end_other_dials(peer, connection);

  const PeerInfo info = connection->info;
  log::line(log_level(*peer), "net", is_continuation ? "continued " : "connected ", describe(connection),
            ": '", info.id.str(), "' (", name(info.protection), ")");
  if (!is_continuation) events_.on_peer_up(info);
  if (!keyring().has(info.key)) renew_links();  // removed since the handshake began
  if (request) finish_request(request, info);
  finish_waiting(info.id, info);
  if (is_node) mute_if_cut(connection);
  peer->flush();
}

/// The peer has a new connection: what arrived on the old one is delivered first.
void Kernel::replace_link(const PeerRef& peer) {
  const ConnectionRef old = peer->link();
  if (!old) return;
  old->read_ready();
  if (old->closed()) return;
  drop(old);
  link_down(old, PeerDownReason::replaced, "replaced by a new connection");
}

/// The larger id of a simultaneous dial has begun a connection that lost; so has a `dial` to a node that
/// has just come up by itself.
void Kernel::end_other_dials(const PeerRef& peer, const ConnectionRef& winner) {
  stop_dialling(peer);
  const auto requests = requests_;
  for (const auto& request : requests) {
    const ConnectionRef other = request->connection;
    if (!other || other == winner || other->hello().identity.id != peer->id) continue;
    drop(other);
    finish_request(request, winner->info);
  }
}

void Kernel::on_handshake_failed(const ConnectionRef& connection, const proto::HandshakeFailed& failed) {
  drop(connection);
  if (dial_without_tls(connection)) return;
  if (failed.error.code() == Errc::wrong_cookie) {
    add(shared_.counters.proofs_failed);
    log::limited(lines_.wrong_cookie, log::Level::warn, "net", "INVALID_CHECKSUM ", describe(connection),
                 ": ", failed.error.message());
    if (!connection->dialler()) count_guess(*connection);
  }
  if (failed.certificate) add(shared_.counters.certificates_refused);
  if (failed.error.code() != Errc::already_exists) {
    add(shared_.counters.handshakes_failed);
    const bool is_about_certificate =
        failed.certificate || (connection->has_tls() && failed.error.code() == Errc::refused);
    // What does not fit together stays so until somebody changes a setting. Who dials knows why it failed.
    if (is_about_certificate)
      log::limited(lines_.certificate, log::Level::warn, "net", "no handshake ", describe(connection), ": ",
                   failed.error.to_string());
    else if (failed.error.code() == Errc::incompatible)
      log::limited(lines_.incompatible, log::Level::warn, "net", "no handshake ", describe(connection), ": ",
                   failed.error.to_string());
    else if (!connection->dialler() && failed.error.code() != Errc::wrong_cookie)
      log::limited(lines_.no_handshake, log::Level::info, "net", "no handshake ", describe(connection), ": ",
                   failed.error.to_string());
  }
  if (const auto request = std::exchange(connection->request, nullptr))
    on_request_failed(request, connection, failed);
  else if (const auto peer = std::exchange(connection->peer, nullptr); peer && peer->dialled == connection) {
    const Endpoint endpoint = peer->endpoint();
    on_dial_failed(peer, failed);
    if (failed.found) dial_found(*failed.found, endpoint);
  }
}

void Kernel::on_message(const ConnectionRef& connection, Lane lane, ByteView message) {
  events_.on_message(connection->info, lane, message);
}

void Kernel::on_large_message(const ConnectionRef& connection, Lane lane, Buffer&& message) {
  events_.on_large_message(connection->info, lane, std::move(message));
}

void Kernel::on_ping(const ConnectionRef& connection, ByteView body) {
  const auto token = body.first(std::min(body.size(), sizeof(std::uint64_t)));
  const bool asks_continued = body.size() == sizeof(std::uint64_t) + 1;
  if (body.size() == sizeof(std::uint64_t) ||
      (asks_continued && (is_being_continued(connection) || connection->successor)))
    static_cast<void>(connection->peer->send_own(connection, wire::FrameKind::pong, token));
}

void Kernel::on_pong(const ConnectionRef& connection, ByteView token) {
  if (token.size() != sizeof(std::uint64_t)) return;
  const auto found = pings_.find(load_be<std::uint64_t>(token.data()));
  if (found == pings_.end() || found->second.link != connection) return;
  auto ping = std::move(found->second);
  pings_.erase(found);
  shared_.timers.cancel(ping.limit);
  ping.done(MonotonicClock::now() - ping.sent);
}

void Kernel::ping_link(const ConnectionRef& link, Duration timeout, Question question,
                       std::function<void(Result<Duration>)> done) {
  const std::uint64_t token = ++ping_serial_;
  const Instant now = MonotonicClock::now();
  const auto limit = shared_.timers.add(saturated_add(now, timeout), [this, token] {
    const auto found = pings_.find(token);
    auto ping = std::move(found->second);
    pings_.erase(found);
    ping.done(Error(Errc::timeout, "no answer to a ping"));
  });
  pings_.emplace(token, Ping{link, std::move(done), limit, now});
  std::array<std::uint8_t, 9> body{};
  store_be(body.data(), token);
  const std::size_t size = question == Question::is_continued ? 9 : 8;
  static_cast<void>(link->peer->send_own(link, wire::FrameKind::ping, std::span(body).first(size)));
}

void Kernel::end_pings(const ConnectionRef& link) {
  std::vector<Ping> ended;
  for (auto i = pings_.begin(); i != pings_.end();) {
    const auto next = std::next(i);
    if (i->second.link == link) {
      ended.push_back(std::move(i->second));
      pings_.erase(i);
    }
    i = next;
  }
  for (auto& ping : ended) {
    shared_.timers.cancel(ping.limit);
    ping.done(Error(Errc::peer_lost, "the connection ended"));
  }
}

void Kernel::on_goodbye(const ConnectionRef& connection, wire::GoodbyeReason said, std::string_view text) {
  if (end_predecessor(connection, true)) return;
  if (said == wire::GoodbyeReason::reconnect && is_being_continued(connection)) {
    connection->goodbye_came = true;
    return;
  }
  const bool idle = said == wire::GoodbyeReason::idle && connection->peer->asked_idle(connection);
  drop(connection);
  link_down(connection, idle ? PeerDownReason::idle : reason_of(said),
            text.empty() ? "the peer said goodbye" : std::string(text));
}

void Kernel::on_broken(const ConnectionRef& connection, PeerDownReason reason, const std::string& text) {
  if (end_predecessor(connection, false)) return;
  drop(connection);
  link_down(connection, reason, text);
}

void Kernel::on_writable(const ConnectionRef& connection) { connection->peer->write_on(connection); }

void Kernel::on_blocked(const ConnectionRef& connection) {
  boost::asio::post(shared_.io, [connection] { connection->await_writable(); });
}

void Kernel::on_write_failed(const ConnectionRef& connection, int fault) {
  boost::asio::post(shared_.io, [this, connection, fault] {
    connection->read_ready();  // what arrived before the break, and perhaps its cause
    if (!connection->closed()) on_broken(connection, PeerDownReason::lost, std::strerror(fault));
  });
}

/// `link` is closed. Tells everybody whom it concerns, and sees to the next connection.
void Kernel::link_down(const ConnectionRef& link, PeerDownReason reason, const std::string& text) {
  if (std::exchange(link->reported_down, true)) return;
  const PeerRef peer = link->peer;
  if (const auto old = std::exchange(link->predecessor, nullptr)) {
    old->successor = nullptr;
    drop(old);
  }
  if (link->leaving) reason = *link->leaving;
  if (reason == PeerDownReason::idle) add(shared_.counters.closed_idle);
  static_cast<void>(peer->detach(link));
  {
    const std::unique_lock lock(peers_mutex_);
    sessions_.erase(link->info.session);
  }
  if (reason == PeerDownReason::protocol_error)
    log::limited(lines_.broken, log::Level::warn, "net", "disconnected ", describe(link), ": '",
                 link->info.id.str(), "': ", text);
  else
    log::line(log_level(*peer), "net", "disconnected ", describe(link), ": '", link->info.id.str(),
              "': ", text);
  events_.on_peer_down(link->info, reason, text);
  if (reason != PeerDownReason::replaced && !peer->link()) {
    if (const auto dropped = peer->end_if_unknown())
      bury(peer, *dropped);
    else
      link_again(peer, reason, link->leaving.has_value());
  }
  end_pings(link);  // last: a newcomer may have waited for this holder of its id
}

/// A peer on demand whose connection was lost is dialled once: perhaps it is there no more.
void Kernel::link_again(const PeerRef& peer, PeerDownReason reason, bool at_once) {
  peer->relink = reason == PeerDownReason::lost || reason == PeerDownReason::protocol_error;
  if (!peer->wants_link()) return;
  redial(peer, at_once || reason == PeerDownReason::idle ? Duration::zero() : peer->backoff.next(rng_));
}

/// Says goodbye on a link, and only listens from then on; `link_down` follows when the peer closes it.
void Kernel::leave(const ConnectionRef& link, wire::GoodbyeReason said, PeerDownReason reason) {
  if (link->closed() || link->leaving) return;
  link->leaving = reason;
  static_cast<void>(link->peer->detach(link));
  const std::array body{static_cast<std::uint8_t>(said)};
  static_cast<void>(link->peer->send_own(link, wire::FrameKind::goodbye, body));
  static_cast<void>(shared_.timers.add(MonotonicClock::now() + kGoodbyeTimeout, [this, link, reason] {
    if (!link->closed()) on_broken(link, reason, "closed");
  }));
}

}  // namespace cluster::net
