#pragma once
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
        outbox_(shared.pool, shared.limits) {}

  const NodeId id;
  const Role role;

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
  /// A ping, pong or goodbye ahead of the messages, on `link` even if it is no longer in use.
  void send_own(const ConnectionRef& link, wire::FrameKind kind, ByteView body);
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
  [[nodiscard]] bool set_endpoint(const Endpoint& endpoint);
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

 private:
  void attach_locked(const ConnectionRef& link);
  [[nodiscard]] std::vector<Ticket> end_locked();
  using Lock = std::unique_lock<std::mutex>;
  [[nodiscard]] std::optional<Error> refusal(const SendOptions& options) const;
  [[nodiscard]] bool has_session(std::uint64_t session) const;
  [[nodiscard]] Result<Ticket> send_pushed(Result<Ticket> ticket, const SendOptions& options, Lock& lock);
  void flush(Lock& lock);
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
  bool unflushed_ = false;  // on_unflushed was called and flush has not come yet
  bool draining_ = false;
  bool ended_ = false;
  bool known_ = false;
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
