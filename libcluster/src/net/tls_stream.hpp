#pragma once
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <mutex>
#include <span>

#include "cluster/base/bytes.hpp"
#include "cluster/crypto/tls.hpp"

namespace cluster::net {

/// A TLS session between a socket and those who read and write frames. One thread reads; one, perhaps
/// another, writes. The lock, which both need, is held over no system call.
class TlsStream {
 public:
  TlsStream(const crypto::TlsContext& context, crypto::TlsSession::Side side) : session_(context, side) {}

  /// See crypto::TlsSession. What is to be sent after it goes with the next `send`.
  [[nodiscard]] Result<bool> shake(ByteView received) { return session_.shake(received); }
  [[nodiscard]] const crypto::TlsSession& session() const noexcept { return session_; }

  /// As recvmsg that does not wait. EBADMSG: something was altered.
  [[nodiscard]] ssize_t receive(int socket, std::span<const iovec> parts);
  /// Of the last `receive`: there may be more that no wait for the socket tells of.
  [[nodiscard]] bool has_more() const noexcept { return has_more_; }
  /// Of the last `receive`: a record has begun and is not complete.
  [[nodiscard]] bool incomplete() const noexcept { return incomplete_; }
  /// As sendmsg that does not wait: so many of the bytes have gone to the socket. Of the others some may be
  /// encrypted already, so the next call must begin with the same ones. No parts: what `shake` left.
  [[nodiscard]] ssize_t send(int socket, std::span<const iovec> parts);

 private:
  [[nodiscard]] bool encrypt(std::span<const iovec> parts);

  std::mutex mutex_;  // of session_, once it is open
  crypto::TlsSession session_;
  bool incomplete_ = false;      // of the reader
  bool has_more_ = false;        // of the reader
  Bytes plain_;                  // of the writer
  Bytes encrypted_;              // of the writer: not all in the socket
  std::size_t sent_ = 0;         // bytes of it that are
  std::size_t plain_bytes_ = 0;  // that it stands for
};

/// Where the bytes of a connection come from and go to.
struct Pipe {
  Pipe(int s, TlsStream* t = nullptr) : socket(s), tls(t) {}  // NOLINT: a socket is one
  [[nodiscard]] ssize_t receive(std::span<const iovec> parts) const;
  [[nodiscard]] ssize_t send(std::span<const iovec> parts) const;

  int socket;
  TlsStream* tls;
};

}  // namespace cluster::net
