#include "cluster/net/client.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "cluster/wire/message.hpp"
#include "cluster/wire/value.hpp"
#include "net_support.hpp"

using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

namespace {

/// A node on a thread of its own. Answers a call of `echo` with its payload and of `fail` with an error,
/// ends at one of `end`, and leaves all others unanswered.
class AnsweringNode {
 public:
  AnsweringNode() : node_("foo") {
    node_.on_text = [this](const PeerInfo& from, ByteView message) { on_message(from, message); };
    thread_ = std::thread([this] {
      while (!ending_.load()) node_.kernel->poll(20ms);
      node_.kernel.reset();
    });
  }
  ~AnsweringNode() {
    ending_ = true;
    thread_.join();
  }
  [[nodiscard]] Endpoint at() const { return at_; }

 private:
  void on_message(const PeerInfo& from, ByteView message) {
    const auto decoded = wire::decode_message(message).value();
    const auto& call = std::get<wire::CallView>(decoded);
    Bytes answer;
    if (call.head.event == "echo") {
      wire::begin_reply(answer, call.head.id);
      answer.insert(answer.end(), call.payload.begin(), call.payload.end());
    } else if (call.head.event == "fail") {
      wire::write_error(answer, call.head.id, Error(Errc::refused, "not today"));
    } else {
      ending_ = call.head.event == "end";
      return;
    }
    CHECK(node_.kernel->send(from.session, answer));
  }

