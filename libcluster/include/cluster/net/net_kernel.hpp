#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/buffer.hpp"
#include "cluster/base/bytes.hpp"
#include "cluster/base/endpoint.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/crypto/tls.hpp"
#include "cluster/proto/handshake.hpp"
#include "cluster/proto/keyring.hpp"
#include "cluster/wire/frame.hpp"
#include "cluster/wire/frame_protection.hpp"

namespace cluster::net {

using proto::Keyring;
using proto::Role;
using wire::Lane;
using wire::Protection;

struct NetLimits {
  std::size_t queue_bytes_max = 16u << 20;         ///< waiting for one peer, lanes normal and bulk
  std::size_t control_queue_bytes_max = 1u << 20;  ///< waiting for one peer, lane control
  std::size_t message_bytes_max = 64u << 20;       ///< one message, either way
  /// Waiting for all peers together, beyond the first 256 KiB of each in lane control and of each in the
  /// others; at least what one peer may have. Over it a peer still gets a quarter of an equal share.
  std::size_t queues_bytes_max = 256u << 20;
  /// All messages that come in fragments and are not whole, over all connections; one more connection may go
  /// on over it. Others wait, and are not read from meanwhile.
  std::size_t fragments_bytes_max = 256u << 20;
  std::size_t half_open_max = 1024;  ///< inbound connections in handshake
  /// Inbound connections of addresses with too many wrong cookies that wait for their turn; no more than some
  /// 60 of one address.
  std::size_t slowed_max = 512;
  bool slows_loopback = false;       ///< wrong cookies of this machine count, too (tests)
  std::size_t sessions_max = 16384;  ///< proven connections
  Duration handshake_timeout = 5s;
  Duration frame_timeout = 5s;      ///< from a frame's first byte to its last
  Duration fragment_timeout = 30s;  ///< between two fragments of a message
  Duration connect_timeout = 5s;    ///< of one address
  Duration drain_timeout = 5s;      ///< of a graceful disconnect
  Duration duplicate_timeout = 2s;  ///< for the old holder of an id to answer
  Duration renewal_timeout = 10s;   ///< of a connection whose key was removed, to go on under another
  Duration renewal_client = 2s;     ///< what a client's has: time for the answer to who removed its own key
  Duration outage_timeout = 15s;    ///< of a cut: then its connections end, as unanswered ones do
  Duration idle_timeout = 60s;      ///< without traffic: then a connection on demand is closed
  Duration backoff_min = 50ms;      ///< between dials: doubles, with jitter, up to the max
  Duration backoff_max = 5s;
  std::uint32_t retries_max = 0;  ///< dials without success before `on_peer_lost`; 0: no end
};

struct NetConfig {
  NodeId id;
  Boot boot;
  Role role = Role::node;  ///< a client does not listen
  std::string ring;
  Endpoint advertised;            ///< what peers dial; port 0: the bound one (tests)
  std::vector<std::string> bind;  ///< addresses or names; empty: all that the advertised host resolves to
  bool accepts = true;            ///< false: who connects waits until `accept_connections`
  Keyring keyring;
  Protection protection = Protection::sign;      ///< the most that connections get, if the peer offers it too
  Protection protection_min = Protection::sign;  ///< peers that offer less are refused
  /// Of level tls, and not without it. Of a node, its certificate names it (proto::certificate_uri).
  std::shared_ptr<const crypto::TlsContext> tls{};
  NetLimits limits;
  std::uint64_t seed = 0;  ///< of the jitter
};

/// The other end of a proven connection.
struct PeerInfo {
  NodeId id;
  Boot boot;
  Role role = Role::node;
  std::string ring;           ///< at the time of the handshake
  Endpoint endpoint;          ///< where it says it listens; an empty host for a client
  std::uint64_t session = 0;  ///< names this connection in this process; never 0, never reused
  Protection protection = Protection::sign;
  proto::KeyId key = 0;  ///< that it was made under
};

enum class PeerDownReason : std::uint8_t {
  stopping,        ///< the peer is stopping, and said so
  goodbye,         ///< it wants no connection any more, and said so
  lost,            ///< the connection ended without a word: EOF, reset, network error
  replaced,        ///< the peer (or its next boot) has a new connection, which is up now
  protocol_error,  ///< a frame with a wrong tag, a length over the limit, or one never finished
  removed,         ///< `remove_peer`, or `stop` here
  moved,           ///< to be dialled at another endpoint, by either side's wish
  idle,            ///< neither side had anything to send; the next message dials. Nothing is uncertain
};
[[nodiscard]] std::string_view name(PeerDownReason reason) noexcept;

/// Names a message that waits in a peer's queue. 0: it was handed to the socket at once.
struct Ticket {
  std::uint64_t value = 0;
  friend auto operator<=>(const Ticket&, const Ticket&) = default;
};

enum class Appetite : std::uint8_t {
  more,   ///< read on
  sated,  ///< enough for now: return from `poll`, so that what came is handled while it is in the cache
  full,   ///< more comes than is handled: read small pieces with pauses of some ms, so that senders feel it
};

/// What a NetKernel tells its owner. Called on the polling thread, never under a lock of the kernel; may
/// call any of its functions but `poll` and `stop`. Must not throw.
class NetEvents {
 public:
  virtual ~NetEvents() = default;
  /// One message. `message` is valid during the call. Order holds per peer and lane.
  virtual void on_message(const PeerInfo& from, Lane lane, ByteView message) = 0;
  /// One that came in fragments (wire::kWholeMessageBytesMax), to keep or to take apart elsewhere: this
  /// thread should not be kept long.
  virtual void on_large_message(const PeerInfo& from, Lane lane, Buffer&& message) {
    on_message(from, lane, message.view());
  }
  /// How much to read. Asked before each read.
  [[nodiscard]] virtual Appetite appetite() const noexcept { return Appetite::more; }
  virtual void on_peer_up(const PeerInfo& peer) = 0;
  /// Whether a connection without traffic may be closed: nobody waits for an answer over it.
  [[nodiscard]] virtual bool is_idle(const PeerInfo& peer) {
    static_cast<void>(peer);
    return true;
  }
  /// The connection is gone. What was handed to it may or may not have arrived; what still waits
  /// (`is_queued`) goes out after the reconnect, if the peer is known. Known peers are dialled again,
  /// except after `removed`; those on demand when there is something to send, and once after `lost`.
  virtual void on_peer_down(const PeerInfo& peer, PeerDownReason reason, std::string_view text) = 0;
  /// Not dialled any more until the next `add_peer`: `retries_max` is reached, or the peer refuses this
  /// node for good (duplicate_id: another living process has our id). Its queue was dropped.
  virtual void on_peer_lost(const NodeId& peer, const Error& why) = 0;
  /// These messages were queued and will never be sent: the peer was removed or lost, or was not known
  /// and its connection ended. They did not run.
  virtual void on_dropped(const NodeId& peer, std::span<const Ticket> tickets) {
    static_cast<void>(peer);
    static_cast<void>(tickets);
  }
};

/// Whether to be connected to a known peer.
enum class Keep : std::uint8_t {
  standing,   ///< always: dialled until it answers
  on_demand,  ///< while there is traffic: dialled when something is sent, closed after `idle_timeout`
};

struct SendOptions {
  Lane lane = Lane::normal;  ///< the same for all messages of one sender-receiver pair, to keep their order
  std::uint64_t pair = 0;    ///< names that pair: messages of the same pair and lane arrive in order, and a
                             ///< large message delays those of its own pair alone
  bool flush_now = true;     ///< false: `flush` (or the next `poll`) sends it, with others in one frame
  Duration wait_max = Duration::max();  ///< for a connection, in the queue; then it is dropped without a
                                        ///< word. 0: `unreachable` while there is none
  std::size_t ttl_at = 0;    ///< of a call: where its ttl is in the message, to be lowered if it has to wait
  Instant expires = kNever;  ///< for a link; of a call: when its caller gives up
  bool wake = false;         ///< with flush_now = false: wakes a thread that waits in `poll`, to flush
};

struct PeerStatus {
  NodeId id;
  Endpoint endpoint;  ///< as added, else as it said in its HELLO
  Role role = Role::node;
  bool known = false;  ///< added, so dialled
  Keep keep = Keep::standing;
  bool connected = false;
  Boot boot;                                 ///< of the connection, else zero
  std::string ring;                          ///< of the connection, else empty
  std::uint64_t session = 0;                 ///< of the connection, else zero
  Protection protection = Protection::sign;  ///< of the connection
  proto::KeyId key = 0;                      ///< of the connection
  std::size_t queued_messages = 0;
  std::size_t queued_bytes = 0;
  std::uint64_t messages_in = 0, messages_out = 0;  ///< of all its connections
  std::uint64_t bytes_in = 0, bytes_out = 0;        ///< the same, on the wire
  std::uint32_t dials_failed = 0;                   ///< since the last success
  std::string last_error;
};

struct Counters {
  std::uint64_t frames_in = 0, frames_out = 0;
  std::uint64_t messages_in = 0, messages_out = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;              ///< on the wire, proven connections
  std::uint64_t connections_in = 0, connections_out = 0;  ///< proven
  std::uint64_t handshakes_failed = 0;                    ///< of any reason, either side
  std::uint64_t proofs_failed = 0;                        ///< wrong cookies met
  std::uint64_t certificates_refused = 0;                 ///< of peers: none, not good, or another node's
  std::uint64_t evicted = 0;                              ///< half-open connections closed for newer ones
  std::uint64_t throttled = 0;         ///< connections slowed, or closed, for failed proofs of their address
  std::uint64_t bad_frames = 0;        ///< wrong tag or header; each closed a connection
  std::uint64_t frames_timed_out = 0;  ///< frames or messages begun and never finished; each closed a
                                       ///< connection
  std::uint64_t overloaded = 0;        ///< sends refused by a full queue, or by those of all peers
  std::uint64_t cancelled = 0;         ///< queued messages taken back
  std::uint64_t dropped = 0;           ///< queued messages that will never be sent
  std::uint64_t closed_idle = 0;       ///< connections closed for want of traffic
  std::uint64_t uncertain = 0;         ///< messages on a connection that broke, not known to have arrived
  std::uint64_t accept_failures = 0;   ///< out of descriptors or memory
};

class Kernel;  // what is behind NetKernel
class Peer;    // one peer's queue and connection; opaque
/// Spares the search by name on each send. Holds no connection open. Must not outlive its kernel. After
/// `remove_peer` (and for a peer that was never added, after its connection ended) it only answers
/// `unreachable`; ask for a new one then.
using PeerRef = std::shared_ptr<Peer>;

/// All connections of a node: listens, dials, proves, frames, queues, reconnects. Owns no thread: whoever
/// calls `poll` drives it. (Names, but not addresses, are resolved on one background thread of Asio's,
/// because getaddrinfo blocks; it starts with the first name dialled.)
///
/// Thread-safe, unless a function says otherwise. Source: DESIGN section 5, docs/wire_format.md.
class NetKernel {
 public:
  /// Binds and listens. `events` must outlive the kernel. `io` if an address cannot be bound,
  /// `invalid_argument` for a configuration that cannot work.
  [[nodiscard]] static Result<std::unique_ptr<NetKernel>> start(NetConfig config, NetEvents& events);
  /// Closes all connections without a goodbye. No other thread may be inside any function.
  ~NetKernel();
  NetKernel(const NetKernel&) = delete;
  NetKernel& operator=(const NetKernel&) = delete;

