#include "cluster/gateway/http.hpp"

#include <doctest/doctest.h>

#include "cluster/wire/value.hpp"
#include "json_text.hpp"

namespace cluster::gateway {
namespace {

TEST_CASE("http: the head of a response names what follows") {
  const Response response{.status = 404, .body = "{}", .headers = {{"Allow", "GET"}}};
  const auto at = wall_from_micros(784'111'777'000'000);  // the example of RFC 9110
  CHECK(head_text(response, 2, true, at) ==
        "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n"
        "Content-Length: 2\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nAllow: "
        "GET\r\n\r\n");
  CHECK(head_text(response, 2, false, at).ends_with("\r\nConnection: close\r\n\r\n"));
  CHECK(head_text(response, std::nullopt, false, at).find("Content-Length") == std::string::npos);
  CHECK(head_text({.status = 204}, 0, true, at).find("Content-Length") == std::string::npos);
  CHECK(head_text({.status = 304}, 0, true, at).find("Content-Length") == std::string::npos);
}

TEST_CASE("http: a response is kept nowhere unless it says for how long") {
  const auto at = wall_from_micros(0);
  const auto kept = head_text({.headers = {{"Cache-Control", "no-cache"}}}, 0, true, at);
  CHECK(kept.find("Cache-Control: no-cache\r\n") != std::string::npos);
  CHECK(kept.find("no-store") == std::string::npos);
}

TEST_CASE("http: headers that come twice are one list") {
  const Request request{.headers = {{"if-match", "\"a\""}, {"range", "x"}, {"if-match", "\"b\""}}};
  CHECK(request.list("if-match") == "\"a\", \"b\"");
  CHECK(request.list("if-none-match").empty());
}

TEST_CASE("http: an error tells its message, its code, and whether it ran") {
  const auto response = failure(Error(Errc::timeout, "no answer in time", Executed::unknown));
  CHECK(response.status == 504);
  CHECK(response.body ==
        R"({"ok":false,"error":{"message":"no answer in time","code":"timeout","executed":"unknown"}})"
        "\n");
  CHECK(failure(Error(Errc::overloaded, "full")).headers == Pairs{{"Retry-After", "1"}});
}

TEST_CASE("http: every error code has a status of its kind") {
  for (unsigned code = 1; code <= static_cast<unsigned>(kErrcLast); ++code) {
    CAPTURE(code);
    const auto status = status_of(static_cast<Errc>(code));
    CHECK(status >= 400);
    CHECK(status < 600);
    CHECK(reason_of(status) != "Unknown");
  }
}

TEST_CASE("http: methods are told apart by their exact names") {
  for (const auto method :
       {Method::get, Method::head, Method::post, Method::put, Method::del, Method::options})
    CHECK(method_from(name(method)) == method);
  for (const char* other : {"", "get", "GETS", "PATCH", "CONNECT", "TRACE"}) {
    CAPTURE(other);
    CHECK(method_from(other) == Method::other);
  }
}

TEST_CASE("http: the first answer counts, and one that is never given is a refusal") {
  std::vector<unsigned> given;
  {
    const Answer answer([&](const Response& response) { given.push_back(response.status); });
    const Answer copy = answer;
    copy({.status = 201});
    answer({.status = 202});
  }
  CHECK(given == std::vector<unsigned>{201});
  {
    const Answer forgotten([&](const Response& response) { given.push_back(response.status); });
  }
  CHECK(given == std::vector<unsigned>{201, 503});
}

TEST_CASE("http: the three forms of a date are one time, and what is none is nothing") {
  const auto time = http_time("Sun, 06 Nov 1994 08:49:37 GMT");
  REQUIRE(time.has_value());
  CHECK(micros(*time) == 784'111'777'000'000);
  CHECK(http_date(*time) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(http_time("Sunday, 06-Nov-94 08:49:37 GMT") == time);
  CHECK(http_time("Sun Nov  6 08:49:37 1994") == time);
  for (const char* text : {"", "now", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
                           "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
                           "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov x 08:49:37 GMT",
                           "Son, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 19940 08:49:37 GMT", "784111777"})
    CHECK_MESSAGE(!http_time(text), text);
}

}  // namespace
}  // namespace cluster::gateway
