#include "cluster/gateway/http.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "json_text.hpp"

namespace cluster::gateway {
namespace {

constexpr std::array<std::string_view, 7> kMethodNames{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", ""};

constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::vector<std::string_view> words_of(std::string_view text, std::string_view between) {
  std::vector<std::string_view> words;
  for (auto begin = text.find_first_not_of(between); begin != text.npos;) {
    const auto end = std::min(text.find_first_of(between, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(between, end);
  }
  return words;
}

std::optional<unsigned> digits(std::string_view text, std::size_t most) {
  unsigned value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size() || text.size() > most) return std::nullopt;
  return value;
}

/// Of two digits, the year that is not more than 50 years ahead (RFC 9110 section 5.6.7).
unsigned full_year(unsigned year) {
  const std::chrono::year_month_day today(std::chrono::floor<std::chrono::days>(wall_now()));
  const unsigned near = 2000 + year;
  return near > static_cast<unsigned>(static_cast<int>(today.year())) + 50 ? near - 100 : near;
}

}  // namespace

std::string http_date(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02ld:%02ld:%02ld GMT",
                kDays[std::chrono::weekday(day).c_encoding()].data(), static_cast<unsigned>(date.day()),
                kMonths[static_cast<unsigned>(date.month()) - 1].data(), static_cast<int>(date.year()),
                static_cast<long>(clock.hours().count()), static_cast<long>(clock.minutes().count()),
                static_cast<long>(clock.seconds().count()));
  return text.data();
}

std::optional<WallTime> http_time(std::string_view text) {
  const auto words = words_of(text, " ,-");
  const bool is_asctime = words.size() == 5;
  if (!is_asctime && (words.size() != 6 || words[5] != "GMT")) return std::nullopt;
  const auto clock = words_of(words[is_asctime ? 3 : 4], ":");
  const auto month = std::ranges::find(kMonths, words[is_asctime ? 1 : 2]);
  const auto named = std::ranges::find(kDays, words[0].substr(0, 3));
  if (clock.size() != 3 || month == kMonths.end() || named == kDays.end()) return std::nullopt;
  const auto day = digits(words[is_asctime ? 2 : 1], 2);
  const auto year_text = words[is_asctime ? 4 : 3];
  const auto year = digits(year_text, 4);
  const auto hours = digits(clock[0], 2), minutes = digits(clock[1], 2), seconds = digits(clock[2], 2);
  if (!day || !year || !hours || !minutes || !seconds || *hours > 23 || *minutes > 59 || *seconds > 60)
    return std::nullopt;
  const std::chrono::year_month_day date(
      std::chrono::year(static_cast<int>(year_text.size() == 2 ? full_year(*year) : *year)),
      std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1), std::chrono::day(*day));
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hours) + std::chrono::minutes(*minutes) +
         std::chrono::seconds(*seconds);
}

Method method_from(std::string_view name) noexcept {
  const auto found = std::ranges::find(kMethodNames, name);
  const auto at = static_cast<std::size_t>(found - kMethodNames.begin());
  return at < kMethodNames.size() - 1 ? static_cast<Method>(at) : Method::other;
}

std::string_view name(Method method) noexcept { return kMethodNames[static_cast<std::size_t>(method)]; }

std::string_view Request::header(std::string_view name) const noexcept {
  const auto found = std::ranges::find(headers, name, &Pairs::value_type::first);
  return found == headers.end() ? std::string_view{} : found->second;
}

std::string Request::list(std::string_view name) const {
  std::string all;
  for (const auto& [key, value] : headers)
    if (key == name) all += (all.empty() ? "" : ", ") + value;
  return all;
}

std::size_t Request::count(std::string_view name) const noexcept {
  return static_cast<std::size_t>(std::ranges::count(headers, name, &Pairs::value_type::first));
}

const std::string* Request::parameter(std::string_view name) const noexcept {
  const auto found = std::ranges::find(target.query, name, &Pairs::value_type::first);
  return found == target.query.end() ? nullptr : &found->second;
}

struct Answer::State {
  explicit State(std::function<void(Response)> take) : done(std::move(take)) {}
  ~State() {
    if (!answered) done(refusal(503, name(Errc::stopped), "the node is stopping", Executed::unknown));
  }
  std::function<void(Response)> done;
  std::atomic<bool> answered = false;
};

