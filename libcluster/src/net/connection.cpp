#include "connection.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <utility>
#include <variant>

#include "cluster/base/utf8.hpp"
#include "peer.hpp"
#include "sockets.hpp"

namespace cluster::net {
namespace {

// One connection must not keep the others waiting: so much is read, then theirs, and what came is handled.
constexpr std::size_t kBytesPerTurn = 256 * 1024;
// Between reads while more comes than is handled: 256 KiB in 4 ms are 64 MB/s, and a ping waits no longer.
constexpr Duration kRest = 4ms;
// A frame timer that fires this late tells of a pause of this process, in which nobody could read.
constexpr Duration kPauseNoticed = 1s;
// Looked at so often in the time that may pass between two fragments.
constexpr unsigned kLooksPerFragment = 3;

}  // namespace

Connection::Connection(Shared& shared, ConnectionEvents& events, Socket socket, std::uint64_t begun_at,
                       proto::HandshakeConfig config, bool plain)
    : begun(begun_at),
      remote_address(remote_address_of(socket)),
      continues((config.capabilities & proto::kContinues) != 0),
      shared_(shared),
      events_(events),
      socket_(std::move(socket)),
      descriptor_(socket_.native_handle()),
      written_to_(descriptor_),
      dialler_(config.dialler) {
  configure_stream(descriptor_);
  if (dialler_ && shared_.tls && !plain)
    tls_ = std::make_unique<TlsStream>(*shared_.tls, crypto::TlsSession::Side::dials);
  handshake_ = std::make_unique<proto::Handshake>(MonotonicClock::now(), std::move(config),
                                                  proto::HandshakeSecrets::fresh());
}

void Connection::start() {
  timer_ = shared_.timers.add(handshake_->next_deadline(), [self = shared_from_this()] {
    self->timer_ = {};
    self->apply(self->handshake_->on_time(MonotonicClock::now()));
  });
  if (tls_)
    on_tls_bytes({});
  else
    apply(handshake_->start());
  await_readable();
}

void Connection::proceed() {
  if (closed_) return;
  deciding_ = false;
  apply(handshake_->proceed());
  feed_handshake();
  await_readable();
}

void Connection::refuse(const Error& why) {
  if (closed_) return;
  deciding_ = false;
  apply(handshake_->refuse(why));
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  shared_.timers.cancel(timer_);
  shared_.timers.cancel(resting_);
  shared_.timers.cancel(fragment_watch_);
  if (std::exchange(announced_, 0) != 0) shared_.room.claim(*this, 0);
  if (shared_.busy.get() == this) shared_.busy = nullptr;
  ::shutdown(descriptor_, SHUT_RDWR);  // waits under way end; the destructor closes
}

void Connection::await_readable() {
  if (closed_ || held_ || muted() || reading_ || deciding_ || waits_for_room_ || resting_ != Timers::Id{})
    return;
  reading_ = true;
  if (tls_ && tls_->has_more())
    return boost::asio::post(shared_.io, [self = shared_from_this()] {
      self->reading_ = false;
      if (!self->closed_) self->on_readable();
    });
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const boost::system::error_code& fault) {
    self->reading_ = false;
    if (!fault && !self->closed_) self->on_readable();
  });
}

void Connection::await_writable() {
  if (closed_ || muted()) return;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const boost::system::error_code& fault) {
    if (!fault && !self->closed_) self->events_.on_writable(self);
  });
}

void Connection::on_readable() {
  read_ready();
  if (events_.appetite() != Appetite::full) return await_readable();
  resting_ = shared_.timers.add(MonotonicClock::now() + kRest, [self = shared_from_this()] {
    self->resting_ = {};
    self->await_readable();
  });
}

void Connection::release() {
  if (!std::exchange(held_, false) || closed_ || muted()) return;
  const auto self = shared_from_this();
  Bytes early = std::exchange(pending_, {});
  after_read(reader_->take(early, *this));
  await_readable();
}

bool Connection::mute() {
  if (muted()) return true;
  auto sink = std::make_unique<Sink>();
  if (sink->descriptor() < 0) return false;
  sink_ = std::move(sink);
  written_to_.store(sink_->descriptor(), std::memory_order_release);
  if (shared_.busy.get() == this) shared_.busy = nullptr;
  return true;
}

void Connection::read_ready() {
  if (closed_ || held_ || muted() || waits_for_room_) return;
  if (reader_)
    read_frames();
  else
    read_handshake();
}

// ---- handshake

void Connection::read_handshake() {
  if (deciding_) return;
  if (tls_ && !tls_open_) return read_tls();
  const std::size_t have = pending_.size();
  pending_.resize(2 * proto::kRecordBytesMax);
  const iovec room{.iov_base = pending_.data() + have, .iov_len = pending_.size() - have};
  const ssize_t got = pipe().receive({&room, 1});
  const int fault = errno;
  pending_.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (!got_bytes(got, fault)) return;
  if (!std::exchange(heard_, true) && begins_tls()) return on_tls_dialled();
  feed_handshake();
}

