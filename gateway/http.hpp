#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/error.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"

/// HTTP as the routes see it: no sockets, no threads, no library behind it.
namespace cluster::gateway {

enum class Method : std::uint8_t { get, head, post, put, del, options, other };
[[nodiscard]] Method method_from(std::string_view name) noexcept;
[[nodiscard]] std::string_view name(Method method) noexcept;

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// The path and the query of a request, taken apart and decoded.
struct Target {
  std::vector<std::string> path{};  ///< the segments: "/v1/a%2Fb" is "v1", "a/b"; "/" is none
  Pairs query{};                    ///< in their order
};
/// Takes "/path?query" apart. `invalid_argument` for what is not such a thing, for broken percent-encoding,
/// for text that is not UTF-8 or holds control characters, and for the segments "." and "..".
[[nodiscard]] Result<Target> parse_target(std::string_view text);

struct Request {
  Method method = Method::get;
  Target target{};
  Pairs headers{};  ///< names in lower case
  std::string body{};
  std::vector<std::string> captures{};  ///< what stood for the {names} of the route, in order

  /// The value of the first header of this (lower-case) name; empty if there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
  /// The values of all headers of this name, as one list.
  [[nodiscard]] std::string list(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
  /// The first parameter of this name in the query; null if there is none.
  [[nodiscard]] const std::string* parameter(std::string_view name) const noexcept;
};

/// Text that goes on as long as the client listens: events. Of the thread that serves.
class Feed {
 public:
  struct Message {
    std::uint64_t id = 0;  ///< to resume behind it; 0: it is no place to resume at
    std::string text{};    ///< JSON, one line
  };
  virtual ~Feed() = default;
  /// What is new since the last time, oldest first; never blocks.
  [[nodiscard]] virtual std::vector<Message> take() = 0;
  /// `wake` is called when there may be something to take, until the feed is destroyed. Any thread.
  virtual void on_news(std::function<void()> wake) = 0;
  /// There will be nothing more to take: the stream ends.
  [[nodiscard]] virtual bool ended() const { return false; }
};

struct Response;
class Answer;

/// Takes the body of one request as it comes, so that none of it is held. Destroyed before `end`: it broke
/// off. Called on the thread that serves, one call at a time; must not block.
class Intake {
 public:
  /// Nothing: the next piece may come. A response: it is the answer, and the rest is not wanted.
  using Taken = std::function<void(std::optional<Response>)>;
  virtual ~Intake() = default;
  /// Some bytes, never none. `done` is called once, from any thread.
  virtual void take(Bytes piece, Taken done) = 0;
  /// That was all.
  virtual void end(Answer answer) = 0;
};

/// Makes the body of one response as it goes out. Called like an Intake.
class Source {
 public:
  using Made = std::function<void(Result<Bytes>)>;
  virtual ~Source() = default;
  /// `done` is called once, from any thread, with the next bytes. An error breaks the response off.
  virtual void next(Made done) = 0;
};

struct Response {
  unsigned status = 200;
  std::string type = "application/json";
  std::string body{};
  Pairs headers{};
  std::shared_ptr<Feed> feed{};      ///< after the head the feed's messages, as server-sent events; no body
  std::shared_ptr<Source> source{};  ///< makes the body, instead of `body`,
  std::uint64_t source_bytes = 0;    ///< of this length,
  std::uint64_t source_reads = 0;    ///< from so much, if that is more
};

/// Takes the response of a handler: once, from any thread. If all copies go unanswered, the client is
/// answered 503, so that no client waits for an answer that nobody can give any more.
class Answer {
 public:
  explicit Answer(std::function<void(Response)> done);
  void operator()(Response response) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// {"ok": false, "error": {"message", "code", "executed"}}
[[nodiscard]] Response refusal(unsigned status, std::string_view code, std::string_view message,
                               Executed executed = Executed::no);
/// The same for an error of the node, under the status that fits its code.
[[nodiscard]] Response failure(const Error& error);
[[nodiscard]] unsigned status_of(Errc code) noexcept;
/// The head of a response with a body of `length` bytes, or, without a length, of one that ends with the
/// connection.
[[nodiscard]] std::string head_text(const Response& response, std::optional<std::size_t> length,
                                    bool keep_alive, WallTime now);
/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7)
[[nodiscard]] std::string http_date(WallTime time);
/// The time that such a text tells, or one of the two older forms; nothing if it tells none.
[[nodiscard]] std::optional<WallTime> http_time(std::string_view text);
/// "Not Found"
[[nodiscard]] std::string_view reason_of(unsigned status) noexcept;

}  // namespace cluster::gateway
