// Streams of a bucket's changes, over real sockets; what is told comes from a watcher that the test made.
#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/gateway/gateway.hpp"
#include "cluster/kv/kv_watch.hpp"
#include "eventually.hpp"
#include "socket_client.hpp"

namespace cluster::gateway {
namespace {

using testing::eventually;

constexpr std::uint64_t kRowsOfAnswer = 1024;

struct Told {
  std::atomic<int> asked = 0;
  std::atomic<bool> fails = false;
};

/// Has as many changes as anybody wants, at once, until it fails.
class TestWatcher : public GenServer<TestWatcher, KvWatch> {
 public:
  explicit TestWatcher(Told* told) : told_(told) {}

  Result<KvWatch::Answer> handle_call(const KvWatch& watch) {
    ++told_->asked;
    if (told_->fails) return Error(Errc::overloaded, "too much is watched");
    KvWatch::Answer answer{.last = watch.since.value_or(0) + kRowsOfAnswer};
    for (auto seq = answer.last - kRowsOfAnswer + 1; seq <= answer.last; ++seq)
      answer.rows.push_back({.seq = seq, .event = "put", .key = std::string(200, 'k')});
    return answer;
  }

 private:
  Told* told_;
};

struct WatchFixture {
  WatchFixture() {
    REQUIRE(node.spawn<TestWatcher>({.name = std::string(KvWatcher::kName)}, &told));
    GatewayConfig config;
    config.endpoint = {"127.0.0.1", 0};
    config.token = "a-token-for-tests-only";
    gateway.emplace(Gateway::start(node, std::move(config)).value());
  }
  static Node start() {
    NodeConfig config{.id = "foo", .host = "127.0.0.1", .port = 0, .cookie = "a cookie for tests"};
    config.scrypt = net::Keyring::cost_for_tests();
    return Node::start(std::move(config)).value();
  }
  [[nodiscard]] std::uint16_t port() const { return gateway->endpoint().port; }
  static std::string request(const std::string& headers) {
    return "GET /v1/watch/b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-for-tests-only\r\n" +
           headers + "\r\n";
  }
  static constexpr auto kEvents = "Accept: text/event-stream\r\n";
  static constexpr auto kSocket =
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

  Told told;
  Node node = start();
  std::optional<Gateway> gateway;
};

TEST_CASE("watch streams: a client that does not read is told no more, and misses nothing when it reads on") {
  WatchFixture f;
  SocketClient client(f.port());
  client.send(f.request(WatchFixture::kEvents));
  REQUIRE(eventually([&] { return f.told.asked > 1; }));
  int asked = 0;
  Instant since{};
  CHECK(eventually([&] {  // it has been asked nothing for a while
    const Instant now = MonotonicClock::now();
    if (const int told = f.told.asked; told != std::exchange(asked, told)) since = now;
    return now >= since + 200ms;
  }));
  client.read_until("\r\n\r\n");
  const auto rows = static_cast<std::uint64_t>(f.told.asked + 5) * kRowsOfAnswer;
  std::uint64_t next = 1;
  while (next <= rows && client.read_until("\n\n").starts_with("id: " + std::to_string(next) + "\ndata: "))
    ++next;
  CHECK(next == rows + 1);
}

TEST_CASE("watch streams: a stream ends when nothing can be told any more, after a row that says so") {
  for (const auto* headers : {WatchFixture::kEvents, WatchFixture::kSocket}) {
    CAPTURE(headers);
    WatchFixture f;
    SocketClient client(f.port());
    client.send(f.request(headers));
    client.read_until("\r\n\r\n");
    REQUIRE(eventually([&] { return f.told.asked > 1; }));
    f.told.fails = true;
    const auto end = client.read_all();
    CHECK(end.find("\"event\":\"error\",\"message\":\"too much is watched") != std::string::npos);
    if (headers == WatchFixture::kSocket)
      CHECK(end.find("\x03\xf5"
                     "begin again") != std::string::npos);
  }
}

TEST_CASE("watch streams: one that never began leaves a browser no number to go on after") {
  WatchFixture f;
  f.told.fails = true;
  SocketClient client(f.port());
  client.send(f.request(WatchFixture::kSocket));
  CHECK(client.read_until("begin again").find("\"seq\":0,\"event\":\"error\"") != std::string::npos);
  SocketClient refused(f.port());
  refused.send(f.request(WatchFixture::kEvents));
  CHECK(refused.read_until("\r\n").starts_with("HTTP/1.1 503 "));
}

}  // namespace
}  // namespace cluster::gateway