/// Of what a read has returned: whether that is bytes. Its end, or a fault, ends the handshake.
bool Connection::got_bytes(ssize_t got, int fault) {
  if (got > 0) return true;
  if (got == 0)
    fail_handshake({Error(Errc::unreachable, "the peer closed the connection")});
  else if (fault != EAGAIN && fault != EINTR)
    fail_handshake(tls_open_ && fault == EBADMSG
                       ? tls_failure()
                       : proto::HandshakeFailed{Error(Errc::unreachable, std::strerror(fault))});
  return false;
}

void Connection::feed_handshake() {
  const auto self = shared_from_this();
  while (!closed_ && !deciding_ && !reader_) {
    ByteView bytes = pending_;
    auto actions = handshake_->on_bytes(bytes);
    pending_.erase(pending_.begin(), pending_.end() - static_cast<std::ptrdiff_t>(bytes.size()));
    if (actions.empty()) return;
    apply(std::move(actions));
  }
}

void Connection::apply(proto::HandshakeActions actions) {
  const auto self = shared_from_this();
  for (auto& action : actions) {
    if (closed_) return;
    if (const auto* record = std::get_if<proto::SendRecord>(&action)) {
      write_record(record->bytes);
    } else if (std::holds_alternative<proto::Greeted>(action)) {
      deciding_ = true;
      events_.on_greeted(self);
    } else if (std::holds_alternative<proto::Proven>(action)) {
      deciding_ = true;
      events_.on_proven(self);
    } else if (const auto* failed = std::get_if<proto::HandshakeFailed>(&action)) {
      fail_handshake(*failed);
    } else {
      const auto& established = std::get<proto::Established>(action);  // always the last action
      shared_.timers.cancel(timer_);
      const auto frames =
          established.protection == wire::Protection::tls ? wire::Protection::sign : established.protection;
      reader_.emplace(frames, established.keys.receive, shared_.limits.message_bytes_max);
      writer.emplace(frames, established.keys.send, shared_.pool);
      events_.on_established(self, established);
      handshake_.reset();
      if (closed_ || held_) return;
      Bytes early = std::exchange(pending_, {});
      after_read(reader_->take(early, *this));
    }
  }
}

