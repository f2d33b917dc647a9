#pragma once
// One connection of the HTTP server. Only the files that include this one see Beast.
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "http_server_impl.hpp"

// GCC 12 destroys aggregate temporaries inside a co_await expression twice: what is awaited in these files is
// named first.

namespace cluster::gateway {

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;

/// What is read ahead of the parser, at most.
inline constexpr std::size_t kBufferBytesMax = 128u << 10;
/// What a body that is not held takes at a time, at most, on its way.
inline constexpr std::size_t kStreamBytes = 12u << 20;
/// The same of a body of `length` bytes, which may be held three times: as it came, in parts, and in a
/// message.
[[nodiscard]] inline std::size_t stream_bytes(std::uint64_t length) {
  constexpr std::size_t kCopies = 3;
  return length < kStreamBytes / kCopies ? kCopies * static_cast<std::size_t>(length) : kStreamBytes;
}
/// From this size on the body of an answer counts as held, too.
inline constexpr std::size_t kBodyCounted = 64u << 10;

/// How long a transfer of `bytes` may take.
[[nodiscard]] inline Duration time_for(std::size_t bytes, Duration at_least) {
  constexpr std::size_t kBytesPerSecondMin = 64u << 10;
  return at_least + std::chrono::seconds(bytes / kBytesPerSecondMin);
}
/// Whether bytes came that are no HTTP, not just no more bytes.
[[nodiscard]] inline bool is_malformed(error_code fault) {
  return fault && fault.category() == http::make_error_code(http::error::bad_chunk).category() &&
         fault != http::error::partial_message && fault != http::error::end_of_stream;
}
[[nodiscard]] inline Response too_many_bodies() {
  return refusal(503, name(Errc::overloaded), "too many bodies are on their way, try again");
}
[[nodiscard]] inline Response no_answer(Executed executed = Executed::unknown) {
  return refusal(504, name(Errc::timeout), "no answer in time", executed);
}

class HttpSession final : public Session, public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(tcp::socket socket, HttpServer::Impl& server)
      : server_(server), stream_(std::move(socket)), timer_(server.io) {}
  ~HttpSession() override { release_body(); }

  void start() override;
  void drain() override {
    if (!busy_) return close();
    ended_ = true;
    timer_.cancel();
  }
  void close() override {
    delist();
    ended_ = true;
    timer_.cancel();
    error_code ignored;
    if (socket_)
      beast::get_lowest_layer(*socket_).socket().close(ignored);
    else
      stream_.socket().close(ignored);
  }

 private:
  using Parser = http::request_parser<http::string_body>;
  using WebSocket = websocket::stream<beast::tcp_stream>;

  /// What another thread hands over, and whom that wakes.
  template <class T>
  struct Pending {
    explicit Pending(asio::io_context& io) : timer(io) {}
    asio::steady_timer timer;
    std::optional<T> result;
  };
  /// A function to call once, on any thread, with the result.
  template <class T>
  [[nodiscard]] std::function<void(T)> deliver_to(const std::shared_ptr<Pending<T>>& pending) const;
  /// Waits for the result; nothing if it is not there in time.
  template <class T>
  asio::awaitable<std::optional<T>> result_of(std::shared_ptr<Pending<T>> pending);

  asio::awaitable<void> run();
  /// One request; false: the connection ends.
  asio::awaitable<bool> serve_one();
  asio::awaitable<error_code> read_head();
  asio::awaitable<bool> refuse_head(error_code fault);
  /// What to refuse the body with, if it is to be refused. It has come if the parser is done, else the
  /// connection is broken.
  asio::awaitable<std::optional<Response>> read_body(const Route& route, const Head& head);
  /// Leaves `request` empty.
  asio::awaitable<Response> answer_of(const Route& route, Request& request);
  /// Lets a client that waits for it send its body; false: the connection is broken.
  asio::awaitable<bool> go_on(const Head& head);
  /// Hands the body on in pieces, and gives what comes of it; nothing if the connection is broken. `whole`:
  /// all of the body was read.
  asio::awaitable<std::optional<Response>> take_in(const Route& route, const Head& head, bool& whole);
  asio::awaitable<bool> respond(const Response& response, bool keep);
  asio::awaitable<bool> send_pieces(const Response& response);
  asio::awaitable<bool> refuse_and_close(const Response& response);
  asio::awaitable<void> send_events(const Response& response);
  asio::awaitable<void> serve_socket(const Route& route, const Request& request);
  asio::awaitable<void> read_socket();
  asio::awaitable<void> wait_for_news();

  [[nodiscard]] Head head_of(const Parser& parser) const;
  [[nodiscard]] std::shared_ptr<Feed> watch(std::shared_ptr<Feed> feed);
  void enlist();
  void delist();
  void release_body() noexcept { server_.release(std::exchange(body_bytes_, 0)); }

  HttpServer::Impl& server_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{kBufferBytesMax};
  std::optional<Parser> parser_;
  std::optional<WebSocket> socket_;
  asio::steady_timer timer_;    // of a feed
  bool has_news_ = false;       // of it, since it was last asked
  std::size_t body_bytes_ = 0;  // reserved
  bool is_head_ = false;        // the request wants no body
  bool ended_ = false;          // stop as soon as it can be
  bool busy_ = false;           // with a request
  bool listed_ = false;
  HttpServer::Impl::Waiting::iterator place_{};
};

template <class T>
std::function<void(T)> HttpSession::deliver_to(const std::shared_ptr<Pending<T>>& pending) const {
  return [weak_server = server_.weak_from_this(), weak = std::weak_ptr<Pending<T>>(pending)](T result) {
    const auto server = weak_server.lock();
    if (!server) return;
    asio::post(server->io, [weak, result = std::move(result)]() mutable {
      const auto waiting = weak.lock();
      if (!waiting) return;
      waiting->result.emplace(std::move(result));
      waiting->timer.cancel();
    });
  };
}

template <class T>
asio::awaitable<std::optional<T>> HttpSession::result_of(std::shared_ptr<Pending<T>> pending) {
  pending->timer.expires_after(server_.limits.answer_timeout);
  stream_.expires_never();
  static_cast<void>(co_await pending->timer.async_wait(kTuple));
  co_return std::move(pending->result);
}

}  // namespace cluster::gateway
