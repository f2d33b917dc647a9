#include "tls_stream.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace cluster::net {
namespace {

// Read from the socket at once; one record of full size and its overhead.
constexpr std::size_t kTlsReadBytes = 17 * 1024;
// Taken in one turn, however little data is in it: records of one byte are 22 times as long on the wire.
constexpr std::size_t kWireBytesPerTurn = 64 * 1024;
// Encrypted at once: two records of full size. So much memory a connection keeps that has been busy.
constexpr std::size_t kTlsWriteBytes = 32 * 1024;

std::span<std::uint8_t> bytes_of(const iovec& part) {
  return {static_cast<std::uint8_t*>(part.iov_base), part.iov_len};
}

msghdr message_of(std::span<const iovec> parts) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  return message;
}

}  // namespace

ssize_t TlsStream::receive(int socket, std::span<const iovec> parts) {
  std::array<std::uint8_t, kTlsReadBytes> arrived;
  std::size_t total = 0, wire_bytes = 0;
  has_more_ = false;
  for (const iovec& part : parts) {
    for (auto room = bytes_of(part); !room.empty();) {
      Result<std::size_t> got = std::size_t{0};
      bool is_over = false;
      {
        const std::lock_guard lock(mutex_);
        got = session_.read(room);
        is_over = session_.is_over();
        incomplete_ = session_.has_rest();
      }
      if (!got) {
        has_more_ = total != 0;  // the same answer, next time
        errno = EBADMSG;
        return total != 0 ? static_cast<ssize_t>(total) : -1;
      }
      total += *got;
      room = room.subspan(*got);
      if (*got != 0) continue;
      if (is_over) {
        has_more_ = total != 0;  // the end of it, next time
        return static_cast<ssize_t>(total);
      }
      if (wire_bytes >= kWireBytesPerTurn) {
        if (total != 0) return static_cast<ssize_t>(total);
        errno = EAGAIN;
        return -1;
      }
      const ssize_t came = ::recv(socket, arrived.data(), arrived.size(), MSG_DONTWAIT);
      if (came <= 0) return total != 0 ? static_cast<ssize_t>(total) : came;
      wire_bytes += static_cast<std::size_t>(came);
      const std::lock_guard lock(mutex_);
      session_.feed(ByteView(arrived).first(static_cast<std::size_t>(came)));
    }
  }
  has_more_ = true;
  return static_cast<ssize_t>(total);
}

ssize_t TlsStream::send(int socket, std::span<const iovec> parts) {
  if (encrypted_.empty() && !encrypt(parts)) {
    errno = EBADMSG;
    return -1;
  }
  while (sent_ < encrypted_.size()) {
    const ssize_t wrote =
        ::send(socket, encrypted_.data() + sent_, encrypted_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return -1;
    sent_ += static_cast<std::size_t>(wrote);
  }
  encrypted_ = {};  // an idle connection holds no memory
  sent_ = 0;
  return static_cast<ssize_t>(std::exchange(plain_bytes_, 0));
}

/// Small parts share a record.
bool TlsStream::encrypt(std::span<const iovec> parts) {
  plain_.clear();
  for (const iovec& part : parts) {
    const auto bytes = bytes_of(part);
    const auto taken = bytes.first(std::min(bytes.size(), kTlsWriteBytes - plain_.size()));
    plain_.insert(plain_.end(), taken.begin(), taken.end());
  }
  plain_bytes_ = plain_.size();
  const std::lock_guard lock(mutex_);
  const bool wrote = plain_.empty() || session_.write(plain_).has_value();
  encrypted_ = session_.take_output();
  return wrote;
}

ssize_t Pipe::receive(std::span<const iovec> parts) const {
  if (tls != nullptr) return tls->receive(socket, parts);
  msghdr message = message_of(parts);
  return ::recvmsg(socket, &message, MSG_DONTWAIT);
}

ssize_t Pipe::send(std::span<const iovec> parts) const {
  if (tls != nullptr) return tls->send(socket, parts);
  const msghdr message = message_of(parts);
  return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace cluster::net
