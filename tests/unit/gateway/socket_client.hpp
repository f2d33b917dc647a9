#pragma once
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace cluster::gateway {

/// A client that hides nothing: what is sent is sent as it stands.
class SocketClient {
 public:
  explicit SocketClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{.tv_sec = 60, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~SocketClient() { ::close(socket_); }
  SocketClient(const SocketClient&) = delete;
  SocketClient& operator=(const SocketClient&) = delete;

  [[nodiscard]] bool connected() const noexcept { return connected_; }
  void send(std::string_view text) const {
    while (!text.empty()) {
      const auto sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  /// Reads until `end` has come, and gives what came with it; less if the connection ends before.
  std::string read_until(std::string_view end) {
    std::string piece(4096, '\0');
    while (received_.find(end) == std::string::npos) {
      const auto count = ::recv(socket_, piece.data(), piece.size(), 0);
      if (count <= 0) return std::exchange(received_, {});
      received_.append(piece, 0, static_cast<std::size_t>(count));
    }
    const auto length = received_.find(end) + end.size();
    auto found = received_.substr(0, length);
    received_.erase(0, length);
    return found;
  }
  /// Reads so many bytes; less if the connection ends before.
  std::string read_bytes(std::size_t size) {
    std::string piece(65536, '\0');
    while (received_.size() < size) {
      const auto count = ::recv(socket_, piece.data(), piece.size(), 0);
      if (count <= 0) return std::exchange(received_, {});
      received_.append(piece, 0, static_cast<std::size_t>(count));
    }
    auto found = received_.substr(0, size);
    received_.erase(0, size);
    return found;
  }
  std::string read_all() { return read_until("\x01 never \x01"); }

 private:
  int socket_;
  bool connected_ = false;
  std::string received_;
};

}  // namespace cluster::gateway
