#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/net/net_kernel.hpp"
#include "cluster/proto/link_rules.hpp"
#include "connection.hpp"
#include "outbox.hpp"

namespace cluster::net {

class Dialer;

/// What a peer needs from its kernel. Any thread.
class PeerHost {
 public:
  virtual ~PeerHost() = default;
  /// The peer has messages that no thread flushes; `flush` comes to it.
  virtual void on_unflushed(const PeerRef&) = 0;
  virtual void wake_poller() = 0;
  /// Resume `write_on` when the connection takes bytes again.
  virtual void on_blocked(const ConnectionRef&) = 0;
  virtual void on_write_failed(const ConnectionRef&, int fault) = 0;
  /// All that was queued for a peer that is being drained was written.
  virtual void on_drained(const PeerRef&) = 0;
  /// A peer on demand has something to send, and no connection.
  virtual void on_wanted(const PeerRef&) = 0;
};

/// One peer: what waits for it, and the connection that it goes out on. All functions are for any thread;
/// one lock guards it, which is never held over a system call.
class Peer : public std::enable_shared_from_this<Peer> {
 public:
  Peer(Shared& shared, PeerHost& host, NodeId id, Role role)
      : id(std::move(id)),
        role(role),
        backoff(shared.limits.backoff_min, shared.limits.backoff_max),
        shared_(shared),
        host_(host),
        outbox_(shared.pool, shared.queues, shared.limits) {}

  const NodeId id;
  const Role role;
  /// What went over all its connections; added to by any thread.
  struct Traffic {
    AtomicCounters::Count messages_in{}, messages_out{}, bytes_in{}, bytes_out{};
  };
  Traffic traffic{};

  template <class Message>
  [[nodiscard]] Result<Ticket> send(Message&& message, const SendOptions& options);
  /// Only while `session` is the connection in use.
  template <class Message>
  [[nodiscard]] Result<Ticket> send(std::uint64_t session, Message&& message, const SendOptions& options);
  bool cancel(Ticket ticket);
  [[nodiscard]] bool is_queued(Ticket ticket) const;
  /// Writes what waits, unless another thread is at it.
  void flush();

  /// Makes `link` the connection in use.
  void attach(const ConnectionRef& link);
  /// The same while another one is, of the same session: what that one was given still goes out on it.
  void hand_over(const ConnectionRef& link);
  /// Whether everything that `link` was given has gone to the socket.
  [[nodiscard]] bool has_written(const ConnectionRef& link) const;
  /// If `link` is the one in use: no more. Returns whether it was. Counts what became uncertain.
  bool detach(const ConnectionRef& link);
  /// A frame of another kind ahead of the messages, on `link` even if it is no longer in use. False if the
  /// peer does not read those that it has.
  bool send_own(const ConnectionRef& link, wire::FrameKind kind, ByteView body);
  /// Goes on after `on_blocked`.
  void write_on(const ConnectionRef& link);
  /// No more sends. `on_drained` comes when the queue is empty, at once if it is.
  void drain();
  /// No more sends, ever. Returns what was queued.
  [[nodiscard]] std::vector<Ticket> end();
  /// The same for a peer that nobody has added; nothing, and no effect, for a known one.
  [[nodiscard]] std::optional<std::vector<Ticket>> end_if_unknown();

  [[nodiscard]] ConnectionRef link() const;
  [[nodiscard]] bool known() const;
  [[nodiscard]] Endpoint endpoint() const;
  /// From now on known, and dialled there.
  /// False, and no effect, if the peer has ended.
  [[nodiscard]] bool set_endpoint(const Endpoint& endpoint, Keep keep);
  [[nodiscard]] bool on_demand() const;
  /// Whether it is to be dialled: always, or because something waits.
  [[nodiscard]] bool wants_link();

