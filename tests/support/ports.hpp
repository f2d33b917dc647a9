#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <random>
#include <stdexcept>

namespace cluster::testing {

/// The ports that this process may use, as tests/process/ports.py has them: below those that the system gives
/// to outgoing connections, in blocks. Who holds the first port of a block has the rest of it for itself.
class Ports {
 public:
  std::uint16_t next() {
    for (int attempt = 0; attempt < 10'000; ++attempt) {
      if (next_ == end_ && !take_block()) continue;
      const std::uint16_t port = next_++;
      if (const int probe = bound(port); probe >= 0) {
        ::close(probe);
        return port;
      }
    }
    throw std::runtime_error("no free port on loopback");
  }

 private:
  static constexpr std::uint16_t kFirst = 10'000;
  static constexpr std::uint16_t kBlock = 100;
  static constexpr std::uint16_t kBlocks = 220;

  bool take_block() {
    const auto first =
        static_cast<std::uint16_t>(kFirst + kBlock * std::uniform_int_distribution(0, kBlocks - 1)(chance_));
    if (bound(first) < 0) return false;  // else held until the process ends
    next_ = static_cast<std::uint16_t>(first + 1);
    end_ = static_cast<std::uint16_t>(first + kBlock);
    return true;
  }

  /// A socket that holds `port`, or -1.
  static int bound(std::uint16_t port) {
    const int holder = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(holder, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return holder;
    ::close(holder);
    return -1;
  }

  std::random_device chance_;
  std::uint16_t next_ = 0;
  std::uint16_t end_ = 0;
};

/// A port of loopback for a node that starts later, or again where it was: nobody else comes to have it
/// meanwhile. Each call gives another one. For one thread.
inline std::uint16_t free_port() {
  static Ports ports;
  return ports.next();
}

}  // namespace cluster::testing