  TestNode node_;
  Endpoint at_ = node_.at();
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

Result<std::unique_ptr<Client>> connect_to(const Endpoint& endpoint, Duration timeout = 10s) {
  return Client::connect({.endpoint = endpoint, .keyring = keyring(), .timeout = timeout});
}

Result<Bytes> call(Client& client, const char* event, Duration timeout = 10s) {
  return client.call("server", event, wire::encode(wire::Value("payload")), timeout);
}

}  // namespace

TEST_CASE("client: calls are answered with a payload or the server's error, and pings with a time") {
  AnsweringNode node;
  const auto client = connect_to(node.at());
  REQUIRE(client);
  CHECK((*client)->peer().id == NodeId("foo"));
  CHECK(wire::decode<wire::Value>(call(**client, "echo").value()).value() == wire::Value("payload"));
  const auto refused = call(**client, "fail");
  REQUIRE(!refused);
  CHECK(refused.error() == Error(Errc::refused, "not today"));
  CHECK((*client)->ping(10s).value() > Duration::zero());
}

TEST_CASE("client: a call without an answer ends at its time with an open outcome, and the next one works") {
  AnsweringNode node;
  const auto client = connect_to(node.at()).value();
  const auto begin = MonotonicClock::now();
  const auto silent = call(*client, "silence", 50ms);
  CHECK(MonotonicClock::now() - begin >= 50ms);
  REQUIRE(!silent);
  CHECK(silent.error().code() == Errc::timeout);
  CHECK(silent.error().executed() == Executed::unknown);
  CHECK(call(*client, "echo"));
}

TEST_CASE(
    "client: a connection that ends during a call leaves its outcome open, and later calls do not run") {
  AnsweringNode node;
  const auto client = connect_to(node.at()).value();
  const auto lost = call(*client, "end");
  REQUIRE(!lost);
  CHECK(lost.error().code() == Errc::peer_lost);
  CHECK(lost.error().executed() == Executed::unknown);
  const auto later = call(*client, "echo");
  REQUIRE(!later);
  CHECK(later.error().executed() == Executed::no);
  CHECK(!client->ping(1s));
}

TEST_CASE("client: another cookie, another id and a closed port are refused, each with its own error") {
  AnsweringNode node;
  const auto stranger = Client::connect({.endpoint = node.at(), .keyring = other_keyring(), .timeout = 10s});
  REQUIRE(!stranger);
  CHECK(stranger.error().code() == Errc::wrong_cookie);
  const auto other =
      Client::connect({.endpoint = node.at(), .keyring = keyring(), .timeout = 10s, .expected = "bar"});
  REQUIRE(!other);
  CHECK(other.error().code() == Errc::not_found);
  CHECK(Client::connect({.endpoint = node.at(), .keyring = keyring(), .timeout = 10s, .expected = "foo"}));

  Endpoint closed;
  {
    const TestNode gone("gone");
    closed = gone.at();
  }
  const auto nobody = connect_to(closed);
  REQUIRE(!nobody);
  CHECK(nobody.error().code() == Errc::unreachable);
  CHECK(nobody.error().message().find(closed.to_string()) != std::string::npos);
}

TEST_CASE("client: a node that says nothing is given up at the stated time") {
  const TestNode mute("mute");  // listens, and nobody polls it
  const auto begin = MonotonicClock::now();
  const auto nothing = connect_to(mute.at(), 100ms);
  REQUIRE(!nothing);
  CHECK(nothing.error().code() == Errc::timeout);
  CHECK(nothing.error().executed() == Executed::no);
  CHECK(MonotonicClock::now() - begin < 5s);
}

TEST_CASE("client: a wait ends soon after it is cancelled") {
  AnsweringNode node;
  std::atomic<bool> cancelled = false;
  const auto client = Client::connect({.endpoint = node.at(),
                                       .keyring = keyring(),
                                       .timeout = 10s,
                                       .cancelled = [&] { return cancelled.load(); }})
                          .value();
  CHECK(call(*client, "echo"));
  cancelled = true;
  const auto begin = MonotonicClock::now();
  const auto interrupted = call(*client, "silence", 60s);
  REQUIRE(!interrupted);
  CHECK(interrupted.error().code() == Errc::cancelled);
  CHECK(interrupted.error().executed() == Executed::unknown);
  CHECK(MonotonicClock::now() - begin < 5s);
}

TEST_CASE("client: names that no message can carry are refused before anything is sent") {
  AnsweringNode node;
  const auto client = connect_to(node.at()).value();
  for (const auto& server : {std::string(), std::string(256, 'x')}) {
    const auto refused = client->call(server, "echo", wire::encode(wire::Value()), 1s);
    REQUIRE(!refused);
    CHECK(refused.error().code() == Errc::invalid_argument);
  }
  CHECK(client->call(std::string(255, 'x'), "echo", wire::encode(wire::Value()), 10s));
}

TEST_CASE(
    "client: of many calls under way each is answered once, in time or as late, and answers may begin "
    "others") {
  AnsweringNode node;
  const auto client = connect_to(node.at()).value();
  const auto payload = wire::encode(wire::Value("payload"));
  int answered = 0;
  int begun = 0;
  std::function<void(Result<Bytes>)> again = [&](Result<Bytes> answer) {
    CHECK(answer.value() == payload);
    ++answered;
    if (begun < 200) ++begun, client->begin_call("server", "echo", payload, 10s, again);
  };
  for (int i = 0; i < 64; ++i) ++begun, client->begin_call("server", "echo", payload, 10s, again);
  std::vector<Errc> late;
  client->begin_call("server", "silence", payload, 50ms,
                     [&](Result<Bytes> answer) { late.push_back(answer.error().code()); });
  const auto limit = MonotonicClock::now() + 30s;
  while ((answered < 200 || late.empty()) && MonotonicClock::now() < limit) client->poll(1s);
  CHECK(answered == 200);
  CHECK(late == std::vector<Errc>{Errc::timeout});

  std::vector<Executed> lost;
  for (int i = 0; i < 3; ++i)
    client->begin_call("server", "end", payload, 20s,
                       [&](Result<Bytes> answer) { lost.push_back(answer.error().executed()); });
  while (lost.size() < 3 && MonotonicClock::now() < limit) client->poll(1s);
  CHECK(lost == std::vector<Executed>(3, Executed::unknown));
  client->begin_call("server", "echo", payload, 10s,
                     [&](Result<Bytes> answer) { lost.push_back(answer.error().executed()); });
  CHECK(lost.back() == Executed::no);
}
