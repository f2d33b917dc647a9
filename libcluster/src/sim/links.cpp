// Peers, dials and packets.
#include "cluster/sim/links.hpp"

#include <algorithm>
#include <utility>

#include "connection.hpp"

namespace cluster::sim {
namespace {

constexpr Duration kSynAgain = 1s;        // as TCP repeats what opens a connection
constexpr std::size_t kQueueMax = 1'024;  // packets for a peer without a connection
constexpr int kLooksPerTimeout = 4;       // for idle connections

}  // namespace

Links::Links(Simulator& simulator, Network& network, LinkUser& user, LinkConfig config)
    : simulator_(simulator), network_(network), user_(user), config_(config), rng_(simulator.rng().split()) {}

Links::~Links() = default;

// --- processes ---

Links::Port& Links::port(Place place) {
  if (place >= ports_.size()) ports_.resize(place + 1);
  return ports_[place];
}

void Links::begin(Place place) { port(place) = {}; }

void Links::end(Place place, proto::PeerEnd how) {
  const auto last = std::exchange(port(place), {});
  const auto word = how == proto::PeerEnd::goodbye ? Record::Word::stopping : Record::Word::end;
  for (const auto at : last.ends) {
    write(at, {.word = word});
    close(at);
  }
}

void Links::reset(Place place) {
  const auto ends = port(place).ends;
  for (const auto at : ends)
    if (auto* it = side(at); it != nullptr && it->open) {
      write(at, {.word = Record::Word::end});
      if (it->up)
        link_down(at, proto::PeerEnd::lost);
      else
        on_failed(at, Error(Errc::peer_lost, "connection reset"), false);
    }
}

void Links::assume(Place a, Place b) {
  const auto dialler = make_connection(a, b);
  for (const auto at : {dialler, dialler + 1}) {
    auto* it = side(at);
    const auto who = user_.identity(other(at).place);
    it->up = true;
    it->up_since = ++serial_;
    it->peer = who.id;
    it->peer_boot = who.boot;
    it->quiet_since = simulator_.now();
    const auto peer = find_or_add(it->place, who.id);
    peer->link = at;
    peer->endpoint = who.advertised;
    peer->standing = true;
  }
  ++counters_.made;
}

std::size_t Links::count(Place place) const {
  if (place >= ports_.size()) return 0;
  const auto& peers = ports_[place].peers;
  return static_cast<std::size_t>(
      std::ranges::count_if(peers, [](const auto& entry) { return entry.second->link != 0; }));
}

bool Links::linked(Place place, const NodeId& id) const {
  const auto peer = find(place, id);
  return peer && peer->link != 0;
}

// --- peers ---

Links::PeerRef Links::find(Place place, const NodeId& id) const {
  if (place >= ports_.size()) return nullptr;
  const auto found = ports_[place].peers.find(id);
  return found == ports_[place].peers.end() ? nullptr : found->second;
}

Links::PeerRef Links::find_or_add(Place place, const NodeId& id) {
  auto& peer = port(place).peers[id];
  if (!peer) peer = std::make_shared<Peer>(place, user_.life(place), id, config_);
  return peer;
}

void Links::erase_if_unknown(const PeerRef& peer) {
  if (peer->endpoint || peer->link != 0) return;
  stop_dialling(peer);
  auto& peers = port(peer->place).peers;
  if (const auto found = peers.find(peer->id); found != peers.end() && found->second == peer)
    peers.erase(found);
}

void Links::keep(Place place, const NodeId& id, const Endpoint& endpoint, bool standing) {
  if (id == user_.identity(place).id) return;
  const auto peer = find_or_add(place, id);
  const bool moved = peer->endpoint && *peer->endpoint != endpoint;
  peer->endpoint = endpoint;
  peer->standing = standing;
  if (!standing) watch_idle(place);
  if (peer->link != 0) {
    // A connection that the peer made from its new place is where it should be.
    if (moved && user_.identity(other(peer->link).place).advertised != endpoint) leave(peer->link);
    return;
  }
  if (moved) {
    stop_dialling(peer);
    peer->backoff.reset();
  }
  if (peer->attempt == 0) dial_peer(peer);
}

/// A member that the process was not told of, since it began with its ring.
void Links::know_member(const PeerRef& peer) {
  peer->endpoint = user_.endpoint_of(peer->place, peer->id);
  if (peer->endpoint) watch_idle(peer->place);
}

void Links::drop(Place place, const NodeId& id, bool force) {
  const auto peer = find(place, id);
  if (!peer) return;
  peer->endpoint.reset();
  peer->standing = peer->relink = false;
  peer->queue.clear();
  stop_dialling(peer);
  if (peer->link == 0) return erase_if_unknown(peer);
  if (force) return leave(peer->link);
  simulator_.after(config_.drain_timeout, [this, peer, link = peer->link] {
    if (peer->link == link && !peer->endpoint) leave(link);
  });
}

// --- dials ---

void Links::dial_peer(const PeerRef& peer) {
  peer->attempt = 0;
  if (peer->link != 0 || peer->dialled != 0 || !peer->wants_link(simulator_.now())) return;
  peer->attempt = ++serial_;
  auto dialling = std::make_shared<Dialling>();
  *dialling = {.place = peer->place,
               .life = peer->life,
               .endpoint = *peer->endpoint,
               .peer = peer,
               .number = peer->attempt,
               .begun = simulator_.now()};
  connect(dialling, {});
}

void Links::redial(const PeerRef& peer, Duration wait) {
  peer->attempt = ++serial_;
  simulator_.after(wait, [this, peer, attempt = peer->attempt] {
    if (peer->attempt == attempt && user_.life(peer->place) == peer->life) dial_peer(peer);
  });
}

void Links::stop_dialling(const PeerRef& peer) {
  peer->attempt = 0;
  if (const auto dialled = std::exchange(peer->dialled, 0); dialled != 0) abort(dialled);
}

void Links::dial(Place place, std::uint64_t command, const Endpoint& endpoint) {
  port(place).requests[command] = {};
  auto dialling = std::make_shared<Dialling>();
  *dialling = {.place = place,
               .life = user_.life(place),
               .endpoint = endpoint,
               .peer = nullptr,
               .number = command,
               .begun = simulator_.now()};
  simulator_.after(config_.dial_timeout, [this, dialling] {
    if (user_.life(dialling->place) == dialling->life)
      finish_request(dialling->place, dialling->number,
                     Error(Errc::timeout, dialling->endpoint.to_string() + " did not answer in time"));
  });
  connect(dialling, {});
}

/// There and back: then a connection is open, though nothing is known of who is at its other end.
void Links::connect(const DiallingRef& dialling, Duration wait) {
  const auto there_and_back = network_.draw_stream_delay(0, kSynAgain) + network_.draw_delay();
  simulator_.after(wait + there_and_back, [this, dialling] { on_connect(dialling); });
}

void Links::on_connect(const DiallingRef& dialling) {
  const auto& [place, life, endpoint, peer, number, begun] = *dialling;
  if (user_.life(place) != life) return;
  if (peer ? peer->attempt != number : find_request(place, number) == nullptr) return;
  const auto there = user_.place_at(endpoint);
  if (there && !(network_.reaches(place, *there) && network_.reaches(*there, place))) {
    if (simulator_.now() - begun < config_.connect_timeout) return connect(dialling, kSynAgain);
    return on_connect_failed(dialling, Error(Errc::unreachable, "no answer in time"));
  }
  if (!there || user_.life(*there) == 0)
    return on_connect_failed(dialling, Error(Errc::unreachable, "connection refused"));
  if (*there == place && !config_.handshake)
    return on_connect_failed(dialling, Error(Errc::refused, "this node itself"));
  const auto at = make_connection(place, *there);
  auto* own = side(at);
  if (peer) {
    peer->attempt = 0;
    peer->dialled = at;
    own->peer = peer->id;
  } else {
    find_request(place, number)->connection = at;
    own->request = number;
  }
  greet(at);
}

void Links::on_connect_failed(const DiallingRef& dialling, const Error& why) {
  if (dialling->peer)
    on_dial_failed(dialling->peer, why, false);
  else
    finish_request(dialling->place, dialling->number, why);
}

void Links::on_dial_failed(const PeerRef& peer, const Error& why, bool says_taken) {
  peer->dialled = peer->attempt = 0;
  peer->says_taken = says_taken;
  peer->relink = false;
  if (!peer->endpoint || peer->link != 0) return;
  if (says_taken && id_is_taken(peer->place, 0)) {
    peer->endpoint.reset();
    erase_if_unknown(peer);
    return user_.on_id_taken(peer->place);
  }
  // Of two dials at once the other one is coming up.
  const auto wait = why.code() == Errc::already_exists ? config_.backoff_min : peer->backoff.next(rng_);
  redial(peer, wait);
}

bool Links::id_is_taken(Place place, std::size_t more_refusals) {
  auto refusals = more_refusals;
  for (const auto& [id, peer] : port(place).peers) refusals += peer->says_taken ? 1 : 0;
  return proto::id_is_taken(refusals, count(place));
}

Links::Request* Links::find_request(Place place, std::uint64_t command) {
  auto& requests = port(place).requests;
  const auto found = requests.find(command);
  return found == requests.end() ? nullptr : &found->second;
}

void Links::finish_request(Place place, std::uint64_t command, const Result<NodeId>& result) {
  const auto* request = find_request(place, command);
  if (request == nullptr) return;
  const auto connection = request->connection;
  port(place).requests.erase(command);
  if (auto* own = side(connection); own != nullptr && !own->up) {
    own->request = 0;
    abort(connection);
  }
  user_.on_dialed(place, command, result);
}

// --- packets ---

void Links::send(Place place, const NodeId& to, std::shared_ptr<const Packet> packet, Duration wait_max) {
  auto peer = find(place, to);
  if (!peer || (peer->link == 0 && !peer->endpoint)) {
    if (!user_.endpoint_of(place, to)) return;
    if (!peer) peer = find_or_add(place, to);
    know_member(peer);
  }
  if (peer->link != 0 && !side(peer->link)->asked_idle) return transmit(peer->link, packet);
  if (peer->queue.size() >= kQueueMax) return;
  peer->queue.push_back({simulator_.now() + wait_max, std::move(packet)});
  if (peer->link == 0 && peer->attempt == 0) dial_peer(peer);
}

void Links::flush(const PeerRef& peer) {
  for (const auto& waiting : std::exchange(peer->queue, {}))
    if (waiting.expires > simulator_.now() && peer->link != 0) transmit(peer->link, waiting.packet);
}

void Links::transmit(End from, const std::shared_ptr<const Packet>& packet) {
  auto* own = side(from);
  own->quiet_since = simulator_.now();
  network_.send(own->place, other(from).place, packet->bytes.size(),
                [this, packet, to = from ^ 1](std::uint32_t, std::uint32_t) { arrive(to, packet); });
}

void Links::arrive(End to, const std::shared_ptr<const Packet>& packet) {
  auto* at = side(to);
  if (at == nullptr || !lives(*at) || (!at->open && !at->leaves)) return;
  user_.host(at->place).submit([this, to, packet] {
    auto* it = side(to);
    if (it == nullptr || !lives(*it)) return;
    if (it->up)
      read(to, *packet);
    else if (it->early.size() < kQueueMax)
      it->early.push_back(packet);
  });
}

void Links::read(End to, const Packet& packet) {
  auto* at = side(to);
  if (!at->open && !at->leaves) return;
  at->quiet_since = simulator_.now();
  user_.on_packet(at->place, other(to).place, packet);
}

// --- connections that nobody uses ---

void Links::watch_idle(Place place) {
  if (std::exchange(port(place).watches_idle, true)) return;
  simulator_.after(config_.idle_timeout / kLooksPerTimeout, [this, place, life = user_.life(place)] {
    if (user_.life(place) != life) return;
    look_for_idle(place);
    port(place).watches_idle = false;
    watch_idle(place);
  });
}

void Links::look_for_idle(Place place) {
  if (user_.host(place).paused()) return;
  for (const auto& [id, peer] : port(place).peers) {
    if (peer->link == 0 || !peer->endpoint || peer->standing) continue;
    auto* own = side(peer->link);
    if (own->asked_idle || simulator_.now() - own->quiet_since < config_.idle_timeout) continue;
    own->asked_idle = true;
    write(peer->link, {.word = Record::Word::idle_ask});
  }
}

}  // namespace cluster::sim
