#include "cluster/net/net_kernel.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>

#include "net_support.hpp"
#include "ports.hpp"

using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

TEST_CASE("net: who connects before the owner is ready waits, and is then served") {
  auto config = config_of("b");
  config.accepts = false;
  TestNode a("a");
  TestNode b(std::move(config));
  a.kernel->add_peer("b", b.at());
  CHECK(a.send("b", "early"));
  CHECK_FALSE(drive(
      {&a, &b}, [&] { return a.connected_to("b") || !b.ups.empty(); }, 100ms));
  CHECK(a.kernel->counters().handshakes_failed == 0);
  b.kernel->accept_connections();
  b.kernel->accept_connections();
  CHECK(drive({&a, &b}, [&] { return b.received == 1; }));
  CHECK(b.ups.size() == 1);
}

TEST_CASE("net: two nodes connect, each learns who the other is, and messages go both ways in order") {
  TestNode foo("foo");
  TestNode bar("bar", 7);
  foo.kernel->add_peer("bar", bar.at());
  for (int i = 0; i < 100; ++i) CHECK(foo.send("bar", "before " + std::to_string(i)));
  REQUIRE(drive({&foo, &bar}, [&] { return bar.messages.size() == 100; }));
  for (int i = 0; i < 100; ++i) {
    CHECK(bar.messages[static_cast<std::size_t>(i)].text == "before " + std::to_string(i));
    CHECK(bar.messages[static_cast<std::size_t>(i)].from == NodeId("foo"));
  }
  REQUIRE(foo.ups.size() == 1);
  CHECK(foo.ups[0].id == NodeId("bar"));
  CHECK(foo.ups[0].boot.number == 7);
  CHECK(foo.ups[0].ring == "ring");
  CHECK(foo.ups[0].endpoint == bar.at());
  CHECK(foo.ups[0].session != 0);

  // bar never added foo, and answers over the connection that foo made.
  const auto ticket = bar.send("foo", "back");
  REQUIRE(ticket);
  CHECK(ticket.value().value == 0);  // an idle connection takes it at once
  REQUIRE(drive({&foo, &bar}, [&] { return foo.messages.size() == 1; }));
  CHECK(bar.kernel->send(bar.ups[0].session, as_bytes("by session")));
  REQUIRE(drive({&foo, &bar}, [&] { return foo.messages.size() == 2; }));
  CHECK(foo.kernel->counters().messages_in == 2);
  CHECK(bar.kernel->counters().messages_in == 100);
  CHECK(foo.kernel->counters().messages_out == 100);
}

TEST_CASE("net: what goes to and comes from a peer is counted for that peer") {
  TestNode foo("foo"), bar("bar"), baz("baz");
  foo.kernel->add_peer("bar", bar.at());
  foo.kernel->add_peer("baz", baz.at());
  for (int i = 0; i < 10; ++i) CHECK(foo.send("bar", "small"));
  CHECK(foo.send("bar", std::string(1'000'000, 'x')));
  for (int i = 0; i < 3; ++i) CHECK(foo.send("baz", "small"));
  REQUIRE(drive({&foo, &bar, &baz}, [&] { return bar.messages.size() == 11 && baz.messages.size() == 3; }));
  const auto status = [](const TestNode& node, const char* peer) {
    const auto peers = node.kernel->peers();
    return *std::ranges::find(peers, NodeId(peer), &PeerStatus::id);
  };
  REQUIRE(drive({&foo, &bar, &baz}, [&] { return status(foo, "bar").messages_out == 11; }));
  CHECK(status(foo, "baz").messages_out == 3);
  CHECK(status(bar, "foo").messages_in == 11);
  CHECK(status(baz, "foo").messages_in == 3);
  CHECK(status(bar, "foo").messages_out == 0);
  CHECK(status(foo, "bar").bytes_out > 1'000'000);
  CHECK(status(bar, "foo").bytes_in > 1'000'000);
  CHECK(status(foo, "baz").bytes_out < 100'000);
}

TEST_CASE("net: a message of any size arrives whole, and lanes keep their order") {
  TestNode foo("foo");
  TestNode bar("bar");
  REQUIRE(connect(foo, "foo", bar, "bar"));
  const std::array sizes{0ul,      1ul,      65'531ul,  65'532ul,    65'533ul,
                         65'536ul, 65'537ul, 131'072ul, 1'000'000ul, 5'000'000ul};
  for (const auto size : sizes) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; i += 1000) text[i] = static_cast<char>('a' + i / 1000 % 26);
    const Bytes bytes(text.begin(), text.end());
    CHECK(foo.kernel->send("bar", ByteView(bytes), {.lane = Lane::bulk}));
    CHECK(foo.kernel->send("bar", Bytes(bytes), {.lane = Lane::bulk}));
    REQUIRE(drive({&foo, &bar}, [&] { return bar.messages.size() == 2; }));
    CHECK(bar.messages[0].text == text);
    CHECK(bar.messages[1].text == text);
    CHECK(bar.messages[0].lane == Lane::bulk);
    bar.messages.clear();
  }
}

