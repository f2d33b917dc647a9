#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <utility>

#include "cluster/base/log.hpp"
#include "kernel.hpp"

// New keys for connections that were made under a key which is not accepted any more. A second connection
// continues the first: what the first was given is delivered before what comes on the second, so nothing is
// lost, doubled or out of order, and nobody above the kernel notices. docs/wire_format.md section 4 has the
// rules.
namespace cluster::net {
namespace {

constexpr Duration kRenewalPeriod = 100ms;    // between two looks at what is to be done
constexpr Duration kRenewalWaitMin = 100ms;   // between two attempts: doubles
constexpr Duration kLastWritesPeriod = 10ms;  // between two looks at what is still to be written to it

}  // namespace

/// Sees to each connection whose key is not in the keyring; comes back until there are none.
void Kernel::renew_links() {
  shared_.timers.cancel(renewal_);
  renewal_ = {};
  if (stopping_) return;
  std::vector<PeerRef> all;
  {
    const std::shared_lock lock(peers_mutex_);
    for (const auto& [id, peer] : peers_) all.push_back(peer);
    for (const auto& [session, peer] : sessions_)
      if (peer->role == Role::client) all.push_back(peer);
  }
  const auto accepted = keyring();
  bool any_left = false;
  for (const auto& peer : all) any_left |= renew_link(peer, accepted);
  if (!any_left || renewal_ != Timers::Id{}) return;
  renewal_ = shared_.timers.add(MonotonicClock::now() + kRenewalPeriod, [this] {
    renewal_ = {};
    renew_links();
  });
}

/// Whether there is still something to do.
bool Kernel::renew_link(const PeerRef& peer, const Keyring& accepted) {
  const ConnectionRef link = peer->link();
  if (!link || accepted.has(link->info.key)) return false;
  const Instant now = MonotonicClock::now();
  if (link->key_removed == kNever) link->key_removed = now;
  const auto waited = now - link->key_removed;
  if (peer->role == Role::client) {
    if (waited < shared_.limits.renewal_client) return true;
    leave(link, wire::GoodbyeReason::removed, PeerDownReason::removed);
    return false;
  }
  if (waited >= shared_.limits.renewal_timeout) {
    log::warn("net", "the key of the connection to '", peer->id.str(),
              "' was removed, and there is none under another key: it is closed");
    drop(link);
    link_down(link, PeerDownReason::lost, "its key was removed");
    return false;
  }
  if (link->predecessor || peer->dialer || peer->dialled || waited < link->renewal_wait || is_cut(peer->id))
    return true;
  link->renewal_wait = link->renewal_wait == Duration::zero() ? kRenewalWaitMin : 2 * link->renewal_wait;
  dial_to_renew(peer, link);
  return true;
}

void Kernel::dial_to_renew(const PeerRef& peer, const ConnectionRef& link) {
  peer->dialer = std::make_shared<Dialer>(shared_, peer->known() ? peer->endpoint() : link->info.endpoint);
  const bool plain = link->info.protection != Protection::tls;
  peer->dialer->start([this, peer, plain](Result<Socket> socket) {
    peer->dialer = nullptr;
    if (!socket) return on_dial_failed(peer, {socket.error()});
    const ConnectionRef connection =
        make_connection(std::move(socket).value(),
                        {.dialler = true, .expected = peer->id, .continues = true, .plain = plain});
    connection->peer = peer;
    peer->dialled = connection;
    connection->start();
  });
}

/// Whether `connection`, which is proven, is to continue `link`.
bool Kernel::continues(const ConnectionRef& connection, const ConnectionRef& link) {
  const bool wanted = connection->dialler() ? connection->continues
                                            : (connection->hello().capabilities & proto::kContinues) != 0;
  return wanted && !link->closed() && !link->leaving && link->info.boot == connection->hello().identity.boot;
}

/// Whether a connection that is to continue `link` waits for the verdict. The peer may already have given it:
/// then its goodbye on `link` can be here first.
bool Kernel::is_being_continued(const ConnectionRef& link) {
  const auto& dialled = link->peer->dialled;
  return dialled && dialled->continues && link->peer->link() == link;
}

/// From now on `successor` is sent on, and read when the old connection has ended.
void Kernel::hand_over(const PeerRef& peer, const ConnectionRef& old, const ConnectionRef& successor) {
  old->successor = successor;
  successor->predecessor = old;
  successor->hold();
  peer->hand_over(successor);
  const std::array body{static_cast<std::uint8_t>(wire::GoodbyeReason::reconnect)};
  peer->send_own(old, wire::FrameKind::goodbye, body);
  for (auto& [token, ping] : pings_) {
    if (ping.link != old) continue;
    ping.link = successor;
    std::array<std::uint8_t, 8> question;
    store_be(question.data(), token);
    peer->send_own(successor, wire::FrameKind::ping, question);
  }
  if (old->goodbye_came) return finish_predecessor(old);
  static_cast<void>(shared_.timers.add(MonotonicClock::now() + shared_.limits.renewal_timeout, [this, old] {
    if (old->successor) on_broken(old, PeerDownReason::lost, "it did not end in time");
  }));
}

/// Of a connection that another one continues: its end, with the peer's goodbye or without. False if it is no
/// such connection.
bool Kernel::end_predecessor(const ConnectionRef& connection, bool said_goodbye) {
  const ConnectionRef successor = connection->successor;
  if (!successor) return false;
  if (said_goodbye) {
    connection->goodbye_came = true;
    finish_predecessor(connection);
  } else if (connection->goodbye_came && connection->peer->has_written(connection)) {
    finish_predecessor(connection);
  } else {  // what it still carried is lost, so that the session has an end
    drop(successor);
    link_down(successor, PeerDownReason::lost, "the connection that it continues broke");
  }
  return true;
}

/// The peer has said its last on `connection`; once this side has, too, it is closed and its successor read.
void Kernel::finish_predecessor(const ConnectionRef& connection) {
  const ConnectionRef successor = connection->successor;
  if (!successor) return;
  if (!connection->peer->has_written(connection)) {
    static_cast<void>(shared_.timers.add(MonotonicClock::now() + kLastWritesPeriod,
                                         [this, connection] { finish_predecessor(connection); }));
    return;
  }
  connection->successor = nullptr;
  successor->predecessor = nullptr;
  drop(connection);
  boost::asio::post(shared_.io, [successor] { successor->release(); });
}

}  // namespace cluster::net
