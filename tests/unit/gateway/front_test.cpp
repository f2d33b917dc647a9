#include "cluster/gateway/front.hpp"

#include <doctest/doctest.h>

#include "cluster/proto/access_token.hpp"

namespace cluster::gateway {
namespace {

const std::string kToken = "a-token-for-tests-only";

struct Fixture {
  explicit Fixture(AccessConfig config = {}) : front(std::move(config), routes(), Tokens::given(kToken)) {}

  static Router routes() {
    Router router;
    router.add({.pattern = "/healthz", .open = true});
    router.add({.pattern = "/v1/ring"});
    router.add({.method = Method::post, .pattern = "/v1/call/{server}", .body_bytes_max = 100});
    router.add({.method = Method::put, .pattern = "/v1/raw", .body_bytes_max = 100, .json_body = false});
    router.add({.method = Method::put, .pattern = "/v1/stream", .json_body = false, .intake = no_intake});
    return router;
  }
  static Result<std::shared_ptr<Intake>> no_intake(const Request&) { return std::shared_ptr<Intake>(); }
  static Head get(std::string target, Pairs headers = {}) {
    Head head{.target = std::move(target)};
    head.request.headers = {{"host", "localhost:8080"}, {"authorization", "Bearer " + kToken}};
    for (auto& [name, value] : headers) {
      std::erase_if(head.request.headers, [&](const auto& known) { return known.first == name; });
      if (value != "-") head.request.headers.emplace_back(name, value);
    }
    return head;
  }
  static Head post(std::string target, Pairs headers, std::optional<std::uint64_t> length) {
    auto head = get(std::move(target), std::move(headers));
    head.request.method = head.target.starts_with("/v1/call") ? Method::post : Method::put;
    head.content_length = length;
    return head;
  }
  /// 200 for a request that is admitted.
  unsigned status(Head head) {
    const auto admitted = front.admit(head);
    const auto* refused = std::get_if<Response>(&admitted);
    return refused ? refused->status : 200;
  }
  Response refused(Head head) { return std::get<Response>(front.admit(head)); }

