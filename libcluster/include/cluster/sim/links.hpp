#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "cluster/proto/detector.hpp"
#include "cluster/proto/handshake.hpp"
#include "cluster/sim/host.hpp"
#include "cluster/sim/network.hpp"
#include "cluster/sim/packet.hpp"

namespace cluster::sim {

using Place = Network::Place;

struct LinkConfig {
  /// The real handshake, with its keys; else the ends believe each other after the same three ways.
  bool handshake = false;
  Duration connect_timeout = 5s;
  Duration dial_timeout = 3s;       ///< of an address, with its handshake
  Duration duplicate_timeout = 2s;  ///< for the holder of an id to answer
  Duration drain_timeout = 1s;      ///< for what is on its way to a member that was removed
  Duration idle_timeout = 60s;      ///< without traffic: then a connection on demand is closed
  Duration backoff_min = 50ms;
  Duration backoff_max = 5s;
};

struct LinkCounters {
  std::uint64_t made = 0;         ///< connections that were proven, or assumed
  std::uint64_t lost = 0;         ///< ends that lost one
  std::uint64_t closed_idle = 0;  ///< ends that closed one for want of traffic
  std::uint64_t handshakes_failed = 0;
  std::uint64_t wrong_cookies = 0;   ///< of these
  std::uint64_t duplicate_ids = 0;   ///< of these: another living process has the id
  std::uint64_t clocks_refused = 0;  ///< of these: too far apart
  std::uint64_t simultaneous = 0;    ///< dials that ended because the other one of the two stayed
};

/// The processes whose connections these are.
class LinkUser {
 public:
  LinkUser() = default;
  LinkUser(const LinkUser&) = delete;
  LinkUser& operator=(const LinkUser&) = delete;
  virtual ~LinkUser() = default;

  /// Counts the starts of the process at a place; 0: none runs there.
  [[nodiscard]] virtual std::uint32_t life(Place place) const = 0;
  [[nodiscard]] virtual Host& host(Place place) = 0;
  [[nodiscard]] virtual proto::Identity identity(Place place) const = 0;
  [[nodiscard]] virtual proto::Keyring keyring(Place place) const = 0;
  [[nodiscard]] virtual WallTime wall_of(Place place) const = 0;
  /// The place behind an endpoint, whether a process runs there or not.
  [[nodiscard]] virtual std::optional<Place> place_at(const Endpoint& endpoint) const = 0;
  /// Where a process believes a member to be that it was not told to connect to.
  [[nodiscard]] virtual std::optional<Endpoint> endpoint_of(Place place, const NodeId& member) const = 0;

  virtual void on_link_up(Place place, Place at, const NodeId& peer, Boot boot) = 0;
  virtual void on_link_down(Place place, const NodeId& peer, proto::PeerEnd how) = 0;
  virtual void on_packet(Place place, Place from, const Packet& packet) = 0;
  virtual void on_dialed(Place place, std::uint64_t command, const Result<NodeId>& peer) = 0;
  /// A peer, whose key is proven, has a connection to another living process of this one's id.
  virtual void on_id_taken(Place place) = 0;
};

/// The connections between simulated processes, made, kept and lost as net's NetKernel does it: the same
/// handshake, the same rules for two dials at once and for two processes of one id, the same waiting times.
///
/// What travels before a connection is proven, and its end, are a stream: in order, and sent again when it is
/// lost. Messages on a proven connection are single packets, which may be lost or overtake each other, which
/// is harsher than what TCP does.
class Links {
 public:
  Links(Simulator& simulator, Network& network, LinkUser& user, LinkConfig config);
  ~Links();
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  /// A process has started at `place`.
  void begin(Place place);
  /// It has ended; `how` is what the others learn, where they can be reached.
  void end(Place place, proto::PeerEnd how);
  /// A connection that is there already; nobody is told.
  void assume(Place a, Place b);

  /// A member to be connected to; `standing`: always, else while there is something to send.
  void keep(Place place, const NodeId& peer, const Endpoint& endpoint, bool standing);
  /// No member any more. `force`: what is on its way may be lost.
  void drop(Place place, const NodeId& peer, bool force);
  /// Finds out who listens there, and tells by `on_dialed`.
  void dial(Place place, std::uint64_t command, const Endpoint& endpoint);
  /// Over the connection to `to`; if there is none, it is opened, and the packet waits for at most
  /// `wait_max`.
  void send(Place place, const NodeId& to, std::shared_ptr<const Packet> packet, Duration wait_max);
  /// All connections of the process break, proven or not, as by a router that forgot them.
  void reset(Place place);
  /// A bug: who has another cookie is believed to have this one.
  void ignore_proofs() { proofs_ignored_ = true; }