  /// Handles what is ready, and waits for it up to `max_wait`; returns how many things it did. One thread
  /// at a time: a second caller returns 0 at once. Bounded work per call.
  std::size_t poll(Duration max_wait);
  /// Makes a blocked `poll` return, or the next one if none is.
  void wake() noexcept;
  /// Sends what was appended with flush_now = false. A few nanoseconds if there is nothing.
  void flush() noexcept;
  /// Whether there is something to flush.
  [[nodiscard]] bool has_unflushed() const noexcept;

  /// Appends a message to the peer's queue and, if connected, writes as much as the socket takes.
  /// Messages of one sender and lane arrive in order, or not at all from some point on (a broken
  /// connection); none arrives twice. `unreachable`: not a peer, or not connected and not to be queued.
  /// `overloaded`: the queue is full. `too_large`: over message_bytes_max. In all these cases it did not
  /// and will not arrive.
  [[nodiscard]] Result<Ticket> send(const NodeId& to, ByteView message, SendOptions options = {});
  [[nodiscard]] Result<Ticket> send(const PeerRef& to, ByteView message, SendOptions options = {});
  /// The same without a copy where the message is large.
  [[nodiscard]] Result<Ticket> send(const NodeId& to, Bytes&& message, SendOptions options = {});
  [[nodiscard]] Result<Ticket> send(const PeerRef& to, Bytes&& message, SendOptions options = {});
  /// To one connection, such as a client's: `peer_lost` once it has ended (it did not arrive).
  [[nodiscard]] Result<Ticket> send(std::uint64_t session, ByteView message, SendOptions options = {});
  /// The same for the peer of that connection.
  [[nodiscard]] Result<Ticket> send(const PeerRef& to, std::uint64_t session, Bytes&& message,
                                    SendOptions options = {});