  Front front;
};

TEST_CASE(
    "front: a request with the token goes to its route, one without is refused before anything is said") {
  Fixture f;
  CHECK(f.status(f.get("/v1/ring")) == 200);
  CHECK(f.status(f.get("/v1/ring", {{"authorization", "bEaReR  " + kToken + " "}})) == 200);
  for (const auto& wrong :
       std::vector<std::string>{"-", "", "Bearer", "Bearer ", "Bearer x", "Basic " + kToken, kToken,
                                "Bearer " + kToken + "x", "Bearer " + kToken.substr(1), "Bearer" + kToken}) {
    CAPTURE(wrong);
    for (const char* target : {"/v1/ring", "/nothing/here", "/v1/call/x"}) {
      const auto refused = f.refused(f.get(target, {{"authorization", wrong}}));
      CHECK(refused.status == 401);
      CHECK(refused.headers.front().first == "WWW-Authenticate");
    }
  }
  CHECK(f.status(f.get("/healthz", {{"authorization", "-"}})) == 200);
  CHECK(f.front.unauthorized() == 30);
}

TEST_CASE("front: a WebSocket may bring its token as a subprotocol, a plain request may not") {
  Fixture f;
  auto head = f.get("/v1/ring", {{"authorization", "-"},
                                 {"sec-websocket-protocol", "cluster.events.v1, bearer." + kToken}});
  CHECK(f.status(head) == 401);
  head.upgrade = true;
  CHECK(f.status(head) == 200);
  head.request.headers.back().second = "bearer.wrong";
  CHECK(f.status(head) == 401);
}

TEST_CASE("front: unknown paths are 404, known ones with another method 405 with what they take") {
  Fixture f;
  CHECK(f.status(f.get("/v1")) == 404);
  const auto refused = f.refused(f.get("/v1/call/x"));
  CHECK(refused.status == 405);
  CHECK(refused.headers == Pairs{{"Allow", "POST"}});
}

TEST_CASE("front: only names that the node is known under are served") {
  Fixture f({.hosts = {"Node1.example.org"}});
  for (const char* host : {"localhost", "LOCALHOST:1", "a.localhost:80", "localhost.", "127.0.0.1:80",
                           "10.1.2.3", "[::1]", "[::1]:8080", "node1.EXAMPLE.org:7"}) {
    CAPTURE(host);
    CHECK(f.status(f.get("/v1/ring", {{"host", host}})) == 200);
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "xlocalhost", ".localhost",
                           "127.0.0.1.evil.example", "node1.example.org.evil", "1.2.3", "[evil]"}) {
    CAPTURE(host);
    CHECK(f.status(f.get("/v1/ring", {{"host", host}})) == 421);
    CHECK(f.status(f.get("/healthz", {{"host", host}})) == 421);
  }
  for (const char* host : {"[::1", "localhost:x", "localhost:80:80", "[::1]x", ":80", "localhost:123456"}) {
    CAPTURE(host);
    CHECK(f.status(f.get("/v1/ring", {{"host", host}})) == 400);
  }
  Fixture any({.hosts = {"*"}});
  CHECK(any.status(any.get("/v1/ring", {{"host", "evil.example"}})) == 200);
}

TEST_CASE("front: HTTP/1.1 has one host, HTTP/1.0 may have none") {
  Fixture f;
  CHECK(f.status(f.get("/v1/ring", {{"host", "-"}})) == 400);
  auto old = f.get("/v1/ring", {{"host", "-"}});
  old.version = 10;
  CHECK(f.status(old) == 200);
  auto two = f.get("/v1/ring");
  two.request.headers.emplace_back("host", "localhost");
  CHECK(f.status(two) == 400);
  auto next = f.get("/v1/ring");
  next.version = 20;
  CHECK(f.status(next) == 505);
}

TEST_CASE("front: a target that names the host itself is held to that name") {
  Fixture f;
  CHECK(f.status(f.get("http://localhost:8080/v1/ring")) == 200);
  CHECK(f.status(f.get("HTTP://127.0.0.1/v1/ring?a=b")) == 200);
  CHECK(f.status(f.get("http://evil.example/v1/ring")) == 421);
  CHECK(f.status(f.get("http://user@localhost/v1/ring")) == 421);
  CHECK(f.status(f.get("http:///v1/ring")) == 400);
  CHECK(f.status(f.get("http://localhost")) == 400);
  CHECK(f.status(f.get("https://localhost/")) == 400);
}

TEST_CASE("front: a page from elsewhere is refused unless its origin is allowed") {
  Fixture f;
  CHECK(f.status(f.get("/v1/ring", {{"origin", "http://localhost:8080"}})) == 200);
  for (const char* origin : {"http://evil.example", "http://localhost", "http://localhost:8081", "null", "",
                             "http://localhost:8080.evil.example", "localhost:8080"}) {
    CAPTURE(origin);
    CHECK(f.status(f.get("/v1/ring", {{"origin", origin}})) == 403);
  }
  Fixture open({.origins = {"https://pages.example"}});
  auto head = open.get("/v1/ring", {{"origin", "https://pages.example"}});
  CHECK(open.status(head) == 200);
  Response response;
  open.front.allow_origin(head.request, response);
  CHECK(response.headers.at(1) == Pairs::value_type{"Access-Control-Allow-Origin", "https://pages.example"});
  CHECK(open.status(open.get("/v1/ring", {{"origin", "http://pages.example"}})) == 403);
}

TEST_CASE("front: a browser's question before a request is answered without a token, for allowed origins") {
  Fixture f({.origins = {"https://pages.example"}});
  auto head = f.get("/v1/call/x", {{"authorization", "-"},
                                   {"origin", "https://pages.example"},
                                   {"access-control-request-method", "POST"}});
  head.request.method = Method::options;
  const auto response = f.refused(head);
  CHECK(response.status == 204);
  CHECK(response.headers.front() == Pairs::value_type{"Access-Control-Allow-Methods", "POST"});
  head.target = "/v1/nowhere";
  CHECK(f.status(head) == 404);
  Fixture closed;
  CHECK(closed.status(head) == 403);
}

TEST_CASE("front: a body is taken where there is one to take, within its limit and of the right type") {
  Fixture f;
  const Pairs json{{"content-type", "application/json; charset=utf-8"}};
  CHECK(f.status(f.post("/v1/call/x", json, 100)) == 200);
  CHECK(f.status(f.post("/v1/call/x", json, 101)) == 413);
  CHECK(f.status(f.post("/v1/call/x", {}, 0)) == 200);
  CHECK(f.status(f.post("/v1/call/x", {}, 1)) == 415);
  CHECK(f.status(f.post("/v1/call/x", {{"content-type", "text/plain"}}, 1)) == 415);
  CHECK(f.status(f.post("/v1/raw", {}, 1)) == 200);
  CHECK(f.status(f.post("/v1/raw", {{"content-encoding", "identity"}}, 1)) == 200);
  for (const char* path : {"/v1/raw", "/v1/stream"})
    CHECK(f.status(f.post(path, {{"content-encoding", "gzip"}}, 1)) == 415);
  auto body_of_get = f.get("/v1/ring", json);
  body_of_get.content_length = 1;
  CHECK(f.status(body_of_get) == 400);
}

TEST_CASE("front: a body is either counted or in chunks, and nothing in between") {
  Fixture f;
  const auto with = [&](const char* encoding, std::optional<std::uint64_t> length) {
    return f.post("/v1/raw", {{"transfer-encoding", encoding}}, length);
  };
  CHECK(f.status(with("chunked", {})) == 200);
  CHECK(f.status(with("Chunked", {})) == 200);
  for (const char* encoding : {"", "gzip", "xchunked", "chunked, gzip", "gzip, chunked", "chunked, chunked",
                               "identity", "chunked;q=1", "\"chunked\""}) {
    CAPTURE(encoding);
    CHECK(f.status(with(encoding, {})) == 400);
  }
  CHECK(f.status(with("chunked", 5)) == 400);
  auto old = with("chunked", {});
  old.version = 10;
  CHECK(f.status(old) == 400);
  auto twice = with("chunked", {});
  twice.request.headers.emplace_back("transfer-encoding", "chunked");
  CHECK(f.status(twice) == 400);
  CHECK(f.status(f.post("/v1/raw", {{"expect", "100-continue"}}, 1)) == 200);
  CHECK(f.status(f.post("/v1/raw", {{"expect", "miracles"}}, 1)) == 417);
}

TEST_CASE("tokens: those of the node's keys are accepted, as long as the node accepts the keys") {
  const auto cost = proto::Keyring::cost_for_tests();
  auto keyring =
      proto::Keyring::from_cookies({"the first cookie of a test", "the second cookie of it"}, cost).value();
  const auto first = proto::access_token(keyring.key(0));
  const auto second = proto::access_token(keyring.key(1));
  CHECK(first.size() == 64);
  CHECK(first != second);
  CHECK(first.find(hex(keyring.key(0)).substr(0, 8)) == std::string::npos);
  auto tokens = Tokens::of([&] { return keyring; });
  CHECK(tokens.accept(first));
  CHECK(tokens.accept(second));
  CHECK(!tokens.accept(""));
  CHECK(!tokens.accept(first.substr(1)));
  keyring = keyring.without(keyring.id(1)).value();
  CHECK(tokens.accept(first));
  CHECK(!tokens.accept(second));
}

TEST_CASE("tokens: one that is given has 16 to 512 characters that a header may carry") {
  CHECK(Tokens::checked(std::string(15, 'a')).error().code() == Errc::invalid_argument);
  CHECK(Tokens::checked(std::string(16, 'a')).has_value());
  CHECK(Tokens::checked(std::string(512, 'a')).has_value());
  CHECK(!Tokens::checked(std::string(513, 'a')));
  for (const char c : {' ', '\n', '"', '\x80', ','})
    CHECK(!Tokens::checked("0123456789abcdef" + std::string(1, c)));
}

}  // namespace
}  // namespace cluster::gateway
