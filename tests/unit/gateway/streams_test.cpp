// Bodies that are not held: taken and made piece by piece, over real sockets.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <mutex>

#include "cluster/gateway/gateway.hpp"
#include "eventually.hpp"
#include "socket_client.hpp"

namespace cluster::gateway {
namespace {

using testing::eventually;

constexpr std::size_t kPieces = 40;
constexpr std::size_t kPieceSize = 100'000;

/// What became of the bodies that came.
struct TakenBodies {
  std::mutex mutex;
  std::string body;
  std::atomic<int> open = 0;  // pieces that are being taken
  std::atomic<bool> overlapped = false;
  std::atomic<int> begun = 0, ended = 0, dropped = 0;
};

/// Answers each piece from another thread, later.
class TestIntake final : public Intake {
 public:
  TestIntake(TakenBodies& taken, HttpServer& server, bool refuses)
      : taken_(taken), server_(server), refuses_(refuses) {
    ++taken_.begun;
  }
  ~TestIntake() override {
    if (!ended_) ++taken_.dropped;
  }
  void take(Bytes piece, Taken done) override {
    if (taken_.open++ > 0) taken_.overlapped = true;
    server_.offload([this, piece = std::move(piece), done] {
      const std::lock_guard lock(taken_.mutex);
      taken_.body.append(as_text(piece));
      const bool refused = refuses_ && taken_.body.size() > kPieceSize;
      --taken_.open;
      done(refused ? std::optional(refusal(409, "refused", "enough")) : std::nullopt);
    });
  }
  void end(Answer answer) override {
    ended_ = true;
    ++taken_.ended;
    answer(success("taken"));
  }

 private:
  TakenBodies& taken_;
  HttpServer& server_;
  bool refuses_;
  bool ended_ = false;
};

/// `count` pieces, then an error.
class TestSource final : public Source {
 public:
  TestSource(HttpServer& server, std::size_t count) : server_(server), left_(count) {}
  void next(Made done) override {
    server_.offload([this, done] {
      if (left_ == 0) return done(Error(Errc::corrupt, "there is no more"));
      done(Bytes(kPieceSize, static_cast<std::uint8_t>('a' + left_-- % 26)));
    });
  }

 private:
  HttpServer& server_;
  std::size_t left_;
};

struct StreamFixture {
  explicit StreamFixture(HttpLimits limits = {}) {
    GatewayConfig config;
    config.limits = limits;
    config.endpoint = {"127.0.0.1", 0};
    config.token = "a-token-for-tests-only";
    config.extend = [this](Router& router, const Toolbox& tools) {
      for (const bool refuses : {false, true})
        router.add({.method = Method::put,
                    .pattern = refuses ? "/refusing" : "/taking",
                    .open = true,
                    .intake = [this, refuses, server = tools.server](const Request&) {
                      return Result<std::shared_ptr<Intake>>(
                          std::make_shared<TestIntake>(taken, *server, refuses));
                    }});
      for (const bool breaks : {false, true})
        router.add({.pattern = breaks ? "/breaking" : "/making",
                    .handle =
                        [breaks, server = tools.server](const Request&, const Answer& answer) {
                          Response response;
                          response.source =
                              std::make_shared<TestSource>(*server, breaks ? kPieces / 2 : kPieces);
                          response.source_bytes = kPieces * kPieceSize;
                          answer(std::move(response));
                        },
                    .open = true});
    };
    gateway.emplace(Gateway::start(node, std::move(config)).value());
    port = gateway->endpoint().port;
  }
  static Node start() {
    NodeConfig config{.id = "foo", .host = "127.0.0.1", .port = 0, .cookie = "a cookie for tests"};
    config.scrypt = net::Keyring::cost_for_tests();
    return Node::start(std::move(config)).value();
  }

