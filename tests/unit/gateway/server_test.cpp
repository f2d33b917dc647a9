// The gateway of a node in this process, over real sockets.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "cluster/gateway/gateway.hpp"
#include "eventually.hpp"
#include "socket_client.hpp"

namespace cluster::gateway {
namespace {

const std::string kToken = "a-token-for-tests-only";
const std::string kAuthorization = "Host: localhost\r\nAuthorization: Bearer " + kToken + "\r\n";

struct Add {
  std::int64_t n = 0;
  using reply = std::int64_t;
};
/// Answers once the test lets it.
struct Hold {
  using reply = std::int64_t;
};
class Adder : public GenServer<Adder, Add, Hold> {
 public:
  explicit Adder(std::atomic<bool>* gate = nullptr) : gate_(gate) {}
  std::int64_t handle_call(const Add& add) { return total_ += add.n; }
  Task<std::int64_t> handle_call(Hold) {
    while (gate_ != nullptr && !*gate_) co_await sleep(1ms);
    co_return 1;
  }

 private:
  std::atomic<bool>* gate_;
  std::int64_t total_ = 0;
};

Node start_node() {
  NodeConfig config{
      .id = "foo", .host = "127.0.0.1", .port = 0, .cookie = "a cookie for tests", .ring = "ring"};
  config.scrypt = net::Keyring::cost_for_tests();
  return Node::start(std::move(config)).value();
}

using Client = SocketClient;

std::string get(const std::string& target, const std::string& more = "") {
  return "GET " + target + " HTTP/1.1\r\n" + kAuthorization + more + "\r\n";
}
std::string post(const std::string& target, const std::string& body) {
  return "POST " + target + " HTTP/1.1\r\n" + kAuthorization +
         "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

struct Fixture {
  explicit Fixture(GatewayConfig config = {}) {
    config.endpoint = {"127.0.0.1", 0};
    config.token = kToken;
    gateway.emplace(Gateway::start(node, std::move(config)).value());
    port = gateway->endpoint().port;
  }
  Node node = start_node();
  std::optional<Gateway> gateway;
  std::uint16_t port = 0;
};

TEST_CASE("gateway: many clients at once each get their own answers") {
  Fixture f;
  auto adder = f.node.spawn<Adder>({.name = "adder"});
  REQUIRE(adder);
  constexpr int kClients = 4, kRequests = 50;
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i)
    threads.emplace_back([&] {
      Client client(f.port);
      std::string requests;  // all at once: the answers come in their order
      for (int k = 0; k < kRequests; ++k)
        requests += post("/v1/call/adder/add", R"({"n":1})") + get("/v1/ring");
      client.send(requests);
      std::int64_t last = 0;
      for (int k = 0; k < kRequests; ++k) {
        const auto sum = client.read_until("}\n");
        const auto at = sum.find(R"("data":)");
        const auto total = at == sum.npos ? 0 : std::stoll(sum.substr(at + 7));
        if (total > last && client.read_until("}\n").find(R"("ring":"ring")") != std::string::npos) ++good;
        last = total;
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(good == kClients * kRequests);
  CHECK(f.node.call(adder.value(), Add{0}).value() == kClients * kRequests);
}

TEST_CASE("gateway: a stop answers what came, refuses what comes, and ends streams") {
  Fixture f;
  std::atomic<bool> gate = false;
  REQUIRE(f.node.spawn<Adder>({.name = "adder"}, &gate));
  Client waiting(f.port), idle(f.port), stream(f.port);
  stream.send(get("/v1/events", "Accept: text/event-stream\r\n"));
  CHECK(stream.read_until("\r\n\r\n").find("200 OK") != std::string::npos);
  idle.send(get("/healthz"));
  CHECK(idle.read_until("}\n").find("alive") != std::string::npos);
  waiting.send(post("/v1/call/adder/hold?timeout_ms=30000", ""));
  waiting.send(get("/healthz"));     // not begun before the stop
  REQUIRE(testing::eventually([&] {  // the call has reached the server: what is called behind it waits
    const auto behind = f.node.actors().call("adder", "add", wire::Value(), 1ms);
    return !behind && behind.error().code() == Errc::timeout;
  }));
  std::thread stopping([&] { f.gateway->stop(60s); });
  CHECK(idle.read_all().empty());
  stream.read_all();
  gate = true;
  const auto answered = waiting.read_all();
  CHECK(answered.find(R"("data":1)") != std::string::npos);
  CHECK(answered.find("Connection: close") != std::string::npos);
  CHECK(answered.find("alive") == std::string::npos);
  stopping.join();
  CHECK(!Client(f.port).connected());
}

TEST_CASE("gateway: what never ends is cut off when the time to stop is over") {
  Fixture f;
  std::atomic<bool> gate = false;
  REQUIRE(f.node.spawn<Adder>({.name = "adder"}, &gate));
  Client waiting(f.port);
  waiting.send(post("/v1/call/adder/hold?timeout_ms=60000", ""));
  REQUIRE(testing::eventually([&] {
    const auto behind = f.node.actors().call("adder", "add", wire::Value(), 1ms);
    return !behind && behind.error().code() == Errc::timeout;
  }));
  f.gateway->stop(1ms);
  CHECK(waiting.read_all().empty());
  gate = true;
}

TEST_CASE("gateway: events reach a stream while others make them, each once and in order") {
  Fixture f;
  Client stream(f.port);
  stream.send(get("/v1/events", "Accept: text/event-stream\r\n"));
  stream.read_until("\r\n\r\n");
  constexpr std::uint64_t kEvents = 500;
  std::thread maker([&] {
    for (std::uint64_t i = 0; i < kEvents; ++i)
      f.node.events()->add(MemberEvent{.kind = MemberEvent::Kind::node_up, .id = "bar"});
  });
  std::uint64_t expected = 1;
  while (expected <= kEvents) {
    const auto event = stream.read_until("\n\n");
    if (event.starts_with(":")) continue;
    REQUIRE(event.starts_with("id: " + std::to_string(expected) + "\n"));
    ++expected;
  }
  maker.join();
}

TEST_CASE(
    "gateway: an application adds routes of its own, and an answer may come from any thread, or never") {
  std::vector<std::thread> threads;
  std::vector<Answer> forgotten;
  GatewayConfig config;
  config.limits.answer_timeout = 200ms;
  config.extend = [&](Router& router, const Toolbox&) {
    router.add({.pattern = "/mine/{name}", .handle = [&](const Request& request, const Answer& answer) {
                  threads.emplace_back([answer, name = request.captures.front()] {
                    answer({.type = "text/plain", .body = "hello " + name + "\n"});
                  });
                }});
    router.add({.pattern = "/dropped", .handle = [](const Request&, const Answer&) {}});
    router.add({.pattern = "/kept",
                .handle = [&](const Request&, const Answer& answer) { forgotten.push_back(answer); }});
  };
  Fixture f(std::move(config));
  Client client(f.port);
  client.send(get("/mine/you%2Fme") + get("/dropped") + get("/kept"));
  CHECK(client.read_until("\nhello you/me\n").starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(client.read_until("}\n").starts_with("HTTP/1.1 503 "));
  CHECK(client.read_until("}\n").starts_with("HTTP/1.1 504 "));
  f.gateway->stop();
  for (auto& thread : threads) thread.join();
}

TEST_CASE("gateway: a port that is taken and a token that is none are errors") {
  Fixture f;
  const auto taken = Gateway::start(f.node, {.endpoint = {"127.0.0.1", f.port}});
  REQUIRE(!taken);
  CHECK(taken.error().code() == Errc::io);
  const auto bad = Gateway::start(f.node, {.endpoint = {"127.0.0.1", 0}, .token = "short"});
  REQUIRE(!bad);
  CHECK(bad.error().code() == Errc::invalid_argument);
}

TEST_CASE("gateway: only addresses of this machine are loopback") {
  for (const char* host : {"localhost", "127.0.0.1", "127.1.2.3", "::1"}) CHECK(is_loopback(host));
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.example.org"}) {
    CAPTURE(host);
    CHECK(!is_loopback(host));
  }
}

}  // namespace
}  // namespace cluster::gateway
