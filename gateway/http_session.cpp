// One connection of the HTTP server. The only file that includes Beast.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <exception>
#include <utility>

#include "http_server_impl.hpp"

// GCC 12 destroys aggregate temporaries inside a co_await expression twice: what is awaited here is named
// first.

namespace cluster::gateway {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;

constexpr std::size_t kReadBytes = 4096;
constexpr std::size_t kBufferBytesMax = 128u << 10;  // what is read ahead of the parser
constexpr std::size_t kBytesPerSecondMin = 64u << 10;
constexpr Duration kLingerTime = 2s;
constexpr std::size_t kSocketMessageBytesMax = 4096;  // from a client, who has nothing to say

/// How long a transfer of `bytes` may take.
Duration time_for(std::size_t bytes, Duration at_least) {
  return at_least + std::chrono::seconds(bytes / kBytesPerSecondMin);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

class HttpSession final : public Session, public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(tcp::socket socket, HttpServer::Impl& server)
      : server_(server), stream_(std::move(socket)), timer_(server.io) {}
  ~HttpSession() override { release_body(); }

  void start() override {
    enlist();
    asio::co_spawn(server_.io, run(), asio::detached);
  }
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

  /// What a handler answers, and whom that wakes.
  struct Pending {
    explicit Pending(asio::io_context& io) : timer(io) {}
    asio::steady_timer timer;
    std::optional<Response> response;
  };

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
  asio::awaitable<bool> respond(const Response& response, bool keep);
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
  std::size_t body_bytes_ = 0;  // reserved
  bool is_head_ = false;        // the request wants no body
  bool ended_ = false;          // stop as soon as it can be
  bool busy_ = false;           // with a request
  bool listed_ = false;
  HttpServer::Impl::Waiting::iterator place_{};
};

void HttpSession::enlist() {
  if (std::exchange(listed_, true)) return;
  place_ = server_.waiting.insert(server_.waiting.end(), this);
}

void HttpSession::delist() {
  if (std::exchange(listed_, false)) server_.waiting.erase(place_);
}

asio::awaitable<void> HttpSession::run() {
  const auto self = shared_from_this();
  try {
    while (!ended_) {
      const bool more = co_await serve_one();
      release_body();
      busy_ = false;
      if (!more || server_.stopping) break;
      enlist();
    }
  } catch (const std::exception& thrown) {
    log::error("http", "a connection ended by an exception: ", thrown.what());
  }
  close();
  server_.on_end(self);
}

asio::awaitable<error_code> HttpSession::read_head() {
  is_head_ = false;
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(server_.limits.header_bytes_max));
  parser_->body_limit(boost::none);  // set once the route is known
  if (buffer_.size() == 0) {
    stream_.expires_after(server_.limits.idle_timeout);
    auto [fault, bytes] = co_await stream_.async_read_some(buffer_.prepare(kReadBytes), kTuple);
    if (fault) co_return http::error::end_of_stream;
    buffer_.commit(bytes);
  }
  stream_.expires_after(server_.limits.head_timeout);
  auto [fault, bytes] = co_await http::async_read_header(stream_, buffer_, *parser_, kTuple);
  co_return fault;
}

Head HttpSession::head_of(const Parser& parser) const {
  const auto& message = parser.get();
  Head head;
  head.request.method = method_from(message.method_string());
  for (const auto& field : message.base())
    head.request.headers.emplace_back(lower_case(field.name_string()), field.value());
  head.target = message.target();
  head.version = message.version();
  if (const auto length = parser.content_length()) head.content_length = *length;
  head.upgrade = websocket::is_upgrade(message);
  return head;
}

asio::awaitable<bool> HttpSession::serve_one() {
  const auto fault = co_await read_head();
  if (ended_) co_return false;  // it had to make room
  busy_ = true;
  if (fault) co_return co_await refuse_head(fault);

  Head head = head_of(*parser_);
  is_head_ = head.request.method == Method::head;
  const bool keep = parser_->get().keep_alive() && head.version == 11;
  auto admitted = server_.front->admit(head);
  server_.counters.unauthorized = server_.front->unauthorized();
  if (auto* refused = std::get_if<Response>(&admitted)) {
    server_.front->allow_origin(head.request, *refused);
    if (head.has_body()) co_return co_await refuse_and_close(*refused);
    co_return co_await respond(*refused, keep);
  }
  const Route& route = *std::get<const Route*>(admitted);
  if (!route.open) delist();  // who has the token need not make room
  if (head.upgrade && route.feed) {
    co_await serve_socket(route, head.request);
    co_return false;
  }
  if (head.has_body()) {
    const auto refused = co_await read_body(route, head);
    if (refused) co_return co_await refuse_and_close(*refused);
    if (!parser_->is_done()) co_return false;
    head.request.body = std::move(parser_->get().body());
    server_.counters.body_bytes_in += head.request.body.size();
  }
  Request brief;  // what is needed of the request when its handler has it
  brief.headers.emplace_back("origin", head.request.header("origin"));
  auto response = co_await answer_of(route, head.request);
  server_.front->allow_origin(brief, response);
  if (response.feed) {
    co_await send_events(response);
    co_return false;
  }
  co_return co_await respond(response, keep);
}

