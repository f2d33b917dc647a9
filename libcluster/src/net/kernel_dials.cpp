#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "cluster/base/log.hpp"
#include "kernel.hpp"

// Dialling peers and addresses; adding and removing peers.
namespace cluster::net {

PeerRef Kernel::make_peer(const NodeId& id, Role role) {
  return std::make_shared<Peer>(shared_, static_cast<PeerHost&>(*this), id, role);
}

PeerRef Kernel::find_or_add(const NodeId& id) {
  const std::unique_lock lock(peers_mutex_);
  PeerRef& peer = peers_[id];
  if (!peer) peer = make_peer(id, Role::node);
  return peer;
}

void Kernel::erase(const PeerRef& peer) {
  const std::unique_lock lock(peers_mutex_);
  const auto found = peers_.find(peer->id);
  if (found != peers_.end() && found->second == peer) peers_.erase(found);
}

/// Nothing is sent to `peer` any more; what waited is reported.
void Kernel::end_peer(const PeerRef& peer) { bury(peer, peer->end()); }

void Kernel::bury(const PeerRef& peer, const std::vector<Ticket>& dropped) {
  erase(peer);
  stop_dialling(peer);
  shared_.timers.cancel(peer->drain_limit);
  if (!dropped.empty()) events_.on_dropped(peer->id, dropped);
}

void Kernel::add_peer(const NodeId& id, const Endpoint& endpoint, Keep keep) {
  if (id == config_.id || stopping_) return;
  PeerRef peer = find_or_add(id);
  bool changed = peer->known() && peer->endpoint() != endpoint;
  while (!peer->set_endpoint(endpoint, keep)) {  // its last connection has just ended, and it with that
    erase(peer);
    peer = find_or_add(id);
    changed = false;
  }
  boost::asio::post(shared_.io, [this, peer, changed] { on_endpoint(peer, changed); });
}

void Kernel::on_endpoint(const PeerRef& peer, bool changed) {
  if (!peer->known()) return;
  if (peer->on_demand()) watch_idle();
  const ConnectionRef link = peer->link();
  if (link) {
    // A link that the peer made from its new place is where it should be.
    if (changed && link->info.endpoint != peer->endpoint())
      leave(link, wire::GoodbyeReason::reconnect, PeerDownReason::moved);
    return;
  }
  if (changed) {
    stop_dialling(peer);
    peer->backoff.reset();
  }
  if (peer->redial == Timers::Id{} || changed) dial_peer(peer);
}

void Kernel::remove_peer(const NodeId& id, bool force) {
  const PeerRef removed = peer(id);
  if (!removed) return;
  erase(removed);
  boost::asio::post(shared_.io, [this, removed, force] { drain_peer(removed, force); });
}

/// Ends a peer after its queue was sent, or (`force`, or without a connection) at once.
void Kernel::drain_peer(const PeerRef& peer, bool force) {
  erase(peer);
  stop_dialling(peer);
  const ConnectionRef link = peer->link();
  const auto said = stopping_ ? wire::GoodbyeReason::stopping : wire::GoodbyeReason::removed;
  if (link && !force) {
    peer->forget();
    peer->drain_limit =
        shared_.timers.add(MonotonicClock::now() + shared_.limits.drain_timeout,
                           [this, link, said] { leave(link, said, PeerDownReason::removed); });
    return peer->drain();
  }
  const auto dropped = peer->end();
  if (!dropped.empty()) events_.on_dropped(peer->id, dropped);
  if (!link) return;
  const std::array body{static_cast<std::uint8_t>(said)};
  static_cast<void>(peer->send_own(link, wire::FrameKind::goodbye, body));
  drop(link);
  link_down(link, PeerDownReason::removed, "removed");
}

void Kernel::on_drained(const PeerRef& peer) {
  boost::asio::post(shared_.io, [this, peer] {
    if (const ConnectionRef link = peer->link())
      leave(link, stopping_ ? wire::GoodbyeReason::stopping : wire::GoodbyeReason::removed,
            PeerDownReason::removed);
  });
}

// ---- dialling a known peer

void Kernel::redial(const PeerRef& peer, Duration wait) {
  shared_.timers.cancel(peer->redial);
  peer->redial = shared_.timers.add(MonotonicClock::now() + wait, [this, peer] {
    peer->redial = {};
    dial_peer(peer);
  });
}

void Kernel::dial_peer(const PeerRef& peer) {
  shared_.timers.cancel(peer->redial);
  if (stopping_ || peer->link() || peer->dialer || peer->dialled || !peer->wants_link()) return;
  if (is_cut(peer->id)) return dial_in_vain(peer);
  peer->dialer = std::make_shared<Dialer>(shared_, peer->endpoint());
  peer->dialer->start([this, peer](Result<Socket> socket) {
    peer->dialer = nullptr;
    if (!socket) return on_dial_failed(peer, {socket.error()});
    const ConnectionRef connection =
        make_connection(std::move(socket).value(),
                        {.dialler = true, .expected = peer->id, .plain = std::exchange(peer->plain, false)});
    connection->peer = peer;
    peer->dialled = connection;
    connection->start();
  });
}

/// A dial that has failed is not repeated sooner because there is more to send.
void Kernel::on_wanted(const PeerRef& peer) {
  boost::asio::post(shared_.io, [this, peer] {
    if (peer->redial == Timers::Id{}) dial_peer(peer);
  });
  wake();
}

void Kernel::stop_dialling(const PeerRef& peer) {
  shared_.timers.cancel(peer->redial);
  if (const auto dialer = std::exchange(peer->dialer, nullptr)) dialer->cancel();
  if (const auto dialled = std::exchange(peer->dialled, nullptr)) drop(dialled);
}

void Kernel::on_dial_failed(const PeerRef& peer, const proto::HandshakeFailed& failed) {
  peer->dialled = nullptr;
  peer->relink = false;
  if (const ConnectionRef link = peer->link(); link && link->goodbye_came) {  // it was to be continued
    drop(link);
    return link_down(link, PeerDownReason::moved, "the peer said goodbye");
  }
  if (!peer->known() || peer->link()) return;
  const Errc code = failed.error.code();
  const bool is_known = failed.keyed || !failed.said_by_peer;
  if (code == Errc::already_exists && is_known)
    return redial(peer, shared_.limits.backoff_min);  // the other one is coming up
  const Duration wait = peer->backoff.next(rng_);
  peer->note_failure(peer->backoff.failures(), failed.error.to_string());
  peer->says_taken = code == Errc::duplicate_id && failed.keyed;
  const bool for_good = peer->says_taken && proto::id_is_taken(count_says_taken(), count_links());
  const std::uint32_t retries_max = shared_.limits.retries_max;
  if (!for_good && (retries_max == 0 || peer->backoff.failures() <= retries_max)) return redial(peer, wait);
  end_peer(peer);
  log::warn("net", "gave up on '", peer->id.str(), "': ", failed.error.to_string());
  events_.on_peer_lost(peer->id, failed.error);
}

/// Another peer than the one that was dialled listens at `endpoint`, or says so: nodes that have changed
/// places know each other only by their old addresses.
void Kernel::dial_found(const NodeId& id, const Endpoint& endpoint) {
  const PeerRef found = peer(id);
  if (!found || !found->known() || found->link() || found->dialled) return;
  if (std::ranges::any_of(requests_, [&](const auto& request) { return request->expected == id; })) return;
  dial(endpoint, id, shared_.limits.handshake_timeout, [](const Result<PeerInfo>&) {});
}

// ---- dialling an address

void Kernel::dial(const Endpoint& endpoint, std::optional<NodeId> expected, Duration timeout,
                  std::function<void(Result<PeerInfo>)> done) {
  auto request = std::make_shared<DialRequest>();
  request->endpoint = endpoint;
  request->expected = std::move(expected);
  request->done = std::move(done);
  const Instant due = saturated_add(MonotonicClock::now(), timeout);
  boost::asio::post(shared_.io, [this, request, due] {
    requests_.insert(request);
    if (stopping_) return finish_request(request, Error(Errc::stopped, "the node is stopping"));
    request->limit = shared_.timers.add(due, [this, request] {
      request->limit = {};
      finish_request(request, Error(Errc::timeout, request->endpoint.to_string() + " did not answer in time",
                                    Executed::no));
    });
    start_request(request);
  });
}

void Kernel::start_request(const DialRequestRef& request) {
  if (request->expected && is_cut(*request->expected)) return;  // its time runs out
  request->dialer = std::make_shared<Dialer>(shared_, request->endpoint);
  request->dialer->start([this, request](Result<Socket> socket) {
    request->dialer = nullptr;
    if (!socket) return finish_request(request, std::move(socket).error());
    request->connection = make_connection(
        std::move(socket).value(), {.dialler = true, .expected = request->expected, .plain = request->plain});
    request->connection->request = request;
    request->connection->start();
  });
}

void Kernel::on_request_failed(const DialRequestRef& request, const ConnectionRef& connection,
                               const proto::HandshakeFailed& failed) {
  request->connection = nullptr;
  const NodeId& id = connection->hello().identity.id;
  if (failed.error.code() == Errc::duplicate_id) return finish_request(request, of_taken_id(failed));
  if (failed.error.code() != Errc::already_exists || id.empty()) return finish_request(request, failed.error);
  const PeerRef known = peer(id);
  if (const ConnectionRef link = known ? known->link() : nullptr) return finish_request(request, link->info);
  request->waits_for = id;
}

/// What a listener says of the id of this node ends nobody without a proof, nor against what others say.
Error Kernel::of_taken_id(const proto::HandshakeFailed& failed) const {
  if (!failed.keyed)
    return Error(Errc::refused, "who listens there refused this node, and did not prove to know the cookie");
  if (proto::id_is_taken(count_says_taken() + 1, count_links())) return failed.error;
  return Error(Errc::refused, "the node there knows another process as '" + config_.id.str() +
                                  "', and more others are connected with this one");
}

std::size_t Kernel::count_says_taken() const {
  const std::shared_lock lock(peers_mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(peers_, [](const auto& entry) { return entry.second->says_taken; }));
}

std::size_t Kernel::count_links() const {
  const std::shared_lock lock(peers_mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(peers_, [](const auto& entry) { return entry.second->link() != nullptr; }));
}

/// `connection` found a listener that has no certificate. If less than TLS will do, that is dialled at once.
/// Nobody on the way can bring this about between two ends that speak TLS: their HELLOs would say so.
bool Kernel::dial_without_tls(const ConnectionRef& connection) {
  if (!connection->found_no_tls() || config_.protection_min == Protection::tls) return false;
  if (const auto request = std::exchange(connection->request, nullptr)) {
    request->connection = nullptr;
    request->plain = true;
    start_request(request);
  } else if (const auto peer = std::exchange(connection->peer, nullptr);
             peer && peer->dialled == connection) {
    peer->dialled = nullptr;
    peer->plain = true;
    dial_peer(peer);
  }
  return true;
}

void Kernel::finish_waiting(const NodeId& id, const PeerInfo& info) {
  const auto requests = requests_;
  for (const auto& request : requests)
    if (request->waits_for == id) finish_request(request, info);
}

void Kernel::finish_request(const DialRequestRef& request, Result<PeerInfo> result) {
  requests_.erase(request);
  shared_.timers.cancel(request->limit);
  if (const auto dialer = std::exchange(request->dialer, nullptr)) dialer->cancel();
  if (const auto connection = std::exchange(request->connection, nullptr)) {
    connection->request = nullptr;
    drop(connection);
  }
  if (const auto done = std::exchange(request->done, nullptr)) done(std::move(result));
}

}  // namespace cluster::net