  /// The peer of this id, or null: added before, or connected to us.
  [[nodiscard]] PeerRef peer(const NodeId& id) const;
  /// The peer whose connection this is, or null.
  [[nodiscard]] PeerRef peer(std::uint64_t session) const;
  /// True: the message was still queued, is gone, and never runs. False: it was handed to the socket, or
  /// the ticket is 0 or unknown.
  bool cancel(const NodeId& to, Ticket ticket);
  [[nodiscard]] bool is_queued(const NodeId& to, Ticket ticket) const;

  /// A known node: dialled, and kept connected if it is `standing`. Idempotent; with another endpoint than
  /// before the connection is made anew there, and the queue moves over. Sends may follow at once.
  void add_peer(const NodeId& id, const Endpoint& endpoint, Keep keep = Keep::standing);
  /// Ends the connection and the dialling; sends answer `unreachable` at once. `force`: now, the queue is
  /// dropped. Otherwise what is queued is sent first, for up to drain_timeout.
  void remove_peer(const NodeId& id, bool force);

  /// Connects to an address whose node is not known yet. The callback comes once, on the polling thread,
  /// after on_peer_up; with the existing connection if there is one to that node. The new peer is not
  /// known (`add_peer`): it is forgotten when its connection ends.
  /// Errors: unreachable, timeout, wrong_cookie, incompatible, duplicate_id, not_found (`expected` differs).
  void dial(const Endpoint& endpoint, Duration timeout, std::function<void(Result<PeerInfo>)> done);
  void dial(const Endpoint& endpoint, const NodeId& expected, Duration timeout,
            std::function<void(Result<PeerInfo>)> done);
  /// The round trip of a small signed frame, ahead of all queued messages. The callback comes once, on the
  /// polling thread. `unreachable` if not connected (a peer on demand is dialled), `timeout`, `peer_lost`.
  void ping(const NodeId& id, Duration timeout, std::function<void(Result<Duration>)> done);