Answer::Answer(std::function<void(Response)> done) : state_(std::make_shared<State>(std::move(done))) {}

void Answer::operator()(Response response) const {
  if (!state_->answered.exchange(true)) state_->done(std::move(response));
}

Response refusal(unsigned status, std::string_view code, std::string_view message, Executed executed) {
  using wire::Value;
  Response response{.status = status};
  response.body = json_body(Value::map(
      {{"ok", false},
       {"error", Value::map({{"message", message}, {"code", code}, {"executed", name(executed)}})}}));
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Response failure(const Error& error) {
  return refusal(status_of(error.code()), name(error.code()), error.message(), error.executed());
}

unsigned status_of(Errc code) noexcept {
  switch (code) {
    case Errc::invalid_argument:
    case Errc::bad_message:
      return 400;
    case Errc::no_server:
    case Errc::not_found:
      return 404;
    case Errc::refused:
    case Errc::already_exists:
    case Errc::duplicate_id:
    case Errc::wrong_ring:
      return 409;
    case Errc::too_large:
      return 413;
    case Errc::peer_lost:
    case Errc::wrong_cookie:
    case Errc::incompatible:
      return 502;
    case Errc::unreachable:
    case Errc::overloaded:
    case Errc::stopped:
    case Errc::cancelled:
    case Errc::no_quorum:
      return 503;
    case Errc::timeout:
      return 504;
    case Errc::handler_failed:
    case Errc::would_block:
    case Errc::would_deadlock:
    case Errc::corrupt:
    case Errc::io:
    case Errc::internal:
      break;
  }
  return 500;
}

std::string head_text(const Response& response, std::optional<std::size_t> length, bool keep_alive,
                      WallTime now) {
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + ' ';
  text += reason_of(response.status);
  const auto add = [&text](std::string_view name, std::string_view value) {
    text.append("\r\n").append(name).append(": ").append(value);
  };
  add("Date", http_date(now));
  if (!response.type.empty()) add("Content-Type", response.type);
  if (length && response.status != 204 && response.status != 304)
    add("Content-Length", std::to_string(*length));
  const bool has_caching = std::ranges::any_of(
      response.headers, [](const auto& header) { return header.first == "Cache-Control"; });
  if (!has_caching) add("Cache-Control", "no-store");
  add("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) add(name, value);
  if (!keep_alive) add("Connection", "close");
  return text + "\r\n\r\n";
}

std::string_view reason_of(unsigned status) noexcept {
  struct Reason {
    unsigned status;
    std::string_view text;
  };
  constexpr std::array kReasons{Reason{200, "OK"},
                                Reason{201, "Created"},
                                Reason{202, "Accepted"},
                                Reason{204, "No Content"},
                                Reason{206, "Partial Content"},
                                Reason{300, "Multiple Choices"},
                                Reason{304, "Not Modified"},
                                Reason{400, "Bad Request"},
                                Reason{401, "Unauthorized"},
                                Reason{403, "Forbidden"},
                                Reason{404, "Not Found"},
                                Reason{405, "Method Not Allowed"},
                                Reason{406, "Not Acceptable"},
                                Reason{408, "Request Timeout"},
                                Reason{409, "Conflict"},
                                Reason{412, "Precondition Failed"},
                                Reason{413, "Content Too Large"},
                                Reason{415, "Unsupported Media Type"},
                                Reason{416, "Range Not Satisfiable"},
                                Reason{417, "Expectation Failed"},
                                Reason{421, "Misdirected Request"},
                                Reason{426, "Upgrade Required"},
                                Reason{431, "Request Header Fields Too Large"},
                                Reason{500, "Internal Server Error"},
                                Reason{501, "Not Implemented"},
                                Reason{502, "Bad Gateway"},
                                Reason{503, "Service Unavailable"},
                                Reason{504, "Gateway Timeout"},
                                Reason{505, "HTTP Version Not Supported"}};
  const auto found = std::ranges::find(kReasons, status, &Reason::status);
  return found == kReasons.end() ? "Unknown" : found->text;
}

}  // namespace cluster::gateway
