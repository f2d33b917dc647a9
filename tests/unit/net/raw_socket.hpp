#pragma once
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/endpoint.hpp"

namespace cluster::net::test {

/// A TCP socket of a stranger. Loopback, IPv4, never blocks but to connect.
class RawSocket {
 public:
  RawSocket() = default;
  explicit RawSocket(int descriptor) : descriptor_(descriptor) { set_non_blocking(); }
  explicit RawSocket(const Endpoint& to) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(to.port);
    if (::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) close();
    set_non_blocking();
  }
  RawSocket(RawSocket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  RawSocket& operator=(RawSocket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~RawSocket() { close(); }

  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  void send(ByteView bytes) const {
    static_cast<void>(::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  /// What is there now; nothing at all at the end of the stream.
  [[nodiscard]] std::optional<Bytes> receive() const {
    Bytes buffer(100'000);
    const ssize_t got = ::recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got == 0) return std::nullopt;
    if (got < 0) return errno == EAGAIN ? std::optional<Bytes>(Bytes{}) : std::nullopt;
    buffer.resize(static_cast<std::size_t>(got));
    return buffer;
  }
  [[nodiscard]] bool at_end() const { return !receive().has_value(); }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }

  [[nodiscard]] static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

 private:
  void set_non_blocking() const {
    if (descriptor_ >= 0) ::fcntl(descriptor_, F_SETFL, ::fcntl(descriptor_, F_GETFL) | O_NONBLOCK);
  }
  int descriptor_ = -1;
};

/// Where strangers listen. Never blocks.
class RawListener {
 public:
  RawListener() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = RawSocket::loopback(0);
    socklen_t size = sizeof address;
    ::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(descriptor_, 16);
    ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size);
    ::fcntl(descriptor_, F_SETFL, O_NONBLOCK);
    port_ = ntohs(address.sin_port);
  }
  ~RawListener() { ::close(descriptor_); }
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;

  [[nodiscard]] Endpoint at() const { return {"127.0.0.1", port_}; }
  /// Not open: nobody waits.
  [[nodiscard]] RawSocket accept() const { return RawSocket(::accept(descriptor_, nullptr, nullptr)); }

 private:
  int descriptor_;
  std::uint16_t port_ = 0;
};

/// Stands between a dialler and a listener, and may change what it carries.
class Proxy {
 public:
  explicit Proxy(const Endpoint& target) : target_(target) {}

  [[nodiscard]] Endpoint at() const { return listener_.at(); }
  /// Sees, and may change, each piece on its way to the target.
  std::function<void(Bytes&)> on_bytes;

  /// Carries what is there.
  void pump() {
    if (auto accepted = listener_.accept(); accepted.is_open())
      pairs_.emplace_back(std::move(accepted), RawSocket(target_));
    for (auto& [dialler, listener] : pairs_) {
      carry(dialler, listener, true);
      carry(listener, dialler, false);
    }
  }

 private:
  void carry(RawSocket& from, RawSocket& to, bool to_target) {
    if (!from.is_open() || !to.is_open()) return;
    auto bytes = from.receive();
    if (!bytes) {
      from.close();
      to.close();
      return;
    }
    if (bytes->empty()) return;
    if (to_target && on_bytes) on_bytes(*bytes);
    to.send(*bytes);
  }
  Endpoint target_;
  RawListener listener_;
  std::vector<std::pair<RawSocket, RawSocket>> pairs_;
};

}  // namespace cluster::net::test
