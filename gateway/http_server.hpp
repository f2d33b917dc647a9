#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/gateway/front.hpp"

namespace cluster::gateway {

struct HttpLimits {
  std::size_t connections_max = 1024;
  std::size_t header_bytes_max = 16u << 10;   ///< request line and headers
  std::size_t bodies_bytes_max = 256u << 20;  ///< of all requests that are read or served now
  std::size_t feeds_max = 256;                ///< event streams
  Duration idle_timeout = 60s;                ///< between two requests
  Duration head_timeout = 10s;                ///< from a head's first byte to its last
  Duration body_timeout = 20s;    ///< and a second more for each 64 KiB; the same to take a response
  Duration answer_timeout = 75s;  ///< of a handler
  Duration ping_period = 15s;     ///< of a stream without events
};

struct HttpCounters {
  std::uint64_t connections = 0;  ///< accepted
  std::uint64_t evicted = 0;      ///< closed for newer ones while they had sent no request
  std::uint64_t turned_away = 0;  ///< closed at once: all others were in use
  std::uint64_t malformed = 0;    ///< what was no HTTP
  std::uint64_t unauthorized = 0;
  std::uint64_t events_sent = 0;
  std::array<std::uint64_t, 5> responses{};  ///< by first digit of their status, 1 to 5
  std::uint64_t body_bytes_in = 0;
  std::uint64_t body_bytes_out = 0;
  std::uint64_t open_connections = 0;  ///< now
  std::uint64_t open_feeds = 0;        ///< now
};

/// Serves HTTP/1.1 and WebSockets on one thread of its own; a second one is for what takes long (`offload`),
/// so that no large body delays another client. Thread-safe where a function says so.
class HttpServer {
 public:
  class Impl;
  /// Listens at all addresses that the host resolves to; port 0 is any free one. `io` if it cannot. Serves
  /// nobody before `serve`.
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> listen(const Endpoint& at, HttpLimits limits);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Begins to serve. Once.
  void serve(Front front);
  /// No new connections; idle ones are closed, streams ended, requests that came still answered, for up to
  /// `drain`; then all ends. Idempotent; not from a handler.
  void stop(Duration drain);

  /// The host that was asked for, and the bound port.
  [[nodiscard]] const Endpoint& endpoint() const noexcept;
  /// Runs `work` on the thread that serves. Any thread.
  void post(std::function<void()> work);
  /// Runs `work` on the thread for what takes long. Any thread.
  void offload(std::function<void()> work);
  /// Only in a handler.
  [[nodiscard]] const HttpCounters& counters() const noexcept;
  /// Whether `stop` has begun. Any thread.
  [[nodiscard]] bool is_stopping() const noexcept;

 private:
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace cluster::gateway
