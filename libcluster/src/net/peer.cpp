#include "peer.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <span>
#include <utility>

#include "cluster/wire/message.hpp"

namespace cluster::net {
namespace {

// Messages appended to be flushed later are written early when they fill a frame.
constexpr std::size_t kUnflushedBytesMax = wire::kFrameBodyBytesMax;
// A thread that sends must not be kept writing what others append: after so many rounds the polling
// thread goes on.
constexpr int kRoundsMax = 4;

}  // namespace

std::optional<Error> Peer::refusal(const SendOptions& options) const {
  if (ended_ || draining_) return Error(Errc::unreachable, "'" + id.str() + "' is not a peer any more");
  if (!link_ && options.wait_max <= Duration::zero())
    return Error(Errc::unreachable, "'" + id.str() + "' is not connected");
  return std::nullopt;
}

Result<Ticket> Peer::send_pushed(Result<Ticket> ticket, const SendOptions& options, Lock& lock) {
  if (!ticket) {
    add(shared_.counters.overloaded);
    return ticket;
  }
  if (!is_up()) {
    note_waiting(ticket.value(), options);
    if (link_ || keep_ == Keep::standing || !known_ || std::exchange(wanted_, true)) return ticket;
    lock.unlock();
    host_.on_wanted(shared_from_this());
    return ticket;
  }
  if (link_->writer->busy) return ticket;  // who writes will come to it
  if (options.flush_now || outbox_.bytes() >= kUnflushedBytesMax) {
    flush(lock);
    return outbox_.contains(ticket.value()) ? ticket.value() : Ticket{};
  }
  if (!unflushed_) {
    unflushed_ = true;
    host_.on_unflushed(shared_from_this());
    lock.unlock();
    if (options.wake) host_.wake_poller();
  }
  return ticket;
}

void Peer::note_waiting(Ticket ticket, const SendOptions& options) {
  if (options.ttl_at != 0) waiting_calls_.push_back({ticket, options.ttl_at, options.expires});
  if (options.wait_max == Duration::max()) return;
  const Instant now = MonotonicClock::now();
  drop_expired(now);
  expiring_.emplace(saturated_add(now, options.wait_max), ticket);
}

void Peer::drop_expired(Instant now) {
  while (!expiring_.empty() && expiring_.begin()->first <= now) {
    if (outbox_.cancel(expiring_.begin()->second)) add(shared_.counters.dropped);
    expiring_.erase(expiring_.begin());
  }
}

/// There is a connection for what waited.
void Peer::end_waiting() {
  const Instant now = MonotonicClock::now();
  drop_expired(now);
  expiring_.clear();
  for (const auto& call : std::exchange(waiting_calls_, {}))
    outbox_.change(call.ticket, [&](std::span<std::uint8_t> message) {
      wire::set_ttl(&message[call.ttl_at], std::chrono::ceil<std::chrono::milliseconds>(call.expires - now));
    });
}

bool Peer::has_session(std::uint64_t session) const {
  return link_ && link_->info.session == session && !draining_;
}

bool Peer::cancel(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  const bool gone = outbox_.cancel(ticket);
  std::erase_if(waiting_calls_, [ticket](const WaitingCall& call) { return call.ticket == ticket; });
  if (gone) add(shared_.counters.cancelled);
  return gone;
}

bool Peer::is_queued(Ticket ticket) const {
  const std::lock_guard lock(mutex_);
  return outbox_.contains(ticket);
}

void Peer::flush() {
  Lock lock(mutex_);
  unflushed_ = false;
  flush(lock);
}

void Peer::flush(Lock& lock) {
  const ConnectionRef link = link_;
  if (!link || link->writer->busy) return;
  link->writer->busy = true;
  run_writer(link, lock);
}

/// Writes until nothing is left or the socket is full. Holds the writer's token; gives it up only when
/// nothing is left, so a blocked or broken writer is nobody else's.
void Peer::run_writer(const ConnectionRef& link, Lock& lock) {
  FrameWriter& writer = *link->writer;
  for (int round = 0;; ++round) {
    if (!writer.unsent()) {
      if (!writer.refill(link == link_ && !asked_idle_ ? &outbox_ : nullptr)) {
        writer.busy = false;
        if (draining_ && link == link_ && (!asked_idle_ || outbox_.empty()))
          host_.on_drained(shared_from_this());
        return;
      }
    }
    lock.unlock();
    const auto wrote = writer.write(link->pipe());
    const int fault = errno;
    add(shared_.counters.frames_out, std::exchange(writer.frames_out, 0));
    add(shared_.counters.messages_out, writer.messages_out);
    add(traffic.messages_out, std::exchange(writer.messages_out, 0));
    add(shared_.counters.bytes_out, writer.bytes_out);
    add(traffic.bytes_out, std::exchange(writer.bytes_out, 0));
    lock.lock();
    if (wrote == FrameWriter::Wrote::failed) return host_.on_write_failed(link, fault);
    if (wrote == FrameWriter::Wrote::blocked || round == kRoundsMax) return host_.on_blocked(link);
  }
}

void Peer::write_on(const ConnectionRef& link) {
  Lock lock(mutex_);
  run_writer(link, lock);
}

void Peer::attach(const ConnectionRef& link) {
  const std::lock_guard lock(mutex_);
  attach_locked(link);
}

void Peer::hand_over(const ConnectionRef& link) {
  const std::lock_guard lock(mutex_);
  outbox_.on_link_down();
  attach_locked(link);
}

bool Peer::has_written(const ConnectionRef& link) const {
  const std::lock_guard lock(mutex_);
  return !link->writer->busy;
}

void Peer::attach_locked(const ConnectionRef& link) {
  link_ = link;
  asked_idle_ = wanted_ = false;
  info_ = link->info;
  dials_failed_ = 0;
  last_error_.clear();
  end_waiting();
}

bool Peer::detach(const ConnectionRef& link) {
  const std::lock_guard lock(mutex_);
  if (link_ != link) return false;
  link_ = nullptr;
  asked_idle_ = false;
  info_ = {};
  add(shared_.counters.uncertain, link->writer->messages_uncertain(link->socket()));
  outbox_.on_link_down();
  return true;
}

bool Peer::send_own(const ConnectionRef& link, wire::FrameKind kind, ByteView body) {
  Lock lock(mutex_);
  return send_own(link, kind, body, lock);
}

bool Peer::send_own(const ConnectionRef& link, wire::FrameKind kind, ByteView body, Lock& lock) {
  if (!link->writer->push_own(kind, body)) return false;
  if (link->writer->busy) return true;
  link->writer->busy = true;
  run_writer(link, lock);
  return true;
}

std::optional<std::uint64_t> Peer::frames_written(const ConnectionRef& link) const {
  const std::lock_guard lock(mutex_);
  if (link_ != link || !outbox_.empty() || link->writer->busy) return std::nullopt;
  return link->writer->frames_written();
}

void Peer::ask_idle(const ConnectionRef& link, std::uint64_t frames_written) {
  Lock lock(mutex_);
  if (link_ != link || asked_idle_ || draining_ || keep_ == Keep::standing || !outbox_.empty() ||
      link->writer->busy || link->writer->frames_written() != frames_written)
    return;
  asked_idle_ = true;
  const std::array body{static_cast<std::uint8_t>(wire::IdleWord::ask)};
  if (!send_own(link, wire::FrameKind::idle, body, lock)) asked_idle_ = false;
}

bool Peer::agree_idle(const ConnectionRef& link) {
  Lock lock(mutex_);
  const bool kept = known_ && keep_ == Keep::standing;
  if (link_ != link || kept || draining_ || !outbox_.empty() || link->writer->busy) return false;
  const std::array body{static_cast<std::uint8_t>(wire::GoodbyeReason::idle)};
  link_ = nullptr;
  asked_idle_ = false;
  info_ = {};
  return send_own(link, wire::FrameKind::goodbye, body, lock);
}

void Peer::resume(const ConnectionRef& link) {
  Lock lock(mutex_);
  if (link_ != link || !asked_idle_) return;
  asked_idle_ = false;
  end_waiting();
  flush(lock);
}

bool Peer::asked_idle(const ConnectionRef& link) const {
  const std::lock_guard lock(mutex_);
  return link_ == link && asked_idle_;
}

void Peer::drain() {
  Lock lock(mutex_);
  draining_ = true;
  if (!link_ || link_->writer->busy) return;
  flush(lock);
}

std::vector<Ticket> Peer::end() {
  const std::lock_guard lock(mutex_);
  return end_locked();
}

std::optional<std::vector<Ticket>> Peer::end_if_unknown() {
  const std::lock_guard lock(mutex_);
  if (known_) return std::nullopt;
  return end_locked();
}

std::vector<Ticket> Peer::end_locked() {
  ended_ = true;
  known_ = false;
  auto tickets = outbox_.clear();
  waiting_calls_.clear();
  expiring_.clear();
  add(shared_.counters.dropped, tickets.size());
  return tickets;
}

ConnectionRef Peer::link() const {
  const std::lock_guard lock(mutex_);
  return link_;
}

bool Peer::known() const {
  const std::lock_guard lock(mutex_);
  return known_;
}

Endpoint Peer::endpoint() const {
  const std::lock_guard lock(mutex_);
  return endpoint_;
}

bool Peer::set_endpoint(const Endpoint& endpoint, Keep keep) {
  const std::lock_guard lock(mutex_);
  if (ended_) return false;
  known_ = true;
  keep_ = keep;
  endpoint_ = endpoint;
  return true;
}

bool Peer::on_demand() const {
  const std::lock_guard lock(mutex_);
  return known_ && keep_ == Keep::on_demand;
}

bool Peer::wants_link() {
  const std::lock_guard lock(mutex_);
  wanted_ = false;
  drop_expired(MonotonicClock::now());
  return known_ && (keep_ == Keep::standing || relink || !outbox_.empty());
}

void Peer::forget() {
  const std::lock_guard lock(mutex_);
  known_ = false;
}

void Peer::note_failure(std::uint32_t dials_failed, const std::string& text) {
  const std::lock_guard lock(mutex_);
  dials_failed_ = dials_failed;
  last_error_ = text;
}

PeerStatus Peer::status() const {
  const std::lock_guard lock(mutex_);
  return PeerStatus{.id = id,
                    .endpoint = known_ ? endpoint_ : info_.endpoint,
                    .role = role,
                    .known = known_,
                    .keep = keep_,
                    .connected = link_ != nullptr,
                    .boot = info_.boot,
                    .ring = info_.ring,
                    .session = info_.session,
                    .protection = info_.protection,
                    .key = info_.key,
                    .queued_messages = outbox_.messages(),
                    .queued_bytes = outbox_.bytes(),
                    .messages_in = traffic.messages_in.load(std::memory_order_relaxed),
                    .messages_out = traffic.messages_out.load(std::memory_order_relaxed),
                    .bytes_in = traffic.bytes_in.load(std::memory_order_relaxed),
                    .bytes_out = traffic.bytes_out.load(std::memory_order_relaxed),
                    .dials_failed = dials_failed_,
                    .last_error = last_error_};
}

}  // namespace cluster::net