TEST_CASE("net: urgent messages overtake bulk that waits; within a lane nothing overtakes") {
  TestNode foo("foo");
  TestNode bar("bar");
  foo.kernel->add_peer("bar", bar.at());
  CHECK(foo.kernel->send("bar", Bytes(3'000'000, 'b'), {.lane = Lane::bulk}));
  for (int i = 0; i < 3; ++i) {
    CHECK(foo.send("bar", "n" + std::to_string(i), {.lane = Lane::normal}));
    CHECK(foo.send("bar", "c" + std::to_string(i), {.lane = Lane::control}));
  }
  REQUIRE(drive({&foo, &bar}, [&] { return bar.messages.size() == 7; }));
  std::string order;
  for (std::size_t i = 0; i < 6; ++i) order += bar.messages[i].text;
  CHECK(order == "c0c1c2n0n1n2");
  CHECK(bar.messages[6].text.size() == 3'000'000);
}

TEST_CASE("net: over the limits, to nobody, or down and not to be queued: an error, each its own") {
  auto config = config_of("foo");
  config.limits.message_bytes_max = 1000;
  TestNode foo(std::move(config));
  CHECK(foo.send("nobody", "x").error().code() == Errc::unreachable);
  CHECK(foo.kernel->send(99, as_bytes("x")).error().code() == Errc::peer_lost);
  CHECK(foo.kernel->send(99, as_bytes("x")).error().executed() == Executed::no);
  foo.kernel->add_peer("bar", {"127.0.0.1", 1});
  CHECK(foo.send("bar", std::string(1001, 'x')).error().code() == Errc::too_large);
  CHECK(foo.send("bar", std::string(1000, 'x')));
  CHECK(foo.send("bar", "x", {.wait_max = Duration::zero()}).error().code() == Errc::unreachable);
}

TEST_CASE(
    "net: 3,000 casts to a node that is down: those over the bound are refused, the others arrive in order") {
  auto config = config_of("foo");
  config.limits.queue_bytes_max = 64 * 1024;
  TestNode foo(std::move(config));
  const auto port = testing::free_port();  // nobody listens there yet
  foo.kernel->add_peer("bar", {"127.0.0.1", port});
  std::vector<std::string> accepted;
  std::size_t refused = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::string text = "cast number " + std::to_string(i);
    const auto sent = foo.send("bar", text);
    if (sent) {
      CHECK(refused == 0);  // the bound is met once, and stays
      accepted.push_back(text);
    } else {
      CHECK(sent.error().code() == Errc::overloaded);
      CHECK(sent.error().executed() == Executed::no);
      ++refused;
    }
  }
  CHECK(refused > 0);
  CHECK(accepted.size() > 1000);
  CHECK(foo.kernel->counters().overloaded == refused);
  CHECK_FALSE(drive(
      {&foo}, [&] { return foo.connected_to("bar"); }, 100ms));
  CHECK(foo.kernel->peers().at(0).queued_messages == accepted.size());
  CHECK(foo.kernel->peers().at(0).queued_bytes <= 64 * 1024);
  CHECK_FALSE(foo.kernel->peers().at(0).last_error.empty());

  auto bar_config = config_of("bar");
  bar_config.advertised.port = port;
  TestNode bar(std::move(bar_config));
  REQUIRE(drive({&foo, &bar}, [&] { return bar.messages.size() == accepted.size(); }));
  for (std::size_t i = 0; i < accepted.size(); ++i) CHECK(bar.messages[i].text == accepted[i]);
}