  /// For drills: for `time` the network between this node and the nodes `peers` is as if it dropped every
  /// packet. Nothing is told: connections stay, dials are not answered. Nothing of what is sent meanwhile
  /// arrives, but what waits in the queue, which goes out afterwards. Connections end as `lost` after
  /// `limits.outage_timeout` or with the cut, whichever comes first; then links come up as after any outage.
  /// Meant to be asked for at both ends: a peer that was connected and dials anew has healed, and is then
  /// healed here as well; one that has begun a new life stays cut off. Clients are not. Replaces an earlier
  /// cut.
  void cut(std::vector<NodeId> peers, Duration time);
  /// Ends a cut before its time; nothing if there is none.
  void heal();

  /// Ends the wait of those who connected to a kernel that was started with `accepts` = false. Idempotent.
  void accept_connections();
  /// The ring that later HELLOs name.
  void set_ring(std::string ring);
  /// What later handshakes prove and accept. Connections to nodes that were made under a key that is not in
  /// it are continued under another one, without losing a message, or closed after `renewal_timeout`; those
  /// of clients are closed after `renewal_client`.
  void set_keyring(Keyring keyring);
  [[nodiscard]] Keyring keyring() const;

  /// One entry per peer, clients included; ordered by id.
  [[nodiscard]] std::vector<PeerStatus> peers() const;
  [[nodiscard]] Counters counters() const;
  /// The advertised host with the bound port.
  [[nodiscard]] Endpoint listening() const;

  /// Sends what is queued, says goodbye and closes all, polling for up to `max_wait` itself: no other
  /// thread may be in `poll`. Sends then answer `unreachable`. Idempotent.
  void stop(Duration max_wait = 1s);

 private:
  explicit NetKernel(std::unique_ptr<Kernel> kernel);
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace cluster::net