/// Records are small and few: a socket that does not take them has no reader.
void Connection::write_record(ByteView bytes) {
  const iovec part{.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
  const ssize_t wrote = pipe().send({&part, 1});
  if (wrote == static_cast<ssize_t>(bytes.size())) return;
  fail_handshake({Error(Errc::unreachable, wrote < 0 ? std::strerror(errno) : "the peer reads nothing")});
}

void Connection::fail_handshake(const proto::HandshakeFailed& failed) {
  const auto self = shared_from_this();
  close();
  events_.on_handshake_failed(self, failed);
}

// ---- frames

void Connection::read_frames() {
  const auto self = shared_from_this();
  after_read(reader_->read({descriptor_, tls_.get()}, kBytesPerTurn, shared_.read_buffer, *this));
}

void Connection::after_read(FrameReader::Got got) {
  const int fault = errno;
  const std::uint64_t bytes = reader_->bytes_read() - std::exchange(bytes_counted_, reader_->bytes_read());
  add(shared_.counters.bytes_in, bytes);
  if (peer) add(peer->traffic.bytes_in, bytes);
  const std::uint64_t frames =
      reader_->frames_read() - std::exchange(frames_counted_, reader_->frames_read());
  add(shared_.counters.frames_in, frames);
  if (closed_) return;
  if (bytes != 0) {
    ++shared_.reads;
    if (shared_.busy.get() != this && !tls_) shared_.busy = shared_from_this();
  }
  switch (got) {
    case FrameReader::Got::some:
      settle_room();
      if (!closed_) watch_frame_end(frames > 0);
      return;
    case FrameReader::Got::ended:
      return broken(PeerDownReason::lost, "the peer closed the connection");
    case FrameReader::Got::failed:
      if (tls_ && fault == EBADMSG) {
        add(shared_.counters.bad_frames);
        return broken(PeerDownReason::protocol_error, tls_->session().problem().message());
      }
      return broken(PeerDownReason::lost, std::strerror(fault));
    case FrameReader::Got::corrupt:
      add(shared_.counters.bad_frames);
      return broken(PeerDownReason::protocol_error, reader_->problem());
  }
}

void Connection::on_frame(const wire::FrameHeader& header, ByteView body) {
  const auto self = shared_from_this();
  switch (header.kind) {
    case wire::FrameKind::messages:
      if (ending_) return broken(PeerDownReason::protocol_error, "a message where none may come");
      return on_messages(header, body);
    case wire::FrameKind::ping:
      return events_.on_ping(self, body);
    case wire::FrameKind::pong:
      return events_.on_pong(self, body);
    case wire::FrameKind::idle:
      if (body.size() == 1 && body[0] <= static_cast<std::uint8_t>(wire::IdleWord::stay))
        events_.on_idle(self, static_cast<wire::IdleWord>(body[0]));
      return;
    case wire::FrameKind::goodbye: {
      const auto reason = body.empty() || body[0] > static_cast<std::uint8_t>(wire::GoodbyeReason::idle)
                              ? wire::GoodbyeReason::stopping
                              : static_cast<wire::GoodbyeReason>(body[0]);
      const std::string_view text = as_text(body.subspan(std::min<std::size_t>(1, body.size())));
      return events_.on_goodbye(self, reason, is_utf8(text) && !has_control_character(text) ? text : "");
    }
  }
}

void Connection::on_messages(const wire::FrameHeader& header, ByteView body) {
  const auto self = shared_from_this();
  const auto bad = [&](const Error& error) {
    add(shared_.counters.bad_frames);
    broken(PeerDownReason::protocol_error, error.message());
  };
  std::uint64_t count = 0;
  while (!closed_) {
    const auto message = wire::take_message(body);
    if (!message) return bad(message.error());
    if (!message.value()) break;
    ++count;
    events_.on_message(self, header.lane, **message);
  }
  add(shared_.counters.messages_in, count);
  if (peer) add(peer->traffic.messages_in, count);
}

void Connection::on_large(Lane lane, Buffer&& message) {
  add(shared_.counters.messages_in);
  if (peer) add(peer->traffic.messages_in);
  events_.on_large_message(shared_from_this(), lane, std::move(message));
}

/// Claims room for the messages in fragments that have begun, and gives back that of those that have ended.
void Connection::settle_room() {
  const std::size_t announced = reader_->announced();
  if (std::exchange(announced_, announced) == announced) return;
  switch (shared_.room.claim(*this, announced)) {
    case FragmentRoom::Answer::granted:
      break;
    case FragmentRoom::Answer::wait:
      waits_for_room_ = true;
      if (shared_.busy.get() == this) shared_.busy = nullptr;
      watch_room(shared_);
      break;
    case FragmentRoom::Answer::too_many:
      return broken(PeerDownReason::protocol_error, "too many connections wait for room for large messages");
  }
  if (announced != 0 && fragment_watch_ == Timers::Id{}) watch_fragments();
}

void Connection::on_room() {
  waits_for_room_ = false;
  if (frame_begun_ != kNever) frame_begun_ = MonotonicClock::now();  // its remainder was not read
  await_readable();
}

void Connection::on_stalled() {
  add(shared_.counters.frames_timed_out);
  broken(PeerDownReason::protocol_error, "a large message came too slowly, and others waited for its room");
}

void Connection::watch_room(Shared& shared) {
  if (shared.room_watch != Timers::Id{}) return;
  shared.room_watch = shared.timers.add(MonotonicClock::now() + 1s, [&shared] {
    shared.room_watch = {};
    shared.room.tick();
    if (shared.room.anybody_waits()) watch_room(shared);
  });
}

void Connection::watch_fragments() {
  const Instant due = MonotonicClock::now() + shared_.limits.fragment_timeout / kLooksPerFragment;
  fragment_watch_ = shared_.timers.add(due, [self = shared_from_this(), due] {
    self->fragment_watch_ = {};
    if (self->closed_ || self->announced_ == 0) return;
    const bool could_come = !self->waits_for_room_ && MonotonicClock::now() - due <= kPauseNoticed;
    if (!could_come || self->reader_->grow_old() <= kLooksPerFragment) return self->watch_fragments();
    add(self->shared_.counters.frames_timed_out);
    self->broken(PeerDownReason::protocol_error, "a message was begun, and its fragments stopped coming");
  });
}

/// Sees to it that a frame that has begun comes to its end in time.
void Connection::watch_frame_end(bool frame_ended) {
  if (!reader_->incomplete() && !(tls_ && tls_->incomplete())) {
    frame_begun_ = kNever;
    return;
  }
  if (frame_ended || frame_begun_ == kNever) frame_begun_ = MonotonicClock::now();
  if (timer_ == Timers::Id{}) watch_frame(frame_begun_ + shared_.limits.frame_timeout);
}

void Connection::watch_frame(Instant due) {
  timer_ = shared_.timers.add(due, [self = shared_from_this(), due] {
    self->timer_ = {};
    if (self->closed_ || self->frame_begun_ == kNever) return;
    const Instant now = MonotonicClock::now();
    const Duration timeout = self->shared_.limits.frame_timeout;
    if (self->waits_for_room_) return self->watch_frame(now + timeout);
    if (now - due > kPauseNoticed) return self->watch_frame(now + timeout);
    if (now - self->frame_begun_ < timeout) return self->watch_frame(self->frame_begun_ + timeout);
    add(self->shared_.counters.frames_timed_out);
    self->broken(PeerDownReason::protocol_error, "a frame was begun and not finished in time");
  });
}

void Connection::broken(PeerDownReason reason, const std::string& text) {
  if (closed_) return;
  const auto self = shared_from_this();
  close();
  events_.on_broken(self, reason, text);
}

}  // namespace cluster::net