asio::awaitable<bool> HttpSession::refuse_head(error_code fault) {
  const bool is_http = fault.category() == http::make_error_code(http::error::bad_method).category();
  if (!is_http || fault == http::error::end_of_stream || fault == http::error::partial_message)
    co_return false;
  ++server_.counters.malformed;
  const bool is_long = fault == http::error::header_limit || fault == http::error::buffer_overflow;
  const auto refused =
      is_long ? refusal(431, "headers_too_large",
                        "request line and headers have more than " +
                            std::to_string(server_.limits.header_bytes_max) + " bytes")
              : refusal(400, name(Errc::invalid_argument), "this is not an HTTP request: " + fault.message());
  co_return co_await refuse_and_close(refused);
}

asio::awaitable<std::optional<Response>> HttpSession::read_body(const Route& route, const Head& head) {
  const auto overloaded = [] {
    return refusal(503, name(Errc::overloaded), "too many bodies are being read, try again");
  };
  const auto length = static_cast<std::size_t>(head.content_length.value_or(0));
  if (!server_.reserve(length)) co_return overloaded();
  body_bytes_ = length;
  parser_->body_limit(route.body_bytes_max);
  const auto begin = std::chrono::steady_clock::now();
  if (!head.request.header("expect").empty()) {
    constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
    stream_.expires_after(server_.limits.body_timeout);
    auto [fault, bytes] = co_await asio::async_write(stream_, asio::buffer(kGoOn), kTuple);
    if (fault) co_return std::nullopt;
  }
  while (!parser_->is_done()) {
    const auto& body = parser_->get().body();
    stream_.expires_at(begin + time_for(body.size(), server_.limits.body_timeout));
    auto [fault, bytes] = co_await http::async_read_some(stream_, buffer_, *parser_, kTuple);
    if (fault == http::error::body_limit)
      co_return refusal(413, name(Errc::too_large),
                        "the body is larger than " + std::to_string(route.body_bytes_max) + " bytes");
    if (fault && fault.category() == http::make_error_code(http::error::bad_chunk).category() &&
        fault != http::error::partial_message) {
      ++server_.counters.malformed;
      co_return refusal(400, name(Errc::invalid_argument), "the body is broken: " + fault.message());
    }
    if (fault) co_return std::nullopt;
    if (body.size() <= body_bytes_) continue;
    if (!server_.reserve(body.size() - body_bytes_)) co_return overloaded();
    body_bytes_ = body.size();
  }
  co_return std::nullopt;
}

asio::awaitable<Response> HttpSession::answer_of(const Route& route, Request& request) {
  const auto pending = std::make_shared<Pending>(server_.io);
  const auto deliver = [weak_server = server_.weak_from_this(),
                        weak = std::weak_ptr<Pending>(pending)](Response response) {
    const auto server = weak_server.lock();
    if (!server) return;
    asio::post(server->io, [weak, response = std::move(response)]() mutable {
      const auto waiting = weak.lock();
      if (!waiting) return;
      waiting->response.emplace(std::move(response));
      waiting->timer.cancel();
    });
  };
  pending->timer.expires_after(server_.limits.answer_timeout);
  stream_.expires_never();
  route.handle(std::move(request), Answer(deliver));
  static_cast<void>(co_await pending->timer.async_wait(kTuple));
  if (pending->response) co_return *std::move(pending->response);
  co_return refusal(504, name(Errc::timeout), "no answer in time", Executed::unknown);
}

asio::awaitable<bool> HttpSession::respond(const Response& response, bool keep) {
  keep = keep && !server_.stopping;
  ++server_.counters.responses[std::min<std::size_t>(response.status / 100, 5) - 1];
  const auto head = head_text(response, response.body.size(), keep, wall_now());
  const std::string_view body = is_head_ ? std::string_view{} : response.body;
  server_.counters.body_bytes_out += body.size();
  const std::array<asio::const_buffer, 2> parts{asio::buffer(head), asio::buffer(body)};
  stream_.expires_after(time_for(body.size(), server_.limits.body_timeout));
  auto [fault, bytes] = co_await asio::async_write(stream_, parts, kTuple);
  co_return !fault && keep;
}

/// Answers while the client may still be sending. A close with unread bytes would reset the connection and
/// take the answer with it, so what comes is read for a while, and forgotten.
asio::awaitable<bool> HttpSession::refuse_and_close(const Response& response) {
  co_await respond(response, false);
  error_code fault;
  stream_.socket().shutdown(tcp::socket::shutdown_send, fault);
  stream_.expires_after(kLingerTime);
  while (!fault && !ended_) {
    buffer_.clear();
    auto [ended, bytes] = co_await stream_.async_read_some(buffer_.prepare(kBufferBytesMax), kTuple);
    fault = ended;
  }
  co_return false;
}

