#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "connection.hpp"

namespace cluster::net {

/// Looks an endpoint up and connects to the first of its addresses that takes us. Polling thread.
class Dialer : public std::enable_shared_from_this<Dialer> {
 public:
  using Done = std::function<void(Result<Socket>)>;

  Dialer(Shared& shared, Endpoint to) : shared_(shared), to_(std::move(to)), resolver_(shared.io) {}
  /// `done` comes once, later, unless `cancel` comes first.
  void start(Done done);
  void cancel();

 private:
  using Address = boost::asio::ip::tcp::endpoint;
  void connect_next();
  void on_connected(const boost::system::error_code& fault);
  void finish(Result<Socket> result);

  Shared& shared_;
  Endpoint to_;
  Done done_;
  boost::asio::ip::tcp::resolver resolver_;
  std::vector<Address> addresses_;
  std::size_t next_ = 0;
  std::unique_ptr<Socket> socket_;
  Timers::Id timer_;
  std::string last_fault_ = "no address";
};

}  // namespace cluster::net
