#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "certificates.hpp"
#include "cluster/base/rng.hpp"
#include "cluster/crypto/random.hpp"
#include "cluster/net/client.hpp"
#include "watched.hpp"

using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

namespace {

using Tls = std::shared_ptr<const crypto::TlsContext>;

cluster::test::Certificates& authority() {
  static cluster::test::Certificates certificates;
  return certificates;
}
Tls tls_of(const std::string& id) { return crypto::TlsContext::load(authority().of_node(id)).value(); }

/// With a certificate of its own.
NetConfig tls_config(const char* id, Protection least = Protection::tls) {
  auto config = config_of(id);
  config.protection = Protection::tls;
  config.protection_min = least;
  config.tls = tls_of(id);
  return config;
}
NetConfig sealing_config(const char* id) {
  auto config = config_of(id);
  config.protection = Protection::seal;
  return config;
}

/// Somebody who has the cookie and a certificate, and says what he likes.
class Intruder {
 public:
  Intruder(const Endpoint& to, const Tls& tls, const char* poses_as, proto::Role role)
      : Intruder(RawSocket(to), true, tls, poses_as, role) {
    shake({});
  }
  /// Whom somebody has dialled.
  Intruder(RawSocket accepted, const Tls& tls, const char* poses_as)
      : Intruder(std::move(accepted), false, tls, poses_as, proto::Role::node) {}

  void pump() {
    if (over()) return;
    const auto came = socket_.receive();
    if (!came) {
      failure = Error(Errc::peer_lost, "closed");
      return;
    }
    if (came->empty()) return;
    if (!open_) return shake(*came);
    session_.feed(*came);
    read();
  }
  [[nodiscard]] bool over() const { return failure || established; }

  std::optional<Error> failure;
  bool established = false;

 private:
  Intruder(RawSocket socket, bool dials, const Tls& tls, const char* poses_as, proto::Role role)
      : socket_(std::move(socket)),
        session_(*tls, dials ? crypto::TlsSession::Side::dials : crypto::TlsSession::Side::listens),
        handshake_(MonotonicClock::now(),
                   {.dialler = dials,
                    .self = {.id = poses_as,
                             .boot = {.number = 1u << 20, .nonce = crypto::random_u64()},
                             .role = role,
                             .ring = "ring",
                             .advertised = {"127.0.0.1", 1}},
                    .keyring = keyring(),
                    .expected = {},
                    .wall = wall_now(),
                    .protection_max = Protection::tls},
                   proto::HandshakeSecrets::fresh()) {}
  void shake(ByteView bytes) {
    const auto open = session_.shake(bytes);
    if (!open) failure = open.error();
    open_ = open && *open;
    if (open_) {
      handshake_.bind({.binding = session_.binding(), .peer_uris = session_.peer_uris()});
      apply(handshake_.start());
    }
    socket_.send(session_.take_output());
    if (open_) read();
  }
  void read() {
    std::array<std::uint8_t, 4096> room;
    for (;;) {
      const auto got = session_.read(room);
      if (!got) failure = got.error();
      if (!got || *got == 0) return;
      inbox_.insert(inbox_.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(*got));
      for (bool more = true; more;) {
        ByteView view = inbox_;
        auto actions = handshake_.on_bytes(view);
        inbox_.erase(inbox_.begin(), inbox_.end() - static_cast<std::ptrdiff_t>(view.size()));
        more = !actions.empty();
        apply(std::move(actions));
      }
      socket_.send(session_.take_output());
    }
  }
  void apply(proto::HandshakeActions actions) {
    for (auto& action : actions) {
      if (auto* send = std::get_if<proto::SendRecord>(&action)) CHECK(session_.write(send->bytes));
      if (std::holds_alternative<proto::Greeted>(action) || std::holds_alternative<proto::Proven>(action))
        apply(handshake_.proceed());
      if (auto* failed = std::get_if<proto::HandshakeFailed>(&action)) failure = failed->error;
      if (std::holds_alternative<proto::Established>(action)) established = true;
    }
  }

  RawSocket socket_;
  crypto::TlsSession session_;
  proto::Handshake handshake_;
  bool open_ = false;
  Bytes inbox_;
};

}  // namespace

