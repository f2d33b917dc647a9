#pragma once
// What the server and its sessions share; the only header here that shows Asio and Beast.
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/gateway/http_server.hpp"

namespace cluster::gateway {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

/// Answers {error, result} where an operation would throw.
inline constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

/// One connection. Of the serving thread.
class Session {
 public:
  virtual ~Session() = default;
  /// Until it ends itself.
  virtual void start() = 0;
  /// Ends it now if it is idle, else after what it does.
  virtual void drain() = 0;
  /// Ends it now.
  virtual void close() = 0;
};

class HttpServer::Impl : public std::enable_shared_from_this<HttpServer::Impl> {
 public:
  explicit Impl(HttpLimits limits) : limits(limits) {}

  Result<void> listen(const Endpoint& at);
  void serve(Front front);
  void stop(Duration drain);

  // What follows is for the sessions, on the serving thread.
  /// Sessions that serve nobody who has shown the token, the oldest first: these make room for new
  /// connections.
  using Waiting = std::list<Session*>;
  void on_end(const std::shared_ptr<Session>& session);
  /// Takes `bytes` of what all bodies may have; false: there is no room.
  [[nodiscard]] bool reserve(std::size_t bytes) noexcept;
  void release(std::size_t bytes) noexcept { bodies_bytes -= bytes; }

  const HttpLimits limits;
  std::optional<Front> front;
  HttpCounters counters;
  Waiting waiting;
  std::size_t bodies_bytes = 0;
  std::atomic<bool> stopping = false;
  Endpoint endpoint;
  asio::io_context io{1};
  asio::thread_pool pool{1};

 private:
  asio::awaitable<void> accept(tcp::acceptor& acceptor);
  void admit(tcp::socket socket);

  std::vector<tcp::acceptor> acceptors_;
  std::set<std::shared_ptr<Session>> sessions_;
  log::Limit accept_lines_, full_lines_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool all_ended_ = false;  // the last session is gone, after `stop` began
  bool stopped_ = false;
};

/// `server` outlives the session.
[[nodiscard]] std::shared_ptr<Session> make_session(tcp::socket socket, HttpServer::Impl& server);

}  // namespace cluster::gateway
