// Connections: one per pair of places, known by the life of the process at the other end.
#include <algorithm>

#include "cluster/sim/ring_cluster.hpp"

namespace cluster::sim {
namespace {

constexpr Duration kBackoffMin = 50ms;  // as the real dialler
constexpr Duration kBackoffMax = 5s;
constexpr int kHandshakeLegs = 3;

}  // namespace

std::uint32_t RingCluster::linked_life(std::size_t place, std::size_t peer) const {
  const auto& linked = processes_[place].linked;
  return peer < linked.size() ? linked[peer] : 0;
}

/// The newest connection counts, whoever opened it.
std::optional<std::size_t> RingCluster::place_of(const Process& from, const NodeId& to) const {
  if (const auto heard = from.heard_from.find(to); heard != from.heard_from.end() && running(heard->second))
    return heard->second;
  if (const auto told = from.connections.find(to); told != from.connections.end())
    return listening_at(told->second);
  const auto home = home_of(to);
  return home && running(*home) ? home : std::nullopt;
}

bool RingCluster::wants_link(const Process& process, std::size_t peer) const {
  const auto& id = processes_[peer].start.id;
  const auto told = process.connections.find(id);
  return process.gossip->state().present(id) && told != process.connections.end() &&
         told->second == endpoint_of(peer);
}

/// Dials until it succeeds, this process ends, or it is no longer wanted.
void RingCluster::open_link(std::size_t from, std::size_t to, int attempt) {
  const auto handshake = network_.draw_delay() * kHandshakeLegs;
  simulator_.after(handshake, [this, from, to, attempt, life = processes_[from].life] {
    auto& dialler = processes_[from];
    if (!dialler.gossip || dialler.life != life) return;
    auto& listener = processes_[to];
    if (listener.gossip && linked_life(from, to) == listener.life) return;
    if (listener.gossip && both_reach(from, to) && !dialler.host.paused() && !listener.host.paused()) {
      link_up(from, to);
      link_up(to, from);
      return;
    }
    if (!wants_link(dialler, to)) return;
    const auto backoff = std::min(kBackoffMax, kBackoffMin * (1 << std::min(attempt, 10)));
    simulator_.after(backoff, [this, from, to, attempt, life] {
      if (processes_[from].gossip && processes_[from].life == life) open_link(from, to, attempt + 1);
    });
  });
}

void RingCluster::link_made(std::size_t place, std::size_t peer) {
  auto& process = processes_[place];
  if (process.linked.size() < processes_.size()) process.linked.resize(processes_.size(), 0);
  process.linked[peer] = processes_[peer].life;
  process.connections.insert_or_assign(id(peer), endpoint_of(peer));
  const auto now = moment(place);
  (void)process.gossip->on_peer_up(now, id(peer));
  if (process.detector) (void)process.detector->on_peer_up(now.now, id(peer), processes_[peer].boot);
}

void RingCluster::link_up(std::size_t place, std::size_t peer) {
  auto& process = processes_[place];
  if (const auto old = linked_life(place, peer); old != 0) link_down(place, peer, old, proto::PeerEnd::lost);
  if (process.linked.size() < processes_.size()) process.linked.resize(processes_.size(), 0);
  process.linked[peer] = processes_[peer].life;
  const auto now = moment(place);
  const auto& name = id(peer);
  if (process.detector) perform(place, process.detector->on_peer_up(now.now, name, processes_[peer].boot));
  perform(place, process.gossip->on_peer_up(now, name));
}

/// `life` of the peer's process is over, and this process reads the end of the connection when it gets to it.
void RingCluster::link_down(std::size_t place, std::size_t peer, std::uint32_t life, proto::PeerEnd how) {
  if (!running(place) || linked_life(place, peer) != life) return;
  processes_[place].linked[peer] = 0;
  processes_[place].host.submit([this, place, peer, how] {
    auto& process = processes_[place];
    if (!process.gossip || linked_life(place, peer) != 0) return;
    const auto now = moment(place);
    perform(place, process.gossip->on_peer_down(now, id(peer)));
    if (process.detector) perform(place, process.detector->on_peer_down(now.now, id(peer), how));
    if (wants_link(process, peer)) open_link(place, peer, 0);
  });
}

void RingCluster::dial(std::size_t place, const proto::Dial& dial) {
  const auto there = listening_at(dial.endpoint);
  simulator_.after(network_.draw_delay() * 2,
                   [this, place, there, command = dial.command, life = processes_[place].life] {
                     auto& process = processes_[place];
                     if (process.life != life || !process.gossip) return;
                     Result<NodeId> peer = Error(Errc::unreachable, "connection refused");
                     if (there && *there == place) {
                       peer = Error(Errc::refused, "this node itself");
                     } else if (there && running(*there) && both_reach(place, *there)) {
                       auto& listener = processes_[*there];
                       peer = listener.start.id;
                       process.heard_from[*peer] = *there;
                       listener.heard_from[process.start.id] = place;
                       if (config_.links && linked_life(place, *there) != listener.life) {
                         link_up(place, *there);
                         link_up(*there, place);
                       }
                     }
                     perform(place, process.gossip->on_dialed(moment(place), command, peer));
                   });
}

}  // namespace cluster::sim