  // An idle link, see wire::IdleWord.
  /// Frames written on `link`; nothing if it is in use no more, or in use just now.
  [[nodiscard]] std::optional<std::uint64_t> frames_written(const ConnectionRef& link) const;
  /// Asks to close `link`, and holds messages back until the answer; if after `frames_written` there was no
  /// other.
  void ask_idle(const ConnectionRef& link, std::uint64_t frames_written);
  /// Says goodbye on `link`, which is not in use any more. False if it is needed.
  [[nodiscard]] bool agree_idle(const ConnectionRef& link);
  /// The answer is no: messages go on.
  void resume(const ConnectionRef& link);
  /// Whether the answer has not come yet.
  [[nodiscard]] bool asked_idle(const ConnectionRef& link) const;
  /// Not known any more.
  void forget();
  void note_failure(std::uint32_t dials_failed, const std::string& text);
  [[nodiscard]] PeerStatus status() const;

  // Of the polling thread.
  proto::Backoff backoff;
  std::shared_ptr<Dialer> dialer;  ///< an address is being looked up or connected to
  ConnectionRef dialled;           ///< a connection of ours is in handshake
  Timers::Id redial;
  Timers::Id drain_limit;
  bool says_taken = false;  ///< it refused this node: another living process has its id
  bool relink = false;      ///< dial once although nothing waits: its connection was lost
  bool plain = false;       ///< dial once without TLS, which is not spoken there

 private:
  void attach_locked(const ConnectionRef& link);
  [[nodiscard]] std::vector<Ticket> end_locked();
  using Lock = std::unique_lock<std::mutex>;
  [[nodiscard]] std::optional<Error> refusal(const SendOptions& options) const;
  [[nodiscard]] bool has_session(std::uint64_t session) const;
  [[nodiscard]] Result<Ticket> send_pushed(Result<Ticket> ticket, const SendOptions& options, Lock& lock);
  void flush(Lock& lock);
  [[nodiscard]] bool is_up() const noexcept { return link_ != nullptr && !asked_idle_; }
  void note_waiting(Ticket ticket, const SendOptions& options);
  void drop_expired(Instant now);
  void end_waiting();
  bool send_own(const ConnectionRef& link, wire::FrameKind kind, ByteView body, Lock& lock);
  void run_writer(const ConnectionRef& link, Lock& lock);

  Shared& shared_;
  PeerHost& host_;
  mutable std::mutex mutex_;
  Outbox outbox_;
  ConnectionRef link_;
  PeerInfo info_;  // of link_
  /// A call that came while the link was down.
  struct WaitingCall {
    Ticket ticket;
    std::size_t ttl_at;
    Instant expires;
  };
  std::vector<WaitingCall> waiting_calls_;
  std::multimap<Instant, Ticket> expiring_;  // messages that wait for a connection until then
  bool unflushed_ = false;                   // on_unflushed was called and flush has not come yet
  bool wanted_ = false;                      // on_wanted was called and wants_link has not come yet
  bool asked_idle_ = false;                  // of link_: messages wait for the answer
  bool draining_ = false;
  bool ended_ = false;
  bool known_ = false;
  Keep keep_ = Keep::standing;
  Endpoint endpoint_;
  std::uint32_t dials_failed_ = 0;
  std::string last_error_;
};

template <class Message>
Result<Ticket> Peer::send(Message&& message, const SendOptions& options) {
  Lock lock(mutex_);
  if (auto error = refusal(options)) return std::move(*error);
  return send_pushed(outbox_.push(options.lane, options.pair, std::forward<Message>(message)), options, lock);
}

template <class Message>
Result<Ticket> Peer::send(std::uint64_t session, Message&& message, const SendOptions& options) {
  Lock lock(mutex_);
  if (!has_session(session)) return Error(Errc::peer_lost, "the connection has ended", Executed::no);
  return send_pushed(outbox_.push(options.lane, options.pair, std::forward<Message>(message)), options, lock);
}

}  // namespace cluster::net