  TakenBodies taken;
  Node node = start();
  std::optional<Gateway> gateway;
  std::uint16_t port = 0;
};

std::string body_of(std::size_t size) {
  std::string body(size, ' ');
  for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + i * 7919 % 26);
  return body;
}
std::string head_of(const std::string& line, const std::string& more = "") {
  return line + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
}

TEST_CASE("streams: a body is handed on in pieces, one at a time, and the connection goes on behind it") {
  StreamFixture f;
  SocketClient client(f.port);
  const auto body = body_of(5'000'001);
  for (const bool chunked : {false, true}) {
    CAPTURE(chunked);
    f.taken.body.clear();
    if (chunked) {
      client.send(head_of("PUT /taking", "Transfer-Encoding: chunked\r\n"));
      for (std::size_t at = 0; at < body.size(); at += 1'234'567) {
        const auto piece = body.substr(at, 1'234'567);
        std::array<char, 32> size{};
        std::snprintf(size.data(), size.size(), "%zx\r\n", piece.size());
        client.send(size.data() + piece + "\r\n");
      }
      client.send("0\r\n\r\n");
    } else {
      client.send(head_of("PUT /taking", "Content-Length: 5000001\r\n") + body);
    }
    CHECK(client.read_until("\"taken\"}\n").starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(f.taken.body == body);
  }
  client.send(head_of("PUT /taking"));  // none at all
  CHECK(client.read_until("\"taken\"}\n").starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(f.taken.ended == 3);
  CHECK(!f.taken.overlapped);
}

TEST_CASE(
    "streams: who waits to be told to send its body is told, and who is refused on the way is answered") {
  StreamFixture f;
  SocketClient waits(f.port);
  waits.send(head_of("PUT /taking", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
  CHECK(waits.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  waits.send("hello");
  CHECK(waits.read_until("\"taken\"}\n").starts_with("HTTP/1.1 200 OK\r\n"));
  SocketClient refused(f.port);
  refused.send(head_of("PUT /refusing", "Content-Length: 3000000\r\n") + body_of(2'500'000));
  const auto answer = refused.read_until("\"enough\"");
  CHECK(answer.starts_with("HTTP/1.1 409 "));
  CHECK(answer.find("Connection: close") != std::string::npos);
}

TEST_CASE("streams: a body counts with what it may hold, so a small one finds room beside large ones") {
  StreamFixture f({.bodies_bytes_max = (12u << 20) + 100});
  SocketClient large(f.port);
  large.send(head_of("PUT /taking", "Content-Length: 90000000\r\nExpect: 100-continue\r\n"));
  CHECK(large.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  SocketClient small(f.port);
  small.send(head_of("PUT /taking", "Content-Length: 5\r\n") + "hello");
  CHECK(small.read_until("\"taken\"}\n").starts_with("HTTP/1.1 200 OK\r\n"));
  small.send(head_of("PUT /taking", "Content-Length: 50\r\n"));
  const auto refused = small.read_until("\r\n\r\n");
  CHECK(refused.starts_with("HTTP/1.1 503 "));
  CHECK(refused.find("Retry-After: ") != std::string::npos);
}

TEST_CASE("streams: a body that breaks off or is no body never ends") {
  StreamFixture f;
  {
    SocketClient client(f.port);
    client.send(head_of("PUT /taking", "Content-Length: 3000000\r\n") + body_of(2'500'000));
    CHECK(eventually([&] { return f.taken.begun == 1; }));
  }
  CHECK(eventually([&] { return f.taken.dropped == 1; }));
  SocketClient client(f.port);
  client.send(head_of("PUT /taking", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\nnonsense\r\n");
  CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 400 "));
  CHECK(eventually([&] { return f.taken.dropped == 2; }));
  CHECK(f.taken.ended == 0);
}

TEST_CASE("streams: a response is made as it goes, and one that cannot be made is cut off") {
  StreamFixture f;
  SocketClient client(f.port);
  const std::string length = "Content-Length: " + std::to_string(kPieces * kPieceSize) + "\r\n";
  client.send(head_of("HEAD /making"));
  CHECK(client.read_until("\r\n\r\n").find(length) != std::string::npos);
  for (int i = 0; i < 2; ++i) {
    client.send(head_of("GET /making"));
    CHECK(client.read_until("\r\n\r\n").find(length) != std::string::npos);
    const auto body = client.read_bytes(kPieces * kPieceSize);
    REQUIRE(body.size() == kPieces * kPieceSize);
    bool right = true;
    for (std::size_t piece = 0; piece < kPieces; ++piece)
      right = right && body[piece * kPieceSize] == static_cast<char>('a' + (kPieces - piece) % 26);
    CHECK(right);
  }
  client.send(head_of("GET /breaking"));
  client.read_until("\r\n\r\n");
  CHECK(client.read_bytes(kPieces * kPieceSize).size() == kPieces / 2 * kPieceSize);
}

TEST_CASE("streams: a client that goes away while it is given a body holds nothing up") {
  StreamFixture f;
  {
    SocketClient client(f.port);
    client.send(head_of("GET /making"));
    client.read_until("\r\n\r\n");
  }
  SocketClient next(f.port);
  next.send(head_of("GET /healthz"));
  CHECK(next.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
  f.gateway->stop(5s);
}

}  // namespace
}  // namespace cluster::gateway
