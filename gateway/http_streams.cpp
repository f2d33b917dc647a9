// What goes on while a connection stays with one request: bodies that are not held, events, WebSockets.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "http_session.hpp"

namespace cluster::gateway {
namespace {

constexpr std::size_t kPieceBytes = 1u << 20;         // of a body that is not held
constexpr std::size_t kSocketMessageBytesMax = 4096;  // from a client, who has nothing to say

/// Of a handshake that RFC 6455 (4.2.1) does not know; Beast would say it in its own way.
std::optional<Response> handshake_refusal(const Request& request) {
  constexpr std::size_t kKeyLength = 24;  // 16 bytes in base64
  const auto key = request.header("sec-websocket-key");
  if (request.count("sec-websocket-key") != 1 || key.size() != kKeyLength || !key.ends_with("=="))
    return refusal(400, name(Errc::invalid_argument),
                   "a WebSocket needs a Sec-WebSocket-Key of 16 bytes in base64");
  if (request.count("sec-websocket-version") != 1)
    return refusal(400, name(Errc::invalid_argument), "a WebSocket needs a Sec-WebSocket-Version");
  if (request.header("sec-websocket-version") == "13") return std::nullopt;
  auto refused = refusal(426, "upgrade_required", "WebSockets are of version 13 here");
  refused.headers.emplace_back("Sec-WebSocket-Version", "13");
  refused.headers.emplace_back("Upgrade", "websocket");
  return refused;
}

}  // namespace

asio::awaitable<std::optional<Response>> HttpSession::take_in(const Route& route, const Head& head,
                                                              bool& whole) {
  auto opened = route.intake(head.request);
  if (!opened) co_return failure(opened.error());
  const auto length = head.has_body() ? head.content_length.value_or(kStreamBytes) : 0;
  const auto held = stream_bytes(length);
  if (!server_.reserve(held)) co_return too_many_bodies();
  body_bytes_ = held;
  if (const bool asked = co_await go_on(head); !asked) co_return std::nullopt;
  const auto intake = std::move(opened).value();
  http::request_parser<http::buffer_body> parser(std::move(*parser_));
  while (!parser.is_done()) {
    Bytes piece(static_cast<std::size_t>(std::clamp<std::uint64_t>(length, 1, kPieceBytes)));
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    stream_.expires_after(time_for(piece.size(), server_.limits.body_timeout));
    auto [fault, bytes] = co_await http::async_read(stream_, buffer_, parser, kTuple);
    if (fault == http::error::need_buffer) fault = {};  // the piece is full
    if (is_malformed(fault)) {
      ++server_.counters.malformed;
      co_return refusal(400, name(Errc::invalid_argument), "the body is broken: " + fault.message());
    }
    if (fault) co_return std::nullopt;
    piece.resize(piece.size() - body.size);
    server_.counters.body_bytes_in += piece.size();
    if (piece.empty()) continue;
    const auto pending = std::make_shared<Pending<std::optional<Response>>>(server_.io);
    intake->take(std::move(piece), deliver_to(pending));
    auto taken = co_await result_of(pending);
    if (!taken) co_return no_answer(Executed::no);
    if (*taken) co_return *std::move(taken);
  }
  whole = true;
  const auto pending = std::make_shared<Pending<Response>>(server_.io);
  intake->end(Answer(deliver_to(pending)));
  auto response = co_await result_of(pending);
  if (!response) co_return no_answer();
  co_return response;
}

/// A body that cannot be made to its end is cut off with the connection, which the client sees by its length.
asio::awaitable<bool> HttpSession::send_pieces(const Response& response) {
  for (auto left = response.source_bytes; left > 0;) {
    const auto pending = std::make_shared<Pending<Result<Bytes>>>(server_.io);
    response.source->next(deliver_to(pending));
    const auto made = co_await result_of(pending);
    if (!made || !*made || (*made)->empty() || (*made)->size() > left) co_return false;
    const Bytes& piece = **made;
    stream_.expires_after(time_for(piece.size(), server_.limits.body_timeout));
    auto [fault, bytes] = co_await asio::async_write(stream_, asio::buffer(piece), kTuple);
    if (fault) co_return false;
    left -= piece.size();
    server_.counters.body_bytes_out += piece.size();
  }
  co_return true;
}

/// `feed`, which wakes this session when it has news.
std::shared_ptr<Feed> HttpSession::watch(std::shared_ptr<Feed> feed) {
  feed->on_news([weak_server = server_.weak_from_this(), weak = weak_from_this()] {
    const auto server = weak_server.lock();
    if (!server) return;
    asio::post(server->io, [weak] {
      if (const auto self = weak.lock()) {
        self->has_news_ = true;  // it may be writing, and not wait for the timer
        self->timer_.cancel();
      }
    });
  });
  return feed;
}

/// Until there is news, or it is time for a sign of life.
asio::awaitable<void> HttpSession::wait_for_news() {
  if (has_news_) co_return;
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
    has_news_ = false;
    for (const auto& message : feed->take()) {
      if (message.id != 0) text += "id: " + std::to_string(message.id) + '\n';
      text += "data: " + message.text + "\n\n";
      ++server_.counters.events_sent;
    }
    if (text.empty()) text = ":\n\n";  // a comment: is anybody there?
    stream_.expires_after(time_for(text.size(), server_.limits.body_timeout));
    auto [fault, bytes] = co_await asio::async_write(stream_, asio::buffer(text), kTuple);
    broken = fault || feed->ended();
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
  if (const auto refused = handshake_refusal(request)) {
    co_await respond(*refused, false);
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
  while (!broken && !ended_ && !feed->ended()) {
    has_news_ = false;
    for (const auto& message : feed->take()) {
      if (broken) break;
      auto [fault, bytes] = co_await socket_->async_write(asio::buffer(message.text), kTuple);
      broken = static_cast<bool>(fault);
      ++server_.counters.events_sent;
    }
    if (!broken && !ended_ && !feed->ended()) co_await wait_for_news();
  }
  --server_.counters.open_feeds;
  if (!broken && socket_->is_open()) {
    websocket::close_reason why(websocket::close_code::going_away, "the node is stopping");
    if (!ended_) why = {websocket::close_code::try_again_later, "begin again"};
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

}  // namespace cluster::gateway
