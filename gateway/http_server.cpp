#include "cluster/gateway/http_server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <exception>
#include <future>
#include <string>
#include <utility>

#include "http_server_impl.hpp"

namespace cluster::gateway {
namespace {

using boost::system::error_code;

constexpr auto kAcceptPause = std::chrono::milliseconds(100);  // after a failure, such as no descriptors

}  // namespace

Result<void> HttpServer::Impl::listen(const Endpoint& at) {
  error_code fault;
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(at.host, std::to_string(at.port), tcp::resolver::passive, fault);
  const auto failure = [&](std::string_view why) {
    return Error(Errc::io, "cannot serve HTTP at " + at.to_string() + ": " + std::string(why));
  };
  if (fault) return failure(fault.message());
  endpoint = at;
  for (const auto& entry : found) {
    auto address = entry.endpoint();
    address.port(endpoint.port);  // port 0: all take the one that the first got
    tcp::acceptor acceptor(io);
    error_code here;
    acceptor.open(address.protocol(), here);
    if (!here) acceptor.set_option(tcp::acceptor::reuse_address(true), here);
    if (!here && address.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), here);
    if (!here) acceptor.bind(address, here);
    if (!here) acceptor.listen(tcp::acceptor::max_listen_connections, here);
    if (here == boost::system::errc::address_in_use) return failure(here.message());
    if (here) {
      fault = here;  // a machine without IPv6, say: one address is enough
      continue;
    }
    endpoint.port = acceptor.local_endpoint().port();
    acceptors_.push_back(std::move(acceptor));
  }
  if (acceptors_.empty()) return failure(fault ? fault.message() : "no address");
  return {};
}

void HttpServer::Impl::serve(Front admitted) {
  front.emplace(std::move(admitted));
  for (auto& acceptor : acceptors_) asio::co_spawn(io, accept(acceptor), asio::detached);
  thread_ = std::thread([this] { io.run(); });
}

asio::awaitable<void> HttpServer::Impl::accept(tcp::acceptor& acceptor) {
  asio::steady_timer pause(io);
  while (!stopping) {
    auto [fault, socket] = co_await acceptor.async_accept(kTuple);
    if (!fault) {
      admit(std::move(socket));
    } else if (!stopping && fault != asio::error::operation_aborted) {
      log::limited(accept_lines_, log::Level::warn, "http",
                   "a connection cannot be accepted: ", fault.message());
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(kTuple);
    }
  }
}

/// Among too many connections the one goes that has been longest without a request with the token: who opens
/// many and says nothing, or reads nothing, keeps nobody out.
void HttpServer::Impl::admit(tcp::socket socket) {
  if (stopping) return;
  ++counters.connections;
  if (sessions_.size() >= limits.connections_max) {
    log::limited(full_lines_, log::Level::warn, "http", sessions_.size(),
                 " connections are open, no more are kept");
    if (waiting.empty()) {
      ++counters.turned_away;
      return;
    }
    ++counters.evicted;
    waiting.front()->close();
  }
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  auto session = make_session(std::move(socket), *this);
  sessions_.insert(session);
  counters.open_connections = sessions_.size();
  session->start();
}

void HttpServer::Impl::on_end(const std::shared_ptr<Session>& session) {
  sessions_.erase(session);
  counters.open_connections = sessions_.size();
  if (!stopping || !sessions_.empty()) return;
  const std::lock_guard lock(mutex_);
  all_ended_ = true;
  ended_.notify_all();
}

bool HttpServer::Impl::reserve(std::size_t bytes) noexcept {
  if (bytes > limits.bodies_bytes_max - bodies_bytes) return false;
  bodies_bytes += bytes;
  return true;
}

void HttpServer::Impl::stop(Duration drain) {
  std::unique_lock lock(mutex_);
  if (std::exchange(stopped_, true)) return;
  stopping = true;
  if (thread_.joinable()) {
    asio::post(io, [this] {
      error_code ignored;
      for (auto& acceptor : acceptors_) acceptor.close(ignored);
      const auto sessions = sessions_;  // one may end while it is told
      for (const auto& session : sessions) session->drain();
      if (!sessions_.empty()) return;
      const std::lock_guard all(mutex_);
      all_ended_ = true;
      ended_.notify_all();
    });
    if (!ended_.wait_for(lock, drain, [this] { return all_ended_; })) {
      asio::post(io, [this] {
        const auto sessions = sessions_;
        for (const auto& session : sessions) session->close();
      });
      ended_.wait_for(lock, 1s, [this] { return all_ended_; });
    }
  }
  lock.unlock();
  io.stop();
  if (thread_.joinable()) thread_.join();
  pool.stop();
  pool.join();
}

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { impl_->stop(Duration::zero()); }

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const Endpoint& at, HttpLimits limits) {
  auto impl = std::make_shared<Impl>(limits);
  if (auto listening = impl->listen(at); !listening) return std::move(listening).error();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

void HttpServer::serve(Front front) { impl_->serve(std::move(front)); }
void HttpServer::stop(Duration drain) { impl_->stop(drain); }
const Endpoint& HttpServer::endpoint() const noexcept { return impl_->endpoint; }
void HttpServer::post(std::function<void()> work) { asio::post(impl_->io, std::move(work)); }
void HttpServer::offload(std::function<void()> work) { asio::post(impl_->pool, std::move(work)); }
const HttpCounters& HttpServer::counters() const noexcept { return impl_->counters; }
bool HttpServer::is_stopping() const noexcept { return impl_->stopping; }

}  // namespace cluster::gateway
