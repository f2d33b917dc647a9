#pragma once
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string>

namespace cluster::net {

/// What a connection's descriptor needs: non-blocking, no delay of small writes, little unsent data in the
/// system (so that an urgent frame waits for little), probes of a silent host, lost data sent again at least
/// every second (where the kernel offers that).
void configure_stream(int descriptor) noexcept;

/// A socket that nobody reads from: it takes some 200 KiB, as one whose packets are all lost does, and then
/// no more.
class Sink {
 public:
  Sink() noexcept;
  ~Sink();
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  /// Below 0: there was no descriptor left.
  [[nodiscard]] int descriptor() const noexcept { return ends_[0]; }

 private:
  std::array<int, 2> ends_{-1, -1};
};

/// "1.2.3.4" or "::1"; "?" if the connection is gone already.
[[nodiscard]] std::string remote_address_of(const boost::asio::ip::tcp::socket& socket);

/// Whom failed proofs are counted against: the address, or of IPv6 the network of 64 bits that one
/// customer has.
[[nodiscard]] std::string guesser_of(const boost::asio::ip::address& address);

/// Has the allocator keep what large messages used for the next ones, up to the size of two full queues. Else
/// it returns the memory and asks for it again at each: page by page, that is half of the time of a message
/// of 1 MiB.
void keep_freed_memory() noexcept;

/// Raises the soft limit of open descriptors to the hard one.
void raise_descriptor_limit() noexcept;

}  // namespace cluster::net
