#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "net_support.hpp"
#include "ports.hpp"
#include "raw_socket.hpp"

// Large messages: what goes beside them, and what becomes of them when something goes wrong in the middle.
using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

namespace {

NetConfig roomy(const char* id, std::uint64_t boot = 1) {
  auto config = config_of(id, boot);
  config.limits.message_bytes_max = std::size_t{1} << 30;
  return config;
}

constexpr std::size_t kLarge = 32u << 20;

}  // namespace

TEST_CASE("large messages: those of other pairs overtake a long one, its own pair keeps its order") {
  TestNode foo(roomy("foo")), bar(roomy("bar"));
  REQUIRE(connect(foo, "foo", bar, "bar"));
  REQUIRE(foo.send("bar", std::string(kLarge, 'L'), {.pair = 1}));
  REQUIRE(foo.send("bar", "after L", {.pair = 1}));
  REQUIRE(foo.send("bar", std::string(1 << 20, 'M'), {.pair = 2}));
  REQUIRE(foo.send("bar", "after M", {.pair = 2}));
  REQUIRE(foo.send("bar", "small", {.pair = 3}));
  REQUIRE(foo.send("bar", "urgent", {.lane = Lane::control, .pair = 1}));
  REQUIRE(drive(
      {&foo, &bar}, [&] { return bar.messages.size() == 6; }, 60s));
  const auto at = [&](std::size_t i) { return bar.messages[i].text.substr(0, 7); };
  CHECK(at(0) == "urgent");
  CHECK(at(1) == "small");
  CHECK(at(2) == "MMMMMMM");
  CHECK(at(3) == "after M");
  CHECK(at(4) == "LLLLLLL");
  CHECK(at(5) == "after L");
  CHECK(bar.messages[4].text.size() == kLarge);
}

