#include <boost/asio/post.hpp>
#include <utility>
#include <vector>

#include "cluster/base/log.hpp"
#include "kernel.hpp"

// Cut links, for drills. A cut is no closed connection: that would tell both ends at once, and a network that
// breaks tells nobody. So what is between this node and a cut peer goes on to exist and carries nothing.
//
//   connection in use   reads nothing; what is written is swallowed, up to what a socket takes (Sink), and
//   the
//                       rest waits in the queue
//   dials to the peer   end after `connect_timeout`, as those that nobody answers do
//   handshakes with it  come to a halt, and time out
//
// Both ends are cut, each by its own timer, so that no message is needed for the end. A connection does not
// outlive its cut: what was swallowed is lost, and who goes on behind it would take what follows for whole.
namespace cluster::net {
namespace {

constexpr const char* kWhy = "the network was cut";

}  // namespace

void Kernel::cut(std::vector<NodeId> peers, Duration time) {
  const Instant end = saturated_add(MonotonicClock::now(), time);
  boost::asio::post(shared_.io, [this, peers = std::move(peers), end] { begin_cut(peers, end); });
  wake();
}

void Kernel::heal() {
  boost::asio::post(shared_.io, [this] { end_cut(); });
  wake();
}

void Kernel::begin_cut(const std::vector<NodeId>& peers, Instant end) {
  end_cut();
  if (stopping_) return;
  for (const auto& id : peers) cut_.emplace(id, Boot{});
  const auto connections = connections_;
  for (const auto& [begun, connection] : connections)
    if (connection->writer && connection->info.role == Role::node) mute_if_cut(connection);
  cut_end_ = shared_.timers.add(end, [this] {
    cut_end_ = {};
    end_cut();
  });
  outage_ = shared_.timers.add(saturated_add(MonotonicClock::now(), shared_.limits.outage_timeout), [this] {
    outage_ = {};
    break_muted(nullptr);
  });
}

/// Of an established connection of a node.
void Kernel::mute_if_cut(const ConnectionRef& connection) {
  const auto found = cut_.find(connection->info.id);
  if (found == cut_.end() || connection->closed()) return;
  found->second = connection->info.boot;
  if (!connection->mute()) break_link(connection, "no descriptor is left for a cut");
}

/// Links come up again as after any outage: each side dials those that it had lost.
void Kernel::end_cut() {
  shared_.timers.cancel(cut_end_);
  shared_.timers.cancel(outage_);
  cut_.clear();
  break_muted(nullptr);
  for (const auto& connection : std::exchange(unheard_, {})) {
    if (connection->closed()) continue;
    if (connection->dialler())
      on_greeted(connection);
    else
      on_proven(connection);
  }
  start_held_requests();
}

/// Those that were for a peer that is cut off no more.
void Kernel::start_held_requests() {
  const auto requests = requests_;
  for (const auto& request : requests)
    if (!request->dialer && !request->connection && request->waits_for.empty()) start_request(request);
}

/// Ends the muted connections of `peer`, or (null) all.
void Kernel::break_muted(const NodeId* peer) {
  const auto connections = connections_;
  for (const auto& [begun, connection] : connections)
    if (connection->muted() && (peer == nullptr || connection->info.id == *peer))
      break_link(connection, kWhy);
}

void Kernel::break_link(const ConnectionRef& link, const std::string& text) {
  if (link->closed()) return;
  link->close();
  on_broken(link, PeerDownReason::lost, text);
}

/// Whether nothing that comes from there is to be heard. Who is cut off does not dial: a process that does
/// although it was here at the cut has healed, so it is healed here, too.
bool Kernel::is_unheard(const ConnectionRef& connection) {
  const proto::Identity& who = connection->hello().identity;
  const auto found = who.role == Role::node ? cut_.find(who.id) : cut_.end();
  if (found == cut_.end()) return false;
  if (!connection->dialler() && found->second == who.boot) {
    cut_.erase(found);
    break_muted(&who.id);
    start_held_requests();
    return false;
  }
  std::erase_if(unheard_, [](const ConnectionRef& each) { return each->closed(); });
  unheard_.push_back(connection);
  return true;
}

/// A dial that the network swallows.
void Kernel::dial_in_vain(const PeerRef& peer) {
  peer->redial = shared_.timers.add(MonotonicClock::now() + shared_.limits.connect_timeout, [this, peer] {
    peer->redial = {};
    if (!is_cut(peer->id)) return dial_peer(peer);
    on_dial_failed(peer, {Error(Errc::unreachable,
                                peer->endpoint().to_string() + " cannot be reached: no answer in time")});
  });
}

}  // namespace cluster::net