/// `feed`, which wakes this session when it has news.
std::shared_ptr<Feed> HttpSession::watch(std::shared_ptr<Feed> feed) {
  feed->on_news([weak_server = server_.weak_from_this(), weak = weak_from_this()] {
    const auto server = weak_server.lock();
    if (!server) return;
    asio::post(server->io, [weak] {
      if (const auto self = weak.lock()) self->timer_.cancel();
    });
  });
  return feed;
}

/// Until there is news, or it is time for a sign of life.
asio::awaitable<void> HttpSession::wait_for_news() {
  timer_.expires_after(server_.limits.ping_period);
  static_cast<void>(co_await timer_.async_wait(kTuple));
}

asio::awaitable<void> HttpSession::send_events(const Response& response) {
  if (server_.counters.open_feeds >= server_.limits.feeds_max) {
    const auto refused = refusal(503, name(Errc::overloaded), "too many event streams are open");
    co_await respond(refused, false);
    co_return;
  }
  ++server_.counters.responses[1];
  ++server_.counters.open_feeds;
  const auto feed = watch(response.feed);
  auto text = head_text(response, std::nullopt, false, wall_now());
  bool broken = is_head_;
  if (is_head_) co_await asio::async_write(stream_, asio::buffer(text), kTuple);
  while (!broken && !ended_) {
    for (const auto& message : feed->take()) {
      text += "id: " + std::to_string(message.id) + "\ndata: " + message.text + "\n\n";
      ++server_.counters.events_sent;
    }
    if (text.empty()) text = ":\n\n";  // a comment: is anybody there?
    stream_.expires_after(time_for(text.size(), server_.limits.body_timeout));
    auto [fault, bytes] = co_await asio::async_write(stream_, asio::buffer(text), kTuple);
    broken = static_cast<bool>(fault);
    text.clear();
    if (!broken && !ended_) co_await wait_for_news();
  }
  --server_.counters.open_feeds;
}

asio::awaitable<void> HttpSession::serve_socket(const Route& route, const Request& request) {
  if (buffer_.size() != 0) {
    const auto early = refusal(400, name(Errc::invalid_argument), "frames before the WebSocket is open");
    co_await respond(early, false);
    co_return;
  }
  auto opened = route.feed(request);
  if (!opened || server_.counters.open_feeds >= server_.limits.feeds_max) {
    const auto refused = opened ? refusal(503, name(Errc::overloaded), "too many event streams are open")
                                : failure(opened.error());
    co_await respond(refused, false);
    co_return;
  }
  const auto feed = watch(std::move(opened).value());
  stream_.expires_never();  // the WebSocket has timeouts of its own
  socket_.emplace(std::move(stream_));
  websocket::stream_base::timeout times{};
  times.handshake_timeout = server_.limits.head_timeout;
  times.idle_timeout = 2 * server_.limits.ping_period;  // a ping after half of it
  times.keep_alive_pings = true;
  socket_->set_option(times);
  socket_->read_message_max(kSocketMessageBytesMax);
  if (list_has(request.header("sec-websocket-protocol"), kEventsProtocol)) {
    websocket::stream_base::decorator name_protocol([](websocket::response_type& response) {
      response.set(http::field::sec_websocket_protocol, kEventsProtocol);
    });
    socket_->set_option(std::move(name_protocol));
  }
  auto [refused] = co_await socket_->async_accept(parser_->get(), kTuple);
  if (refused) co_return;
  ++server_.counters.responses[0];
  ++server_.counters.open_feeds;
  asio::co_spawn(server_.io, read_socket(), asio::detached);
  bool broken = false;
  while (!broken && !ended_) {
    for (const auto& message : feed->take()) {
      if (broken) break;
      auto [fault, bytes] = co_await socket_->async_write(asio::buffer(message.text), kTuple);
      broken = static_cast<bool>(fault);
      ++server_.counters.events_sent;
    }
    if (!broken && !ended_) co_await wait_for_news();
  }
  --server_.counters.open_feeds;
  if (!broken && socket_->is_open()) {
    const websocket::close_reason why(websocket::close_code::going_away, "the node is stopping");
    static_cast<void>(co_await socket_->async_close(why, kTuple));
  }
}

/// Sees to pings and to the client's close. Whatever else it says is not understood.
asio::awaitable<void> HttpSession::read_socket() {
  const auto self = shared_from_this();
  auto [fault, bytes] = co_await socket_->async_read(buffer_, kTuple);
  if (!fault) {
    const websocket::close_reason why(websocket::close_code::unknown_data, "this stream takes no messages");
    static_cast<void>(co_await socket_->async_close(why, kTuple));
  }
  ended_ = true;
  timer_.cancel();
}

}  // namespace

std::shared_ptr<Session> make_session(tcp::socket socket, HttpServer::Impl& server) {
  return std::make_shared<HttpSession>(std::move(socket), server);
}

}  // namespace cluster::gateway