TEST_CASE("net: what waits for many peers that read nothing is bounded in all, and others get theirs") {
  auto config = config_of("foo");
  config.limits.message_bytes_max = 1 << 20;
  config.limits.queue_bytes_max = 2 << 20;
  config.limits.queues_bytes_max = 8 << 20;
  TestNode foo(std::move(config));
  TestNode bar("bar");
  foo.kernel->add_peer("bar", bar.at());
  REQUIRE(drive({&foo, &bar}, [&] { return foo.connected_to("bar"); }));
  constexpr int kDeaf = 40;
  const std::string large(50'000, 'x');
  std::size_t refused = 0;
  const auto fill = [&](const NodeId& id) {
    std::size_t bytes = 0;
    for (; foo.send(id, large); ++refused) bytes += large.size();
    return bytes;
  };
  const auto deaf = [](int i) { return NodeId("deaf" + std::to_string(i)); };
  std::size_t waiting = 0;
  for (int i = 0; i < kDeaf; ++i) {
    foo.kernel->add_peer(deaf(i), {"127.0.0.1", 1});
    waiting += fill(deaf(i));
  }
  CHECK(fill(deaf(0)) == 0);
  CHECK(waiting > 8u << 20);
  CHECK(waiting < (16u << 20) + kDeaf * (256u << 10));

  for (int i = 0; i < 100; ++i) {
    REQUIRE(foo.send("bar", large));
    REQUIRE(drive({&foo, &bar}, [&] { return bar.messages.size() == static_cast<std::size_t>(i + 1); }));
  }
  for (int i = 0; i < kDeaf; ++i) foo.kernel->remove_peer(deaf(i), true);
  REQUIRE(drive({&foo, &bar}, [&] { return foo.kernel->peers().size() == 1 && !foo.dropped.empty(); }));
  foo.kernel->add_peer(deaf(kDeaf), {"127.0.0.1", 1});
  REQUIRE(drive({&foo, &bar}, [&] { return fill(deaf(kDeaf)) == 0; }));
  CHECK(fill(deaf(0)) == 0);  // unknown now
}

TEST_CASE("net: a queued message that is taken back never arrives, its neighbours do") {
  TestNode foo("foo");
  const auto port = testing::free_port();
  foo.kernel->add_peer("bar", {"127.0.0.1", port});
  std::vector<Ticket> tickets;
  for (int i = 0; i < 10; ++i) {
    const auto ticket = foo.send("bar", std::to_string(i));
    REQUIRE(ticket);
    REQUIRE(ticket.value().value != 0);
    tickets.push_back(ticket.value());
  }
  const Ticket large = foo.kernel->send("bar", Bytes(100'000, 'L')).value();
  for (const std::size_t i : {0u, 4u, 5u, 9u}) {
    CHECK(foo.kernel->is_queued("bar", tickets[i]));
    CHECK(foo.kernel->cancel("bar", tickets[i]));
    CHECK_FALSE(foo.kernel->is_queued("bar", tickets[i]));
    CHECK_FALSE(foo.kernel->cancel("bar", tickets[i]));
  }
  CHECK(foo.kernel->cancel("bar", large));
  CHECK_FALSE(foo.kernel->cancel("bar", Ticket{}));
  CHECK_FALSE(foo.kernel->cancel("bar", Ticket{4'000'000}));
  auto bar_config = config_of("bar");
  bar_config.advertised.port = port;
  TestNode bar(std::move(bar_config));
  REQUIRE(drive({&foo, &bar}, [&] { return bar.messages.size() == 6; }));
  std::string all;
  for (const auto& message : bar.messages) all += message.text;
  CHECK(all == "123678");
  CHECK_FALSE(foo.kernel->cancel("bar", tickets[1]));
  CHECK(foo.kernel->counters().cancelled == 5);
}

TEST_CASE("net: deferred messages go out with a flush, or with the next poll") {
  TestNode foo("foo");
  TestNode bar("bar");
  REQUIRE(connect(foo, "foo", bar, "bar"));
  const auto frames = foo.kernel->counters().frames_out;
  for (int i = 0; i < 50; ++i) CHECK(foo.send("bar", "x", {.flush_now = false}));
  CHECK(foo.kernel->counters().frames_out == frames);
  foo.kernel->flush();
  CHECK(foo.kernel->counters().frames_out == frames + 1);  // one frame, one tag
  REQUIRE(drive({&bar}, [&] { return bar.messages.size() == 50; }));
  CHECK(foo.send("bar", "y", {.flush_now = false}));
  REQUIRE(drive({&foo, &bar}, [&] { return bar.messages.size() == 51; }));
}

TEST_CASE("net: ping measures the way there and back, and fails clearly without a connection") {
  TestNode foo("foo");
  TestNode bar("bar");
  REQUIRE(connect(foo, "foo", bar, "bar"));
  std::optional<Result<Duration>> answer;
  foo.kernel->ping("bar", 1s, [&](Result<Duration> result) { answer = std::move(result); });
  REQUIRE(drive({&foo, &bar}, [&] { return answer.has_value(); }));
  REQUIRE(*answer);
  CHECK(answer->value() > Duration::zero());
  CHECK(answer->value() < 1s);

  answer.reset();
  foo.kernel->ping("nobody", 1s, [&](Result<Duration> result) { answer = std::move(result); });
  REQUIRE(drive({&foo}, [&] { return answer.has_value(); }));
  CHECK(answer->error().code() == Errc::unreachable);

  answer.reset();
  foo.kernel->ping("bar", 20ms, [&](Result<Duration> result) { answer = std::move(result); });
  REQUIRE(drive({&foo}, [&] { return answer.has_value(); }));  // bar does not poll
  CHECK(answer->error().code() == Errc::timeout);

  answer.reset();
  foo.kernel->ping("bar", 10s, [&](Result<Duration> result) { answer = std::move(result); });
  bar.kernel.reset();
  REQUIRE(drive({&foo}, [&] { return answer.has_value(); }));
  CHECK(answer->error().code() == Errc::peer_lost);
}

TEST_CASE("net: stopping says goodbye after all that was queued; the peer hears it as such") {
  TestNode foo("foo");
  TestNode bar("bar");
  REQUIRE(connect(foo, "foo", bar, "bar"));
  bar.keep_messages = true;
  for (int i = 0; i < 1000; ++i) CHECK(foo.send("bar", std::string(100, 'x'), {.flush_now = false}));
  foo.kernel->stop(0s);
  CHECK(foo.send("bar", "late").error().code() == Errc::unreachable);
  REQUIRE(drive({&bar}, [&] { return !bar.downs.empty(); }));
  CHECK(bar.messages.size() == 1000);
  CHECK(bar.downs[0].reason == PeerDownReason::stopping);
}

TEST_CASE("net: stopping gives the port back, also if the connection in use ends in the same poll") {
  auto foo = std::make_unique<TestNode>("foo");
  auto config = config_of("bar");
  config.advertised.port = testing::free_port();
  TestNode bar(config);
  REQUIRE(connect(*foo, "foo", bar, "bar"));
  REQUIRE(foo->send("bar", "looked at first from now on"));
  REQUIRE(drive({&bar}, [&] { return bar.received == 1; }));
  foo.reset();
  bar.kernel->stop(10s);
  CHECK(TestNode(config).at() == bar.at());
}

TEST_CASE("net: a node that ends without a goodbye is lost, not gone for good") {
  auto foo = std::make_unique<TestNode>("foo");
  TestNode bar("bar");
  REQUIRE(connect(*foo, "foo", bar, "bar"));
  foo.reset();
  REQUIRE(drive({&bar}, [&] { return !bar.downs.empty(); }));
  CHECK(bar.downs[0].reason == PeerDownReason::lost);
  CHECK(bar.kernel->peers().at(0).known);
}

TEST_CASE("net: removing a peer gracefully sends what is queued first; by force it is dropped and reported") {
  {
    TestNode foo("foo");
    TestNode bar("bar");
    REQUIRE(connect(foo, "foo", bar, "bar"));
    for (int i = 0; i < 500; ++i) CHECK(foo.send("bar", "x", {.flush_now = false}));
    foo.kernel->remove_peer("bar", false);
    CHECK(foo.send("bar", "late").error().code() == Errc::unreachable);
    REQUIRE(drive({&foo, &bar}, [&] { return !foo.downs.empty() && !bar.downs.empty(); }));
    CHECK(bar.messages.size() == 500);
    CHECK(foo.downs[0].reason == PeerDownReason::removed);
    CHECK(bar.downs[0].reason == PeerDownReason::goodbye);
    CHECK(foo.dropped.empty());
  }
  {
    TestNode foo("foo");
    foo.kernel->add_peer("bar", {"127.0.0.1", 1});
    const Ticket first = foo.send("bar", "1").value();
    const Ticket second = foo.send("bar", "2").value();
    foo.kernel->remove_peer("bar", true);
    REQUIRE(drive({&foo}, [&] { return !foo.dropped.empty(); }));
    CHECK(foo.dropped == std::vector{first, second});
    CHECK(foo.kernel->counters().dropped == 2);
    CHECK(foo.kernel->peers().empty());
  }
}

TEST_CASE("net: a peer with another endpoint is reconnected there, and loses no queued message") {
  TestNode foo("foo");
  auto old_bar = std::make_unique<TestNode>("bar", 1);
  foo.kernel->add_peer("bar", old_bar->at());
  REQUIRE(drive({&foo, old_bar.get()}, [&] { return foo.connected_to("bar"); }));
  TestNode new_bar("bar", 2);
  foo.kernel->add_peer("bar", new_bar.at());
  REQUIRE(drive({&foo, old_bar.get(), &new_bar}, [&] { return foo.ups.size() == 2; }));
  CHECK(foo.downs.at(0).reason == PeerDownReason::moved);
  CHECK(foo.ups[1].boot.number == 2);
  CHECK(foo.ups[1].endpoint == new_bar.at());
  CHECK(old_bar->downs.at(0).reason == PeerDownReason::moved);
  CHECK(foo.send("bar", "hello"));
  REQUIRE(drive({&foo, &new_bar}, [&] { return new_bar.messages.size() == 1; }));
}

TEST_CASE("net: gives up after the stated number of dials, and reports what was queued") {
  auto config = config_of("foo");
  config.limits.retries_max = 3;
  TestNode foo(std::move(config));
  foo.kernel->add_peer("bar", {"127.0.0.1", 1});
  const Ticket ticket = foo.send("bar", "x").value();
  REQUIRE(drive({&foo}, [&] { return !foo.lost.empty(); }));
  CHECK(foo.lost[0].first == NodeId("bar"));
  CHECK(foo.lost[0].second.code() == Errc::unreachable);
  CHECK(foo.dropped == std::vector{ticket});
  CHECK(foo.send("bar", "x").error().code() == Errc::unreachable);
}

TEST_CASE("net: names and IPv6 addresses are listened on and dialled like any other") {
  for (const char* host : {"localhost", "::1", "127.0.0.1"}) {
    CAPTURE(host);
    auto foo_config = config_of("foo");
    auto bar_config = config_of("bar");
    foo_config.advertised.host = bar_config.advertised.host = host;
    TestNode foo(std::move(foo_config));
    TestNode bar(std::move(bar_config));
    CHECK(bar.at().host == host);
    CHECK(bar.at().port != 0);
    REQUIRE(connect(foo, "foo", bar, "bar"));
    CHECK(foo.send("bar", "hello"));
    CHECK(drive({&foo, &bar}, [&] { return bar.messages.size() == 1; }));
  }
  auto config = config_of("foo");
  config.bind = {"127.0.0.1", "::1"};
  TestNode both(std::move(config));
  for (const char* host : {"127.0.0.1", "::1"}) {
    TestNode bar("bar");
    bar.kernel->add_peer("foo", {host, both.at().port});
    CHECK(drive({&bar, &both}, [&] { return bar.connected_to("foo"); }));
  }
}

TEST_CASE("net: a port that is taken and an address that is not ours are clear errors") {
  TestNode foo("foo");
  TestNode quiet("quiet");
  auto config = config_of("bar");
  config.advertised.port = foo.at().port;
  auto taken = NetKernel::start(config, quiet);
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code() == Errc::io);
  config.advertised.port = 0;
  config.bind = {"192.0.2.1"};
  auto elsewhere = NetKernel::start(config, quiet);
  REQUIRE_FALSE(elsewhere);
  CHECK(elsewhere.error().code() == Errc::io);
}

TEST_CASE("net: a dial finds out who is there; a second one gives the connection that there is") {
  TestNode foo("foo");
  TestNode bar("bar");
  std::optional<Result<PeerInfo>> answer;
  const auto keep = [&](Result<PeerInfo> result) { answer = std::move(result); };
  foo.kernel->dial(bar.at(), 5s, keep);
  REQUIRE(drive({&foo, &bar}, [&] { return answer.has_value(); }));
  REQUIRE(*answer);
  CHECK(answer->value().id == NodeId("bar"));
  const auto session = answer->value().session;

  answer.reset();
  foo.kernel->dial(bar.at(), 5s, keep);
  REQUIRE(drive({&foo, &bar}, [&] { return answer.has_value(); }));
  REQUIRE(*answer);
  CHECK(answer->value().session == session);
  CHECK(foo.downs.empty());

  const auto dial_error = [&](const Endpoint& to, std::optional<NodeId> expected = {}) {
    answer.reset();
    if (expected)
      foo.kernel->dial(to, *expected, 2s, keep);
    else
      foo.kernel->dial(to, 2s, keep);
    REQUIRE(drive({&foo, &bar}, [&] { return answer.has_value(); }));
    return answer->error().code();
  };
  CHECK(dial_error({"127.0.0.1", 1}) == Errc::unreachable);
  CHECK(dial_error({"no-such-name.invalid", 7}) == Errc::unreachable);
  CHECK(dial_error(foo.at()) == Errc::refused);  // itself
  CHECK(dial_error(bar.at(), NodeId("baz")) == Errc::not_found);
}

TEST_CASE("net: a wrong cookie is one clear error on both sides, and never a connection") {
  auto config = config_of("foo");
  config.keyring = other_keyring();
  TestNode foo(std::move(config));
  TestNode bar("bar");
  std::optional<Result<PeerInfo>> answer;
  foo.kernel->dial(bar.at(), 5s, [&](Result<PeerInfo> result) { answer = std::move(result); });
  REQUIRE(drive({&foo, &bar}, [&] { return answer.has_value(); }));
  CHECK(answer->error().code() == Errc::wrong_cookie);
  CHECK(bar.kernel->counters().proofs_failed == 1);
  CHECK(foo.kernel->counters().proofs_failed == 1);
  CHECK(bar.ups.empty());

  foo.kernel->add_peer("bar", bar.at());
  CHECK_FALSE(drive(
      {&foo, &bar}, [&] { return !foo.ups.empty() || !bar.ups.empty(); }, 200ms));
  CHECK(foo.kernel->peers().at(0).last_error.starts_with("wrong_cookie"));
}

TEST_CASE("net: a client is served over its own connection, and is nobody's peer") {
  TestNode bar("bar");
  auto config = config_of("cli-1234");
  config.role = Role::client;
  TestNode client(std::move(config));
  std::optional<Result<PeerInfo>> answer;
  client.kernel->dial(bar.at(), 5s, [&](Result<PeerInfo> result) { answer = std::move(result); });
  REQUIRE(drive({&client, &bar}, [&] { return answer.has_value() && !bar.ups.empty(); }));
  REQUIRE(*answer);
  CHECK(client.send("bar", "question"));
  REQUIRE(drive({&client, &bar}, [&] { return bar.messages.size() == 1; }));
  CHECK(bar.ups[0].role == Role::client);
  CHECK(bar.send("cli-1234", "x").error().code() == Errc::unreachable);
  const auto session = bar.messages[0].session;
  CHECK(bar.kernel->send(session, as_bytes("answer")));
  REQUIRE(drive({&client, &bar}, [&] { return client.messages.size() == 1; }));
  client.kernel.reset();
  REQUIRE(drive({&bar}, [&] { return !bar.downs.empty(); }));
  CHECK(bar.kernel->send(session, as_bytes("late")).error().code() == Errc::peer_lost);
  CHECK(bar.kernel->peers().empty());
}