TEST_CASE("tls: two nodes with certificates exchange messages of any size, and the wire shows TLS alone") {
  TestNode foo(tls_config("foo"));
  TestNode bar(tls_config("bar"));
  Proxy proxy(bar.at());
  Bytes captured;  // from the first on
  proxy.on_bytes = [&](Bytes& bytes) { captured.insert(captured.end(), bytes.begin(), bytes.end()); };
  foo.kernel->add_peer("bar", proxy.at());
  const auto drive_all = [&](const std::function<bool()>& done) {
    return drive({&foo, &bar}, [&] {
      proxy.pump();
      return done();
    });
  };
  REQUIRE(drive_all([&] { return foo.connected_to("bar") && bar.connected_to("foo"); }));
  CHECK(level_of(foo, "bar") == Protection::tls);
  CHECK(level_of(bar, "foo") == Protection::tls);

  const auto longest = send_all_sizes(foo, bar, drive_all);
  const auto text = as_text(captured);
  CHECK(text.find("lcluster") == std::string_view::npos);  // not even a HELLO
  CHECK(text.find(longest.substr(0, 20)) == std::string_view::npos);
  for (ByteView rest = captured; rest.size() >= 5;) {
    CHECK((rest[0] == 20 || rest[0] == 22 || rest[0] == 23));
    rest = rest.subspan(std::min<std::size_t>(rest.size(), 5u + load_be<std::uint16_t>(rest.data() + 3)));
  }
}

TEST_CASE("tls: a node with a certificate and one without get on below tls, whoever dials") {
  for (const bool tls_dials : {true, false}) {
    CAPTURE(tls_dials);
    TestNode foo(tls_dials ? tls_config("foo", Protection::sign) : sealing_config("foo"));
    TestNode bar(tls_dials ? sealing_config("bar") : tls_config("bar", Protection::sign));
    foo.kernel->add_peer("bar", bar.at());
    REQUIRE(drive({&foo, &bar}, [&] { return foo.connected_to("bar") && bar.connected_to("foo"); }));
    CHECK(level_of(foo, "bar") == Protection::seal);
    CHECK(foo.send("bar", "text"));
    REQUIRE(drive({&foo, &bar}, [&] { return bar.messages.size() == 1; }));

    TestNode baz(tls_dials ? tls_config("baz", Protection::sign) : sealing_config("baz"));
    std::optional<Result<PeerInfo>> answer;  // the same for a dial of an address
    baz.kernel->dial(bar.at(), 5s, [&](Result<PeerInfo> result) { answer = std::move(result); });
    REQUIRE(drive({&baz, &bar}, [&] { return answer.has_value(); }));
    REQUIRE(*answer);
    CHECK((*answer)->protection == Protection::seal);
  }
}

TEST_CASE("tls: with tls as the least, who has no certificate is refused, with the reason on both sides") {
  for (const bool dialler_demands : {true, false}) {
    CAPTURE(dialler_demands);
    TestNode foo(dialler_demands ? tls_config("foo") : sealing_config("foo"));
    TestNode bar(dialler_demands ? sealing_config("bar") : tls_config("bar"));
    const Error error = refused_dial(foo, bar);
    CHECK(error.code() == Errc::incompatible);
    CHECK(error.message().find("no common protection level: ") == 0);
    CHECK(foo.kernel->counters().handshakes_failed == 1);
    CHECK(bar.kernel->counters().handshakes_failed == 1);
  }
}

TEST_CASE(
    "tls: certificates of another authority are refused, counted, and end no plain connection instead") {
  cluster::test::Certificates elsewhere;
  for (const bool foreigner_dials : {true, false}) {
    CAPTURE(foreigner_dials);
    auto good = tls_config(foreigner_dials ? "bar" : "foo", Protection::sign);
    auto foreign = tls_config(foreigner_dials ? "foo" : "bar", Protection::sign);
    foreign.tls = crypto::TlsContext::load(elsewhere.of_node(foreign.id.str())).value();
    TestNode foo(foreigner_dials ? std::move(foreign) : std::move(good));
    TestNode bar(foreigner_dials ? std::move(good) : std::move(foreign));
    const Error error = refused_dial(foo, bar);  // it is the dialler who sees the other's first
    CHECK(error.code() == Errc::refused);
    CHECK(error.message().find("the peer's certificate is not accepted: ") == 0);
    CHECK(foo.kernel->counters().certificates_refused == 1);
    CHECK(bar.kernel->counters().handshakes_failed == 1);
  }
}

TEST_CASE("tls: who has the cookie and a certificate is that node, a client, and nobody else") {
  const auto eve = tls_of("eve");
  TestNode bar(tls_config("bar"));
  const auto outcome = [&](const char* id, proto::Role role) {
    Intruder intruder(bar.at(), eve, id, role);
    REQUIRE(drive({&bar}, [&] {
      intruder.pump();
      return intruder.over();
    }));
    CHECK(intruder.established != intruder.failure.has_value());
    return intruder.failure;
  };
  const auto posing = outcome("foo", proto::Role::node);
  REQUIRE(posing);
  CHECK(posing->code() == Errc::refused);
  CHECK(posing->message() ==
        "the certificate is not that of node 'foo': the URI lcluster:node:foo is not among its alternative "
        "names");
  CHECK(bar.kernel->counters().certificates_refused == 1);
  CHECK(bar.ups.empty());
  CHECK_FALSE(outcome("eve", proto::Role::node));
  CHECK_FALSE(outcome("client-1", proto::Role::client));
  REQUIRE(drive({&bar}, [&] { return bar.ups.size() == 2; }));
  CHECK(bar.ups[0].protection == Protection::tls);
}