TEST_CASE("large messages: one over the queue's bound is taken, and leaves the bound to the others") {
  auto config = roomy("foo");
  config.limits.queue_bytes_max = 1 << 20;
  TestNode foo(std::move(config));
  TestNode bar(roomy("bar"));
  REQUIRE(connect(foo, "foo", bar, "bar"));
  REQUIRE(foo.send("bar", std::string(kLarge, 'L'), {.pair = 1}));
  const auto second = foo.send("bar", std::string(kLarge, 'L'), {.pair = 2});
  REQUIRE_FALSE(second);
  CHECK(second.error().code() == Errc::overloaded);
  REQUIRE(foo.send("bar", std::string(500'000, 'm'), {.pair = 3}));
  REQUIRE(drive(
      {&foo, &bar}, [&] { return bar.messages.size() == 2; }, 60s));
  CHECK(foo.send("bar", std::string(kLarge, 'L'), {.pair = 2}));
}

TEST_CASE("large messages: pings are answered and calls pass while one is on its way") {
  for (const bool both_ways : {false, true}) {
    CAPTURE(both_ways);
    TestNode foo(roomy("foo")), bar(roomy("bar"));
    foo.keep_messages = bar.keep_messages = false;
    REQUIRE(connect(foo, "foo", bar, "bar"));
    constexpr std::size_t kHuge = 256u << 20;
    REQUIRE(foo.kernel->send("bar", Bytes(kHuge), {.lane = Lane::bulk, .pair = 1}));
    if (both_ways) REQUIRE(bar.kernel->send("foo", Bytes(kHuge), {.lane = Lane::bulk, .pair = 1}));
    std::size_t pongs = 0;
    std::size_t small = 0;
    bool asked = false;
    bar.on_text = [&](const PeerInfo&, ByteView message) { small += message.size() < 100; };
    REQUIRE(drive(
        {&foo, &bar},
        [&] {
          if (!asked && bar.received_bytes < kHuge) {
            asked = true;
            foo.kernel->ping("bar", 10s, [&](const Result<Duration>& answer) {
              REQUIRE(answer);
              asked = false;
              ++pongs;
            });
            REQUIRE(foo.send("bar", "small", {.pair = 2}));
          }
          return bar.received_bytes >= kHuge;
        },
        60s));
    // One for each 16 MiB at least, which are sent in about 10 ms.
    CHECK(pongs >= 16);
    CHECK(small >= 16);
  }
}

TEST_CASE("large messages: one that is taken back in the middle never arrives, what follows does") {
  TestNode foo(roomy("foo")), bar(roomy("bar"));
  REQUIRE(connect(foo, "foo", bar, "bar"));
  const auto ticket = foo.send("bar", std::string(kLarge, 'L'), {.pair = 1});
  REQUIRE(ticket);
  const auto begun = bar.kernel->counters().bytes_in;
  REQUIRE(drive({&foo, &bar}, [&] { return bar.kernel->counters().bytes_in > begun + (2u << 20); }));
  REQUIRE(foo.kernel->is_queued("bar", ticket.value()));
  CHECK(foo.kernel->cancel("bar", ticket.value()));
  CHECK_FALSE(foo.kernel->cancel("bar", ticket.value()));
  CHECK_FALSE(foo.kernel->is_queued("bar", ticket.value()));
  for (int i = 0; i < 20; ++i)  // each needs one of the 16 streams
    REQUIRE(foo.send("bar", std::string(100'000, static_cast<char>('a' + i)), {.pair = 1}));
  REQUIRE(drive({&foo, &bar}, [&] { return bar.messages.size() >= 20; }));
  for (std::size_t i = 0; i < 20; ++i)
    CHECK(bar.messages[i].text == std::string(100'000, static_cast<char>('a' + i)));
  CHECK(bar.downs.empty());
  CHECK(foo.kernel->counters().cancelled == 1);
}

TEST_CASE("large messages: a link that breaks in the middle delivers nothing, and the next link the whole") {
  TestNode foo(roomy("foo"));
  auto first = roomy("bar", 1);
  const auto port = first.advertised.port = testing::free_port();
  auto bar = std::make_unique<TestNode>(std::move(first));
  REQUIRE(connect(foo, "foo", *bar, "bar"));
  REQUIRE(foo.send("bar", std::string(kLarge, 'L'), {.pair = 1}));
  REQUIRE(drive({&foo, bar.get()}, [&] { return bar->kernel->counters().bytes_in > (2u << 20); }));
  CHECK(bar->messages.empty());
  bar = nullptr;
  REQUIRE(drive({&foo}, [&] { return !foo.downs.empty(); }));
  auto next = roomy("bar", 2);
  next.advertised.port = port;
  bar = std::make_unique<TestNode>(std::move(next));
  REQUIRE(foo.send("bar", "after L", {.pair = 1}));
  REQUIRE(drive(
      {&foo, bar.get()}, [&] { return bar->messages.size() == 2; }, 60s));
  CHECK(bar->messages[0].text == std::string(kLarge, 'L'));
  CHECK(bar->messages[1].text == "after L");
}

TEST_CASE("large messages: a fragment that stops in the middle closes the connection in time") {
  const auto impatient = [](const char* id) {
    auto config = roomy(id);
    config.limits.frame_timeout = 150ms;
    return config;
  };
  TestNode foo(impatient("foo")), bar(impatient("bar"));
  Proxy proxy(bar.at());
  foo.kernel->add_peer("bar", proxy.at());
  const auto with_proxy = [&](const std::function<bool()>& done) {
    return drive({&foo, &bar}, [&] {
      proxy.pump();
      return done();
    });
  };
  REQUIRE(with_proxy([&] { return foo.connected_to("bar") && bar.connected_to("foo"); }));
  std::size_t carried = 0;
  proxy.on_bytes = [&](Bytes& bytes) {  // the third fragment is cut off, and nothing follows
    const std::size_t room = 150'000 - std::min<std::size_t>(carried, 150'000);
    bytes.resize(std::min(bytes.size(), room));
    carried += bytes.size();
  };
  REQUIRE(foo.send("bar", std::string(400'000, 'L')));
  REQUIRE(with_proxy([&] { return bar.kernel->counters().frames_timed_out > 0; }));
  CHECK(bar.messages.empty());
  REQUIRE(bar.downs.size() == 1);
  CHECK(bar.downs[0].reason == PeerDownReason::protocol_error);
}

TEST_CASE("large messages: one whose fragments stop coming closes the connection in time") {
  const auto impatient = [](const char* id) {
    auto config = roomy(id);
    config.limits.frame_timeout = 60s;
    config.limits.fragment_timeout = 150ms;
    return config;
  };
  TestNode foo(impatient("foo")), bar(impatient("bar"));
  Proxy proxy(bar.at());
  foo.kernel->add_peer("bar", proxy.at());
  const auto with_proxy = [&](const std::function<bool()>& done) {
    return drive({&foo, &bar}, [&] {
      proxy.pump();
      return done();
    });
  };
  REQUIRE(with_proxy([&] { return foo.connected_to("bar") && bar.connected_to("foo"); }));
  std::size_t carried = 0;
  proxy.on_bytes = [&](Bytes& bytes) {
    const std::size_t room = 150'000 - std::min<std::size_t>(carried, 150'000);
    bytes.resize(std::min(bytes.size(), room));
    carried += bytes.size();
  };
  REQUIRE(foo.send("bar", std::string(400'000, 'L')));
  REQUIRE(with_proxy([&] { return bar.kernel->counters().frames_timed_out > 0; }));
  REQUIRE(bar.downs.size() == 1);
  CHECK(bar.downs[0].reason == PeerDownReason::protocol_error);
}

TEST_CASE(
    "large messages: those of many peers come one after the other where there is room for one at a time") {
  auto narrow = roomy("bar");
  narrow.limits.fragments_bytes_max = kLarge;
  TestNode bar(std::move(narrow));
  std::vector<std::unique_ptr<TestNode>> senders;
  for (const char* id : {"s1", "s2", "s3", "s4"}) {
    auto config = roomy(id);
    config.limits.queue_bytes_max = 4 * kLarge;
    senders.push_back(std::make_unique<TestNode>(std::move(config)));
    REQUIRE(connect(*senders.back(), id, bar, "bar"));
  }
  for (const auto& sender : senders)
    for (std::uint64_t pair = 1; pair <= 2; ++pair)
      REQUIRE(sender->send("bar", std::string(kLarge, 'L'), {.pair = pair}));
  REQUIRE(drive(
      {&bar, senders[0].get(), senders[1].get(), senders[2].get(), senders[3].get()},
      [&] { return bar.messages.size() == 8; }, 60s));
  for (const auto& message : bar.messages) CHECK(message.text.size() == kLarge);
  CHECK(bar.downs.empty());
  CHECK(bar.kernel->counters().frames_timed_out == 0);
}
