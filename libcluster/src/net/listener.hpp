#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/log.hpp"
#include "connection.hpp"

namespace cluster::net {

/// Takes connections on one or more local addresses, all with the same port. Polling thread, but `open`.
class Listener {
 public:
  using Accepted = std::function<void(Socket)>;
  using Exhausted = std::function<bool()>;

  /// `exhausted`: the system has no descriptor or memory for a connection. True if it ended another one,
  /// whose place the newest takes; else the newest is closed.
  Listener(Shared& shared, Accepted accepted, Exhausted exhausted);
  ~Listener();

  /// Binds and listens on every local address that `hosts` (names or addresses) stand for. Port 0: any
  /// free one. `io` if there is none, or one of them is taken. Who connects waits until `accept`.
  [[nodiscard]] Result<void> open(const std::vector<std::string>& hosts, std::uint16_t port);
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  /// Takes connections from now on. Idempotent.
  void accept();
  void close();

 private:
  using Acceptor = boost::asio::ip::tcp::acceptor;
  using Address = boost::asio::ip::tcp::endpoint;
  [[nodiscard]] Result<void> bind_all(const std::vector<Address>& addresses, std::uint16_t port);
  void await(const std::shared_ptr<Acceptor>& acceptor);
  void accept_ready(const std::shared_ptr<Acceptor>& acceptor);
  [[nodiscard]] bool on_exhausted(int fault);
  [[nodiscard]] bool shed(int listening);

  Shared& shared_;
  Accepted accepted_;
  Exhausted exhausted_;
  std::vector<std::shared_ptr<Acceptor>> acceptors_;
  std::uint16_t port_ = 0;
  bool accepting_ = false;
  log::Limit exhaustions_;
  int spare_ = -1;  // given up to take, and close, a connection that there is no descriptor for
};

}  // namespace cluster::net