TEST_CASE("tls: who listens where a node was, with the cookie and another certificate, is not that node") {
  for (const auto* poses_as : {"bar", "eve"}) {
    CAPTURE(poses_as);
    TestNode foo(tls_config("foo"));
    RawListener listener;
    std::optional<Intruder> intruder;
    std::optional<Result<PeerInfo>> answer;
    foo.kernel->dial(listener.at(), 5s, [&](Result<PeerInfo> result) { answer = std::move(result); });
    REQUIRE(drive({&foo}, [&] {
      if (auto accepted = listener.accept(); accepted.is_open())
        intruder.emplace(std::move(accepted), tls_of("eve"), poses_as);
      if (intruder) intruder->pump();
      return answer.has_value();
    }));
    if (poses_as == std::string_view("eve")) {
      REQUIRE_MESSAGE(*answer, answer->error().message());
      CHECK((*answer)->protection == Protection::tls);
      continue;
    }
    REQUIRE_FALSE(*answer);
    CHECK(answer->error().code() == Errc::refused);
    CHECK(answer->error().message().find("the certificate is not that of node 'bar'") == 0);
    CHECK(foo.kernel->counters().certificates_refused == 1);
    CHECK(foo.ups.empty());
    CHECK_FALSE(intruder->established);
  }
}

TEST_CASE("tls: a node does not start with the certificate of another one") {
  auto config = tls_config("foo");
  config.tls = tls_of("bar");
  TestNode unused("unused");
  const auto started = NetKernel::start(std::move(config), unused);
  REQUIRE_FALSE(started);
  CHECK(started.error().code() == Errc::invalid_argument);
  CHECK(started.error().message().find("is not that of node 'foo'") != std::string::npos);
}

TEST_CASE("tls: a client with any certificate of the authority talks over tls, and not without") {
  TestNode bar(tls_config("bar", Protection::sign));
  TestNode plain(sealing_config("plain"));
  std::atomic<bool> stop{false};
  std::thread poller([&] {
    while (!stop) {
      bar.kernel->poll(5ms);
      plain.kernel->poll(5ms);
    }
  });
  const auto connect_to = [&](const TestNode& node) {
    return Client::connect({.endpoint = node.at(),
                            .keyring = keyring(),
                            .protection_min = Protection::tls,
                            .tls = crypto::TlsContext::load(authority().issue("operator", "")).value()});
  };
  const auto client = connect_to(bar);
  const auto refused = connect_to(plain);
  const bool answered = client && (*client)->ping(5s).has_value();
  stop = true;
  poller.join();
  REQUIRE(client);
  CHECK(answered);
  CHECK((*client)->peer().protection == Protection::tls);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::incompatible);
}

