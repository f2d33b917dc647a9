#pragma once
#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cluster/net/net_kernel.hpp"
#include "cluster/proto/handshake.hpp"
#include "cluster/wire/frame_protection.hpp"
#include "counters.hpp"
#include "fragment_room.hpp"
#include "frame_reader.hpp"
#include "frame_writer.hpp"
#include "queue_room.hpp"
#include "sockets.hpp"
#include "timers.hpp"
#include "tls_stream.hpp"

namespace cluster::net {

using Socket = boost::asio::ip::tcp::socket;
class Connection;
using ConnectionRef = std::shared_ptr<Connection>;
struct DialRequest;

/// What all connections of a kernel share.
struct Shared {
  Shared(const NetLimits& l, std::shared_ptr<const crypto::TlsContext> t)
      : limits(l),
        tls(std::move(t)),
        timers(io),
        room(l.fragments_bytes_max),
        queues(std::max(l.queues_bytes_max, l.queue_bytes_max + l.message_bytes_max)),
        read_buffer(FrameReader::kScratchBytes) {}

  boost::asio::io_context io;
  // Without it a poll with nothing outstanding would stop the context for good.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  NetLimits limits;
  std::shared_ptr<const crypto::TlsContext> tls;  // null: no connection has TLS
  Timers timers;
  AtomicCounters counters;
  BufferPool pool;
  FragmentRoom room;
  QueueRoom queues;
  Timers::Id room_watch;    // while anybody waits for room
  Bytes read_buffer;        // of the polling thread; a connection keeps only the frame that is incomplete
  ConnectionRef busy;       // of the polling thread: the last that brought frames, while it is open
  std::uint64_t reads = 0;  // of the polling thread: that brought something
};

/// What a connection reports, on the polling thread. A handler may close any connection.
class ConnectionEvents {
 public:
  virtual ~ConnectionEvents() = default;
  /// The peer's HELLO, and (of a listener) its proof, are there: `proceed` or `refuse`, now or later.
  virtual void on_greeted(const ConnectionRef&) = 0;
  virtual void on_proven(const ConnectionRef&) = 0;
  /// The keys are there; `writer` is set. Reading goes on when this returns.
  virtual void on_established(const ConnectionRef&, const proto::Established&) = 0;
  virtual void on_handshake_failed(const ConnectionRef&, const proto::HandshakeFailed&) = 0;
  virtual void on_message(const ConnectionRef&, Lane, ByteView message) = 0;
  virtual void on_large_message(const ConnectionRef&, Lane, Buffer&& message) = 0;
  virtual void on_ping(const ConnectionRef&, ByteView token) = 0;
  virtual void on_pong(const ConnectionRef&, ByteView token) = 0;
  virtual void on_goodbye(const ConnectionRef&, wire::GoodbyeReason, std::string_view text) = 0;
  virtual void on_idle(const ConnectionRef&, wire::IdleWord) = 0;
  /// It ended without a goodbye, after `on_established`.
  virtual void on_broken(const ConnectionRef&, PeerDownReason, const std::string& text) = 0;
  [[nodiscard]] virtual Appetite appetite() const noexcept = 0;
  /// The socket takes bytes again (asked for with `await_writable`).
  virtual void on_writable(const ConnectionRef&) = 0;
};

/// One TCP connection: TLS if there is any, handshake, then frames in. Lives on the polling thread, but for
/// `socket()` and `writer`, which the holder of the writer's token uses. The descriptor is closed with the
/// last reference, so a thread that is writing never writes to a successor of the same number.
class Connection final : public std::enable_shared_from_this<Connection>,
                         private FrameSink,
                         private RoomHolder {
 public:
  /// `plain`: dials without TLS although there is a certificate.
  Connection(Shared& shared, ConnectionEvents& events, Socket socket, std::uint64_t begun,
             proto::HandshakeConfig config, bool plain);

  /// Begins the handshake.
  void start();
  /// The answer to `on_greeted` or `on_proven`.
  void proceed();
  void refuse(const Error& why);
  /// Ends it now, without an event; what was written still goes out. Idempotent.
  void close();
  /// Reads and delivers what has arrived.
  void read_ready();
  /// To be called in `on_established`: nothing is read or delivered until `release`.
  void hold() noexcept { held_ = true; }
  void release();
  /// One `on_writable` when the socket takes bytes.
  void await_writable();
  /// Of an established connection, until its end: what came is not read any more, and what is written goes
  /// nowhere, as if the network dropped every packet. False without effect if there is no descriptor left.
  [[nodiscard]] bool mute();
  [[nodiscard]] bool muted() const noexcept { return sink_ != nullptr; }

  [[nodiscard]] bool closed() const noexcept { return closed_; }
  [[nodiscard]] bool dialler() const noexcept { return dialler_; }
  [[nodiscard]] const proto::Hello& hello() const noexcept { return handshake_->peer(); }
  /// Where frames are written to.
  [[nodiscard]] int socket() const noexcept { return written_to_.load(std::memory_order_acquire); }
  [[nodiscard]] Pipe pipe() const noexcept { return {socket(), tls_.get()}; }
  [[nodiscard]] bool has_tls() const noexcept { return tls_ != nullptr; }
  /// Of a dialler: the listener has no certificate, so it does not speak TLS.
  [[nodiscard]] bool found_no_tls() const noexcept { return found_no_tls_; }
  [[nodiscard]] std::uint64_t frames_read() const noexcept { return frames_counted_; }
  /// It is left to the peer to close it; nothing but that is expected any more.
  void expect_end() noexcept { ending_ = true; }

  const std::uint64_t begun;          ///< numbers connections in the order in which they began
  const std::string remote_address;   ///< for logs and limits
  const bool continues;               ///< the dialler's wish, if that is this side
  std::optional<FrameWriter> writer;  ///< from on_established on
  PeerInfo info;                      ///< from on_established on
  bool is_confirmed = false;          ///< who holds the connection that it continues has said so there
  std::uint64_t up_since = 0;         ///< on the counter of `begun`

  // Set and read by the kernel.
  PeerRef peer;                           ///< whose link it is, or for whom it was dialled
  std::shared_ptr<DialRequest> request;   ///< on whose behalf it was dialled
  ConnectionRef predecessor;              ///< whose session this continues, until it has ended
  ConnectionRef successor;                ///< which continues this one's session
  bool goodbye_came = false;              ///< of a predecessor: the peer has given it nothing more
  Instant key_removed = kNever;           ///< since when its key is not in the keyring
  Duration renewal_wait{};                ///< from then until the next attempt to continue it elsewhere
  std::optional<PeerDownReason> leaving;  ///< goodbye said, and why; it only reads until the peer closes
  bool reported_down = false;             ///< nobody is interested in its end any more
  bool can_idle = false;                  ///< the peer understands frames of kind `idle`
  std::uint64_t frames_seen = 0;          ///< either way, when it was last looked at
  Instant quiet_since{};                  ///< no frame since then

 private:
  void await_readable();
  void on_readable();
  void read_handshake();
  void feed_handshake();
  [[nodiscard]] bool got_bytes(ssize_t got, int fault);
  [[nodiscard]] bool begins_tls() const noexcept;
  void on_tls_dialled();
  void read_tls();
  void on_tls_bytes(ByteView bytes);
  void on_no_tls(ByteView answer);
  [[nodiscard]] proto::HandshakeFailed tls_failure() const;
  void apply(proto::HandshakeActions actions);
  void read_frames();
  void after_read(FrameReader::Got got);
  // FrameSink
  void on_frame(const wire::FrameHeader& header, ByteView body) override;
  void on_large(Lane lane, Buffer&& message) override;
  [[nodiscard]] bool listening() const noexcept override { return !closed_; }
  void on_messages(const wire::FrameHeader& header, ByteView body);
  // RoomHolder
  void on_room() override;
  void on_stalled() override;
  [[nodiscard]] std::uint64_t fragment_bytes() const override { return reader_->fragment_bytes(); }
  void settle_room();
  static void watch_room(Shared& shared);
  void watch_fragments();
  void watch_frame_end(bool frame_ended);
  void watch_frame(Instant due);
  void broken(PeerDownReason reason, const std::string& text);
  void write_record(ByteView bytes);
  void fail_handshake(const proto::HandshakeFailed& failed);

  Shared& shared_;
  ConnectionEvents& events_;
  Socket socket_;
  int descriptor_;
  std::unique_ptr<Sink> sink_;
  std::atomic<int> written_to_;  // descriptor_, or that of the sink
  const bool dialler_;
  std::unique_ptr<TlsStream> tls_;  // from the first bytes on, or never
  std::unique_ptr<proto::Handshake> handshake_;
  std::optional<FrameReader> reader_;
  std::uint64_t bytes_counted_ = 0;  // of the reader, in the counters
  std::uint64_t frames_counted_ = 0;
  Bytes pending_;  // bytes of an incomplete handshake record
  Instant frame_begun_ = kNever;
  Timers::Id timer_;           // of the handshake, then of an incomplete frame
  Timers::Id resting_;         // until it ends, nothing is read
  Timers::Id fragment_watch_;  // while a message in fragments is under way
  std::size_t announced_ = 0;  // bytes of such messages, as claimed
  bool waits_for_room_ = false;
  bool heard_ = false;     // something has come
  bool tls_open_ = false;  // its handshake is done
  bool found_no_tls_ = false;
  bool deciding_ = false;
  bool reading_ = false;  // a wait for input is under way
  bool held_ = false;
  bool ending_ = false;
  bool closed_ = false;
};

}  // namespace cluster::net
