#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/base/rng.hpp"
#include "cluster/proto/keyed_limit.hpp"
#include "connection.hpp"
#include "dialer.hpp"
#include "listener.hpp"
#include "peer.hpp"

namespace cluster::net {

/// The longest that a connection waits for its turn: who dials has 5 s for all of the handshake.
constexpr Duration kTurnWaitMax = 3s;

/// A `dial` to an address whose node is not known yet.
struct DialRequest {
  Endpoint endpoint;
  std::optional<NodeId> expected;
  bool plain = false;                          // without TLS, which is not spoken there
  std::function<void(Result<PeerInfo>)> done;  // empty once it was called
  std::shared_ptr<Dialer> dialer;
  ConnectionRef connection;
  Timers::Id limit;
  NodeId waits_for;  // the other connection of a simultaneous dial is to come up
};
using DialRequestRef = std::shared_ptr<DialRequest>;

/// What is behind NetKernel: which connection is whose, and what follows from what happens to it. Unless
/// said otherwise, functions run on the polling thread.
///
///   kernel.cpp        start, poll, send, stop                 (any thread)
///   kernel_arrivals.cpp  from a connection's arrival to its proof
///   kernel_links.cpp  from a connection's proof to its end
///   kernel_dials.cpp  dialling peers and addresses, adding and removing peers
///   kernel_renewal.cpp  new keys for connections: each is continued on another one
///   kernel_idle.cpp   closing connections that nobody uses
///   kernel_cuts.cpp   links that carry nothing for a while, for drills
class Kernel final : private ConnectionEvents, private PeerHost {
 public:
  Kernel(NetConfig config, NetEvents& events);
  ~Kernel() override;

  // Any thread; see NetKernel.
  [[nodiscard]] Result<void> open();
  std::size_t poll(Duration max_wait);
  void wake();
  void flush();
  [[nodiscard]] bool has_unflushed() const noexcept { return any_unflushed_.load(std::memory_order_relaxed); }
  [[nodiscard]] PeerRef peer(const NodeId& id) const;
  [[nodiscard]] PeerRef peer_of_session(std::uint64_t session) const;
  void add_peer(const NodeId& id, const Endpoint& endpoint, Keep keep);
  void remove_peer(const NodeId& id, bool force);
  void dial(const Endpoint& endpoint, std::optional<NodeId> expected, Duration timeout,
            std::function<void(Result<PeerInfo>)> done);
  void ping(const NodeId& id, Duration timeout, std::function<void(Result<Duration>)> done);
  void cut(std::vector<NodeId> peers, Duration time);
  void heal();
  void accept_connections();
  void set_ring(std::string ring);
  void set_keyring(Keyring keyring);
  [[nodiscard]] Keyring keyring() const;
  [[nodiscard]] std::vector<PeerStatus> peers() const;
  [[nodiscard]] Counters counters() const { return shared_.counters.snapshot(); }
  [[nodiscard]] Endpoint listening() const { return config_.advertised; }
  void stop(Duration max_wait);

 private:
  // ConnectionEvents
  void on_greeted(const ConnectionRef&) override;
  void on_proven(const ConnectionRef&) override;
  void on_established(const ConnectionRef&, const proto::Established&) override;
  void on_handshake_failed(const ConnectionRef&, const proto::HandshakeFailed&) override;
  void on_message(const ConnectionRef&, Lane, ByteView message) override;
  void on_large_message(const ConnectionRef&, Lane, Buffer&& message) override;
  void on_ping(const ConnectionRef&, ByteView body) override;
  void on_pong(const ConnectionRef&, ByteView token) override;
  void on_goodbye(const ConnectionRef&, wire::GoodbyeReason, std::string_view text) override;
  void on_idle(const ConnectionRef&, wire::IdleWord) override;
  void on_broken(const ConnectionRef&, PeerDownReason, const std::string& text) override;
  [[nodiscard]] Appetite appetite() const noexcept override { return events_.appetite(); }
  void on_writable(const ConnectionRef&) override;
  // PeerHost: any thread
  void on_unflushed(const PeerRef&) override;
  void wake_poller() override { wake(); }
  void on_blocked(const ConnectionRef&) override;
  void on_write_failed(const ConnectionRef&, int fault) override;
  void on_drained(const PeerRef&) override;
  void on_wanted(const PeerRef&) override;

  [[nodiscard]] std::size_t run_ready();

  // Connections
  void accept(Socket socket);
  void slow(Socket socket, Instant due);
  void drop_slowed();
  void listen_to(Socket socket);
  [[nodiscard]] bool make_room();
  bool evict_oldest_half_open();
  [[nodiscard]] bool is_exempt(const boost::asio::ip::address& address) const;
  void count_guess(const Connection& connection);
  struct Purpose {
    bool dialler = false;
    std::optional<NodeId> expected{};
    bool continues = false;
    bool plain = false;  ///< of a dialler: without TLS
  };
  [[nodiscard]] ConnectionRef make_connection(Socket socket, Purpose purpose);
  [[nodiscard]] proto::Identity identity() const;
  void drop(const ConnectionRef& connection);

  // Links
  void judge(const ConnectionRef& newcomer);
  void ask_holder(const ConnectionRef& newcomer, const ConnectionRef& holder);
  void ask_whether_continued(const ConnectionRef& newcomer, const ConnectionRef& link);
  [[nodiscard]] bool has_own_dial(const NodeId& id, const ConnectionRef& other_than) const;
  void replace_link(const PeerRef& peer);
  void end_other_dials(const PeerRef& peer, const ConnectionRef& winner);
  void link_down(const ConnectionRef& link, PeerDownReason reason, const std::string& text);
  void link_again(const PeerRef& peer, PeerDownReason reason, bool at_once);
  void leave(const ConnectionRef& link, wire::GoodbyeReason said, PeerDownReason reason);
  /// `is_continued`: only who dials a connection that is to continue this one answers.
  enum class Question : std::uint8_t { is_there, is_continued };
  void ping_link(const ConnectionRef& link, Duration timeout, Question question,
                 std::function<void(Result<Duration>)> done);
  void end_pings(const ConnectionRef& link);