TEST_CASE(
    "tls: bytes that were altered on the way deliver nothing and end the connection, which comes back") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    auto config = tls_config("bar");
    config.limits.frame_timeout = 1s;  // of a length that was altered
    Watched w(tls_config("foo"), std::move(config));
    w.alter(Rng(seed).below(300'000));
    CHECK(w.foo.send("bar", std::string(300'000, 'x')));
    REQUIRE(w.drive([&] { return !w.bar.downs.empty(); }));
    CHECK(w.bar.downs[0].reason == PeerDownReason::protocol_error);
    CHECK(w.bar.messages.empty());
    w.check_comes_back();
  }
}

TEST_CASE("tls: a record that was begun and not finished in time ends the connection") {
  for (const std::size_t left_out : {1u, 30u}) {
    CAPTURE(left_out);
    auto config = tls_config("bar");
    config.limits.frame_timeout = 150ms;
    Watched w(tls_config("foo"), std::move(config));
    bool cut = false;
    w.proxy.on_bytes = [&](Bytes& bytes) {
      if (!std::exchange(cut, true)) bytes.resize(bytes.size() - left_out);
    };
    CHECK(w.foo.send("bar", "text"));
    REQUIRE(w.drive([&] { return !w.bar.downs.empty(); }));
    CHECK(w.bar.downs[0].reason == PeerDownReason::protocol_error);
    CHECK(w.bar.kernel->counters().frames_timed_out == 1);
    CHECK(w.bar.messages.empty());
  }
}

TEST_CASE(
    "tls: a stranger who begins with TLS is told at once where there is none, and has 5 s where there is") {
  TestNode plain("plain");
  auto config = tls_config("bar");
  config.limits.handshake_timeout = 150ms;
  TestNode bar(std::move(config));
  crypto::TlsSession session(*tls_of("eve"), crypto::TlsSession::Side::dials);
  REQUIRE(session.shake({}));
  const Bytes hello = session.take_output();
  RawSocket to_plain(plain.at());
  to_plain.send(hello);
  Bytes answer;
  REQUIRE(drive({&plain}, [&] {
    const auto came = to_plain.receive();
    if (came) answer.insert(answer.end(), came->begin(), came->end());
    return !came;
  }));
  REQUIRE(answer.size() > 5);
  CHECK(answer[0] == 4);  // REFUSED
  CHECK(load_be<std::uint16_t>(answer.data() + 3) == static_cast<std::uint16_t>(Errc::incompatible));

  RawSocket slow(bar.at());
  slow.send(hello);
  RawSocket cut(bar.at());
  cut.send(ByteView(hello).first(7));
  bool slow_ended = false;
  bool cut_ended = false;
  REQUIRE(drive({&bar}, [&] {
    slow_ended = slow_ended || slow.at_end();
    cut_ended = cut_ended || cut.at_end();
    return slow_ended && cut_ended;
  }));
  CHECK(bar.kernel->counters().handshakes_failed == 2);
}

TEST_CASE("tls: threads that send both ways at once keep their order, and nothing is lost or torn") {
  TestNode foo(tls_config("foo"));
  TestNode bar(tls_config("bar"));
  REQUIRE(connect(foo, "foo", bar, "bar"));
  constexpr int kThreads = 4;
  constexpr int kMessages = 2000;
  std::array<std::atomic<int>, 2> received{};
  std::array<std::array<int, kThreads>, 2> next{};
  std::atomic<bool> in_order{true};
  for (std::size_t n = 0; n < 2; ++n) {
    TestNode& node = n == 0 ? foo : bar;
    node.keep_messages = false;
    node.on_text = [&, n](const PeerInfo&, ByteView message) {
      const auto text = as_text(message);
      const auto thread = static_cast<std::size_t>(text[0] - 'a');
      if (next[n][thread]++ != std::stoi(std::string(text.substr(1, 8)))) in_order = false;
      received[n].fetch_add(1);
    };
  }
  {
    const Poller foo_poller(foo);
    const Poller bar_poller(bar);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < kMessages; ++i) {
          std::string text = static_cast<char>('a' + t) + std::to_string(i);
          text.resize(i % 100 == 0 ? 100'000 : 9u + static_cast<std::size_t>(i % 200), ' ');
          const SendOptions options{.pair = static_cast<std::uint64_t>(t), .flush_now = t % 2 == 0};
          while (!foo.send("bar", text, options)) std::this_thread::yield();
          while (!bar.send("foo", text, options)) std::this_thread::yield();
        }
        foo.kernel->flush();
        bar.kernel->flush();
      });
    for (auto& thread : threads) thread.join();
    const Instant deadline = MonotonicClock::now() + 60s;
    while ((received[0] < kThreads * kMessages || received[1] < kThreads * kMessages) &&
           MonotonicClock::now() < deadline)
      std::this_thread::yield();
  }
  CHECK(received[0] == kThreads * kMessages);
  CHECK(received[1] == kThreads * kMessages);
  CHECK(in_order);
}

TEST_CASE("tls: a connection goes on under another cookie without losing a message") {
  TestNode foo(tls_config("foo"));
  TestNode bar(tls_config("bar"));
  REQUIRE(connect(foo, "foo", bar, "bar"));
  for (int i = 0; i < 100; ++i) CHECK(foo.send("bar", std::to_string(i)));
  foo.kernel->set_keyring(other_keyring());
  bar.kernel->set_keyring(other_keyring());
  for (int i = 100; i < 200; ++i) CHECK(foo.send("bar", std::to_string(i)));
  const auto other_key = other_keyring().id(0);
  const auto renewed = [&](const TestNode& node) {
    const auto peers = node.kernel->peers();
    return peers.size() == 1 && peers[0].connected && peers[0].key == other_key;
  };
  REQUIRE(drive({&foo, &bar}, [&] { return bar.messages.size() == 200 && renewed(foo) && renewed(bar); }));
  for (int i = 0; i < 200; ++i) CHECK(bar.messages[static_cast<std::size_t>(i)].text == std::to_string(i));
  CHECK(level_of(foo, "bar") == Protection::tls);
  CHECK(bar.ups.size() == 1);
}
