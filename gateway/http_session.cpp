#include "http_session.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <exception>

namespace cluster::gateway {
namespace {

constexpr std::size_t kReadBytes = 4096;
constexpr Duration kLingerTime = 2s;

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

}  // namespace

void HttpSession::start() {
  enlist();
  asio::co_spawn(server_.io, run(), asio::detached);
}

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
  if (route.intake) {
    bool whole = false;
    auto answer = co_await take_in(route, head, whole);
    if (!answer) co_return false;
    server_.front->allow_origin(head.request, *answer);
    if (!whole) co_return co_await refuse_and_close(*answer);
    co_return co_await respond(*answer, keep);
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
  std::size_t held = response.body.size() >= kBodyCounted ? response.body.size() : 0;
  if (response.source)
    held = is_head_ ? 0 : stream_bytes(std::max(response.source_bytes, response.source_reads));
  if (held > 0) {
    if (server_.reserve(held))
      body_bytes_ += held;
    else
      response = too_many_bodies();
  }
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
  const auto length = static_cast<std::size_t>(head.content_length.value_or(0));
  if (!server_.reserve(length)) co_return too_many_bodies();
  body_bytes_ = length;
  parser_->body_limit(route.body_bytes_max);
  const auto begin = std::chrono::steady_clock::now();
  if (const bool asked = co_await go_on(head); !asked) co_return std::nullopt;
  while (!parser_->is_done()) {
    const auto& body = parser_->get().body();
    stream_.expires_at(begin + time_for(body.size(), server_.limits.body_timeout));
    auto [fault, bytes] = co_await http::async_read_some(stream_, buffer_, *parser_, kTuple);
    if (fault == http::error::body_limit)
      co_return refusal(413, name(Errc::too_large),
                        "the body is larger than " + std::to_string(route.body_bytes_max) + " bytes");
    if (is_malformed(fault)) {
      ++server_.counters.malformed;
      co_return refusal(400, name(Errc::invalid_argument), "the body is broken: " + fault.message());
    }
    if (fault) co_return std::nullopt;
    if (body.size() <= body_bytes_) continue;
    if (!server_.reserve(body.size() - body_bytes_)) co_return too_many_bodies();
    body_bytes_ = body.size();
  }
  co_return std::nullopt;
}

asio::awaitable<bool> HttpSession::go_on(const Head& head) {
  if (head.request.header("expect").empty()) co_return true;
  constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
  stream_.expires_after(server_.limits.body_timeout);
  auto [fault, bytes] = co_await asio::async_write(stream_, asio::buffer(kGoOn), kTuple);
  co_return !fault;
}

asio::awaitable<Response> HttpSession::answer_of(const Route& route, Request& request) {
  const auto pending = std::make_shared<Pending<Response>>(server_.io);
  route.handle(std::move(request), Answer(deliver_to(pending)));
  auto response = co_await result_of(pending);
  if (response) co_return *std::move(response);
  co_return no_answer();
}

asio::awaitable<bool> HttpSession::respond(const Response& response, bool keep) {
  keep = keep && !server_.stopping;
  ++server_.counters.responses[std::min<std::size_t>(response.status / 100, 5) - 1];
  const auto length = response.source ? response.source_bytes : response.body.size();
  const auto head = head_text(response, length, keep, wall_now());
  const std::string_view body = is_head_ ? std::string_view{} : response.body;
  server_.counters.body_bytes_out += body.size();
  const std::array<asio::const_buffer, 2> parts{asio::buffer(head), asio::buffer(body)};
  stream_.expires_after(time_for(body.size(), server_.limits.body_timeout));
  auto [fault, bytes] = co_await asio::async_write(stream_, parts, kTuple);
  if (fault) co_return false;
  if (response.source && !is_head_) {
    const bool sent = co_await send_pieces(response);
    co_return sent&& keep;
  }
  co_return keep;
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

std::shared_ptr<Session> make_session(tcp::socket socket, HttpServer::Impl& server) {
  return std::make_shared<HttpSession>(std::move(socket), server);
}

}  // namespace cluster::gateway