  /// How many proven connections the process has.
  [[nodiscard]] std::size_t count(Place place) const;
  [[nodiscard]] bool linked(Place place, const NodeId& peer) const;
  [[nodiscard]] const LinkCounters& counters() const noexcept { return counters_; }

 private:
  /// One end of a connection: twice the connection's number, and 1 for the listener's end. 0: none.
  using End = std::uint64_t;
  struct Connection;
  struct Side;
  struct Record;
  struct Peer;
  struct Request;
  struct Port;
  struct Dialling;
  /// A question to the holder of an id whether it lives.
  struct Ping {
    End newcomer = 0;
    End holder = 0;
    Boot holder_boot{};
  };
  using Requests = std::map<std::uint64_t, Request>;
  using PeerRef = std::shared_ptr<Peer>;
  using DiallingRef = std::shared_ptr<Dialling>;

  // links.cpp: peers, dials, packets
  Port& port(Place place);
  [[nodiscard]] PeerRef find(Place place, const NodeId& id) const;
  PeerRef find_or_add(Place place, const NodeId& id);
  void know_member(const PeerRef& peer);
  void erase_if_unknown(const PeerRef& peer);
  void dial_peer(const PeerRef& peer);
  void redial(const PeerRef& peer, Duration wait);
  void stop_dialling(const PeerRef& peer);
  void connect(const DiallingRef& dialling, Duration wait);
  void on_connect(const DiallingRef& dialling);
  void on_connect_failed(const DiallingRef& dialling, const Error& why);
  void on_dial_failed(const PeerRef& peer, const Error& why, bool says_taken);
  [[nodiscard]] bool id_is_taken(Place place, std::size_t more_refusals);
  [[nodiscard]] Request* find_request(Place place, std::uint64_t command);
  void finish_request(Place place, std::uint64_t command, const Result<NodeId>& result);
  void flush(const PeerRef& peer);
  void transmit(End from, const std::shared_ptr<const Packet>& packet);
  void arrive(End to, const std::shared_ptr<const Packet>& packet);
  void read(End to, const Packet& packet);
  void watch_idle(Place place);
  void look_for_idle(Place place);

  // connections.cpp: one connection from its first byte to its end
  [[nodiscard]] Side* side(End end);
  [[nodiscard]] Side& other(End end);
  [[nodiscard]] bool lives(const Side& side) const;
  End make_connection(Place dialler, Place listener);
  void write(End from, Record record);
  void land(End to, Duration again);
  void handle(End at);
  void greet(End dialler);
  void feed(End at);
  void apply(End at, proto::HandshakeActions actions);
  void expire(End at);
  void on_greeted(End at);
  void on_proven(End at);
  void judge(End at);
  void ask_holder(End newcomer, End holder);
  enum class Answer : std::uint8_t { came, did_not_come, holder_gone };
  void on_answer(std::uint64_t ping, Answer answer);
  void end_pings(End holder);
  [[nodiscard]] bool has_own_dial(Place place, const NodeId& id, End but);
  void proceed(End at);
  void refuse(End at, const Error& why);
  void on_established(End at);
  void on_failed(End at, const Error& why, bool keyed, bool own_finding = false);
  void count(Errc failure);
  void end_other_dials(const PeerRef& peer, End winner);
  void on_idle_asked(End at);
  void leave(End at);
  void abort(End at);
  void close(End at);
  void link_down(End at, proto::PeerEnd how);
  [[nodiscard]] proto::HandshakeSecrets draw_secrets();
  [[nodiscard]] proto::Identity peer_of(End at);

  Simulator& simulator_;
  Network& network_;
  LinkUser& user_;
  LinkConfig config_;
  Rng rng_;
  std::vector<Port> ports_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;  // looked up alone
  std::map<std::uint64_t, Ping> pings_{};
  std::uint64_t serial_ = 0;
  bool proofs_ignored_ = false;
  LinkCounters counters_{};
};

}  // namespace cluster::sim
