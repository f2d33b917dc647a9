#pragma once
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/sim/links.hpp"

// What Links consists of.
namespace cluster::sim {

/// What travels in order on a connection.
struct Links::Record {
  enum class Word : std::uint8_t {
    handshake,  ///< `bytes`
    hello,      ///< without a handshake: let me in
    yes,        ///< you are in
    no,         ///< you are not: `why`
    ping,
    pong,
    idle_ask,   ///< nothing goes by here: shall we close?
    idle_stay,  ///< no
    leave,      ///< goodbye: the other one closes
    stopping,   ///< goodbye: the process ends
    end,        ///< end of stream, or reset
  };
  Word word = Word::end;
  Bytes bytes{};
  std::uint64_t ping = 0;
  Errc why = Errc::internal;
};

struct Links::Side {
  Place place = 0;
  std::uint32_t life = 0;
  bool open = true;
  bool up = false;          // proven
  bool leaves = false;      // said goodbye, or agreed to close: what is on its way still arrives
  bool asked_idle = false;  // sends nothing until it has an answer
  NodeId peer{};            // known once it is up, or dialled
  Boot peer_boot{};
  std::uint64_t request = 0;  // of an address, for which it was dialled
  std::unique_ptr<proto::Handshake> handshake{};
  Bytes unread{};                                      // of the handshake
  std::vector<Record> under_way{};                     // to this end
  std::vector<Record> inbox{};                         // landed, and not handled
  std::vector<std::shared_ptr<const Packet>> early{};  // came before this end was up
  Instant lands_last{};
  Instant quiet_since{};
  std::uint64_t begun = 0;
  std::uint64_t up_since = 0;
};

struct Links::Connection {
  std::array<Side, 2> sides{};  // the dialler's, the listener's
};

/// Another node, as one process sees it.
struct Links::Peer {
  struct Waiting {
    Instant expires;
    std::shared_ptr<const Packet> packet;
  };
  Peer(Place at, std::uint32_t of_life, NodeId name, const LinkConfig& config)
      : place(at), life(of_life), id(std::move(name)), backoff(config.backoff_min, config.backoff_max) {}

  /// Drops what has waited for too long.
  [[nodiscard]] bool wants_link(Instant now) {
    std::erase_if(queue, [now](const Waiting& waiting) { return waiting.expires <= now; });
    return endpoint && (standing || relink || !queue.empty());
  }

  Place place;
  std::uint32_t life;
  NodeId id;
  std::optional<Endpoint> endpoint{};  // none: nobody told to connect to it
  bool standing = false;
  bool says_taken = false;    // it refused this node: another living process has its id
  bool relink = false;        // its connection was lost: perhaps it is there no more
  End link = 0;               // proven
  End dialled = 0;            // own, in handshake
  std::uint64_t attempt = 0;  // to connect, or the wait before it; 0: none
  proto::Backoff backoff;
  std::vector<Waiting> queue{};
};

/// An address to be dialled.
struct Links::Request {
  End connection = 0;
  std::optional<NodeId> waits_for{};  // whose other connection is coming up
};

struct Links::Port {
  std::map<NodeId, PeerRef> peers{};
  Requests requests{};
  std::set<End> ends{};  // all that are open
  bool watches_idle = false;
};

/// A connection that is being opened: for a peer, or for a request.
struct Links::Dialling {
  Place place = 0;
  std::uint32_t life = 0;
  Endpoint endpoint{};
  PeerRef peer{};
  std::uint64_t number = 0;  // the peer's attempt, or the request
  Instant begun{};
};

}  // namespace cluster::sim