  // Renewal
  void renew_links();
  [[nodiscard]] bool renew_link(const PeerRef& peer, const Keyring& keyring);
  void dial_to_renew(const PeerRef& peer, const ConnectionRef& link);
  [[nodiscard]] static bool continues(const ConnectionRef& connection, const ConnectionRef& link);
  [[nodiscard]] static bool is_being_continued(const ConnectionRef& link);
  void hand_over(const PeerRef& peer, const ConnectionRef& old, const ConnectionRef& successor);
  [[nodiscard]] bool end_predecessor(const ConnectionRef& connection, bool said_goodbye);
  void finish_predecessor(const ConnectionRef& connection);

  // Peers
  [[nodiscard]] PeerRef make_peer(const NodeId& id, Role role);
  [[nodiscard]] PeerRef find_or_add(const NodeId& id);
  void erase(const PeerRef& peer);
  void end_peer(const PeerRef& peer);
  void bury(const PeerRef& peer, const std::vector<Ticket>& dropped);
  void drain_peer(const PeerRef& peer, bool force);
  void redial(const PeerRef& peer, Duration wait);
  void dial_peer(const PeerRef& peer);
  void stop_dialling(const PeerRef& peer);
  void on_dial_failed(const PeerRef& peer, const proto::HandshakeFailed& failed);
  void dial_found(const NodeId& id, const Endpoint& endpoint);
  void on_endpoint(const PeerRef& peer, bool changed);

  // Connections on demand
  void watch_idle();
  void look_for_idle();
  void on_idle_asked(const ConnectionRef& link);

  // Cuts
  void begin_cut(const std::vector<NodeId>& peers, Instant end);
  void end_cut();
  void mute_if_cut(const ConnectionRef& connection);
  void start_held_requests();
  void break_muted(const NodeId* peer);
  void break_link(const ConnectionRef& link, const std::string& text);
  [[nodiscard]] bool is_cut(const NodeId& id) const { return !cut_.empty() && cut_.contains(id); }
  [[nodiscard]] bool is_unheard(const ConnectionRef& connection);
  void dial_in_vain(const PeerRef& peer);

  // Requests
  void start_request(const DialRequestRef& request);
  void on_request_failed(const DialRequestRef& request, const ConnectionRef& connection,
                         const proto::HandshakeFailed& failed);
  void finish_request(const DialRequestRef& request, Result<PeerInfo> result);
  void finish_waiting(const NodeId& id, const PeerInfo& info);
  [[nodiscard]] Error of_taken_id(const proto::HandshakeFailed& failed) const;
  [[nodiscard]] std::size_t count_says_taken() const;
  [[nodiscard]] std::size_t count_links() const;
  [[nodiscard]] bool dial_without_tls(const ConnectionRef& connection);

  struct Ping {
    ConnectionRef link;
    std::function<void(Result<Duration>)> done;
    Timers::Id limit;
    Instant sent;
  };

  NetConfig config_;
  NetEvents& events_;
  Shared shared_;
  std::optional<Listener> listener_;
  std::atomic<bool> polling_{false};
  std::atomic<bool> wake_posted_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> drained_{false};  // stopping: the listener is closed, each peer told

  mutable std::shared_mutex peers_mutex_;  // of the two maps
  std::unordered_map<NodeId, PeerRef> peers_;
  std::unordered_map<std::uint64_t, PeerRef> sessions_;
  mutable std::mutex config_mutex_;  // of config_.ring and config_.keyring

  std::mutex unflushed_mutex_;
  std::vector<PeerRef> unflushed_;
  std::atomic<bool> any_unflushed_{false};

  // Of the polling thread.
  unsigned polls_ = 0;                                  // that looked at no more than the busy connection
  std::map<std::uint64_t, ConnectionRef> connections_;  // all that are open, by age
  std::map<std::uint64_t, ConnectionRef> half_open_;    // of those, inbound and not proven
  std::set<DialRequestRef> requests_;
  std::map<std::uint64_t, Ping> pings_;  // by token
  std::map<NodeId, Boot> cut_;           // peers that are cut off, and which of their lives had a connection
  std::vector<ConnectionRef> unheard_;   // their connections in handshake
  Timers::Id cut_end_;
  Timers::Id outage_;  // when connections give a cut up
  Timers::Id renewal_;
  Timers::Id idle_watch_;  // once there was a peer on demand
  // By address. More guesses than there are tokens come from connections that were begun at the same time:
  // they are owed, so the address is slowed for longer. While it is, its connections take turns.
  proto::KeyedLimit guesses_{{.tokens_max = 10, .tokens_per_second = 1, .tokens_min = -600}};
  proto::KeyedLimit turns_{{.tokens_max = 1, .tokens_per_second = 20, .tokens_min = -60}};
  std::map<std::uint64_t, Timers::Id> slowed_;  // connections that wait for their turn, by age
  struct {
    log::Limit wrong_cookie, incompatible, certificate, no_handshake, evicted, throttled, duplicate, clock,
        broken;
  } lines_;  // that strangers and peers can cause
  Rng rng_;
  std::uint64_t event_serial_ = 0;  // numbers beginnings of connections and of their use
  std::uint64_t session_serial_ = 0;
  std::uint64_t ping_serial_ = 0;
};

}  // namespace cluster::net
