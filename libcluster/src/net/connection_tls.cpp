#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "connection.hpp"

// The TLS session that a connection's handshake travels in, where there is one: who dials with a certificate
// begins it, and a listener knows it by the first byte. An end without a certificate answers with a record
// REFUSED.
namespace cluster::net {
namespace {

// The first byte of a TLS session (RFC 8446 section 5.1), and of an answer to it. Handshake records of ours
// begin with their type, 1 to 4.
constexpr std::uint8_t kTlsAlert = 21;
constexpr std::uint8_t kTlsHandshake = 22;
constexpr std::size_t kReadBytes = 8 * 1024;

}  // namespace

bool Connection::begins_tls() const noexcept { return !dialler_ && pending_[0] == kTlsHandshake; }

/// The dialler has begun with TLS.
void Connection::on_tls_dialled() {
  if (!shared_.tls)
    return refuse(Error(Errc::incompatible,
                        "no common protection level: one end speaks TLS, and the other has "
                        "no certificate"));
  tls_ = std::make_unique<TlsStream>(*shared_.tls, crypto::TlsSession::Side::listens);
  const Bytes first = std::exchange(pending_, {});
  on_tls_bytes(first);
}

void Connection::read_tls() {
  std::array<std::uint8_t, kReadBytes> bytes;
  const ssize_t got = ::recv(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (!got_bytes(got, errno)) return;
  const auto came = ByteView(bytes).first(static_cast<std::size_t>(got));
  if (!std::exchange(heard_, true) && dialler_ && came[0] != kTlsHandshake && came[0] != kTlsAlert)
    return on_no_tls(came);
  on_tls_bytes(came);
}

/// The dialler's HELLO leaves together with the end of its TLS handshake: if the listener does not accept the
/// certificate, nothing is on its way any more that could meet a closed socket and hide why.
void Connection::on_tls_bytes(ByteView bytes) {
  const auto self = shared_from_this();
  const auto open = tls_->shake(bytes);
  if (!open || !*open || !dialler_) {
    const ssize_t sent = pipe().send({});
    if (open && sent < 0) return fail_handshake({Error(Errc::unreachable, "the peer reads nothing")});
  }
  if (!open) return fail_handshake(tls_failure());
  if (!*open) return;
  tls_open_ = true;
  handshake_->bind({.binding = tls_->session().binding(), .peer_uris = tls_->session().peer_uris()});
  apply(handshake_->start());
  if (!closed_) read_handshake();
}

/// The listener answered without TLS: its refusal is read, and nothing else.
void Connection::on_no_tls(ByteView answer) {
  if (!proto::Handshake::is_refusal(answer))
    return fail_handshake({Error(Errc::corrupt, "the peer does not speak this protocol")});
  tls_ = nullptr;
  found_no_tls_ = true;
  pending_.assign(answer.begin(), answer.end());
  feed_handshake();
}

proto::HandshakeFailed Connection::tls_failure() const {
  const auto& session = tls_->session();
  const Error& error = session.problem();
  const bool by_peer = session.said_by_peer();
  return {.error = error, .said_by_peer = by_peer, .certificate = !by_peer && error.code() == Errc::refused};
}

}  // namespace cluster::net
