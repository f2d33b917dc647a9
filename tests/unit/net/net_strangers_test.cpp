#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "net_support.hpp"
#include "raw_socket.hpp"

using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

namespace {

NetConfig hasty(const char* id) {
  auto config = config_of(id);
  config.limits.handshake_timeout = 150ms;
  config.limits.frame_timeout = 150ms;
  return config;
}

/// foo dials bar through a proxy.
struct Proxied {
  TestNode foo{hasty("foo")};
  TestNode bar{hasty("bar")};
  Proxy proxy{bar.at()};

  Proxied() {
    foo.kernel->add_peer("bar", proxy.at());
    REQUIRE(drive([&] { return foo.connected_to("bar") && bar.connected_to("foo"); }));
  }
  bool drive(const std::function<bool()>& done, Duration limit = 10s) {
    return test::drive(
        {&foo, &bar},
        [&] {
          proxy.pump();
          return done();
        },
        limit);
  }
};

/// A node that has had more wrong cookies from this machine than it takes, and will not forget them soon.
struct Guessed {
  TestNode bar;

  explicit Guessed(NetLimits limits = {}) : bar(counting(limits)) {
    auto wrong = config_of("guesser");
    wrong.keyring = other_keyring();
    TestNode guesser(std::move(wrong));
    std::size_t guesses = 0;
    while (bar.kernel->counters().throttled < 20) {
      bool answered = false;
      guesser.kernel->dial(bar.at(), 10s, [&](const Result<PeerInfo>& result) {
        CHECK_FALSE(result);
        answered = true;
      });
      REQUIRE(drive({&guesser, &bar}, [&] { return answered; }));
      REQUIRE(++guesses < 200);
    }
    CHECK(bar.kernel->counters().proofs_failed == guesses);
    CHECK(guesses >= 30);
  }
  static NetConfig counting(NetLimits limits) {
    auto config = config_of("bar");
    config.limits = limits;
    config.limits.slows_loopback = true;
    config.limits.handshake_timeout = 1h;
    return config;
  }
  /// Connections of this machine that say nothing.
  std::vector<RawSocket> strangers(std::size_t count) {
    const auto before = bar.kernel->counters().throttled;
    std::vector<RawSocket> all;
    for (std::size_t i = 0; i < count; ++i) all.emplace_back(bar.at());
    REQUIRE(drive({&bar}, [&] { return bar.kernel->counters().throttled == before + count; }));
    return all;
  }
  static std::size_t closed(const std::vector<RawSocket>& sockets) {
    return static_cast<std::size_t>(std::ranges::count_if(sockets, &RawSocket::at_end));
  }
};

}  // namespace

TEST_CASE("strangers: who has the cookie gets in where others try wrong ones, when it is his turn") {
  Guessed w;
  const auto throttled = w.bar.kernel->counters().throttled;
  const Instant begun = MonotonicClock::now();
  const auto others = w.strangers(20);
  TestNode foo("foo");
  std::optional<Result<PeerInfo>> answer;
  foo.kernel->dial(w.bar.at(), 5s, [&](Result<PeerInfo> result) { answer = std::move(result); });
  REQUIRE(drive({&foo, &w.bar}, [&] { return answer.has_value(); }));
  CHECK(*answer);
  CHECK(MonotonicClock::now() - begun > 900ms);  // 20 turns
  CHECK(w.bar.kernel->counters().throttled == throttled + 21);
  CHECK(Guessed::closed(others) == 0);
}

TEST_CASE("strangers: so many of an address wait for their turn, and who tries again gets in") {
  Guessed w;
  const auto flood = w.strangers(200);
  REQUIRE(drive({&w.bar}, [&] { return Guessed::closed(flood) > 0; }));
  CHECK_FALSE(flood[0].at_end());
  CHECK_FALSE(flood[50].at_end());
  TestNode foo("foo");
  foo.kernel->add_peer("bar", w.bar.at());
  CHECK(drive({&foo, &w.bar}, [&] { return foo.connected_to("bar"); }));
}

TEST_CASE("strangers: so many wait over all addresses, and a node that stops does not wait for them") {
  NetLimits limits;
  limits.slowed_max = 3;
  Guessed w(limits);
  const auto flood = w.strangers(100);
  REQUIRE(drive({&w.bar}, [&] { return Guessed::closed(flood) > 0; }));
  CHECK_FALSE(flood[0].at_end());
  const Instant begun = MonotonicClock::now();
  w.bar.kernel->stop(10s);
  CHECK(MonotonicClock::now() - begun < 5s);
  CHECK(Guessed::closed(flood) == 100);
}

TEST_CASE("strangers: garbage closes the stranger's connection and touches nobody else's") {
  TestNode foo("foo");
  TestNode bar("bar");
  REQUIRE(connect(foo, "foo", bar, "bar"));
  Rng rng(5);
  for (int i = 0; i < 50; ++i) {
    RawSocket stranger(bar.at());
    Bytes noise;
    if (i == 0) {
      const auto text = as_bytes("{\"type\":\"message\"}\f");
      noise.assign(text.begin(), text.end());
    } else {
      noise.resize(1 + rng.below(5000));
      for (auto& byte : noise) byte = static_cast<std::uint8_t>(rng.next());
      if (noise[0] == 1) noise[0] = 2;
    }
    stranger.send(noise);
    CHECK(foo.send("bar", std::to_string(i)));
    REQUIRE(drive({&foo, &bar},
                  [&] { return stranger.at_end() && bar.received == static_cast<std::size_t>(i) + 1; }));
  }
  CHECK(bar.ups.size() == 1);
  CHECK(bar.downs.empty());
  CHECK(bar.kernel->counters().handshakes_failed == 50);
}

TEST_CASE("strangers: who says nothing, or says it slowly, is closed at the handshake's limit") {
  TestNode bar(hasty("bar"));
  RawSocket silent(bar.at());
  RawSocket slow(bar.at());
  const Instant start = MonotonicClock::now();
  Instant sent = start;
  Bytes one_byte{1};  // then the length of a HELLO, and never its end
  REQUIRE(drive({&bar}, [&] {
    if (MonotonicClock::now() - sent > 20ms) {
      slow.send(one_byte);
      one_byte[0] = 0;
      sent = MonotonicClock::now();
    }
    return silent.at_end() && slow.at_end();
  }));
  CHECK(MonotonicClock::now() - start > 100ms);
  CHECK(MonotonicClock::now() - start < 5s);
}

TEST_CASE("strangers: who says nothing is not waited for by a node that stops") {
  auto config = config_of("bar");
  config.limits.handshake_timeout = 1h;
  TestNode bar(std::move(config));
  const RawSocket silent(bar.at());
  const RawSocket noisy(bar.at());
  noisy.send(Bytes{0xff});
  REQUIRE(drive({&bar}, [&] { return noisy.at_end(); }));  // so the one before it was accepted
  CHECK_FALSE(silent.at_end());
  const Instant begun = MonotonicClock::now();
  bar.kernel->stop(10s);
  CHECK(MonotonicClock::now() - begun < 5s);
  CHECK(silent.at_end());
}

TEST_CASE("strangers: a flood of half-open connections evicts the oldest, and a peer still gets in") {
  auto config = config_of("bar");
  config.limits.half_open_max = 10;
  TestNode bar(std::move(config));
  std::vector<RawSocket> flood;
  for (int i = 0; i < 30; ++i) flood.emplace_back(bar.at());
  REQUIRE(drive({&bar}, [&] { return bar.kernel->counters().evicted == 20; }));
  CHECK(drive({&bar}, [&] { return flood[0].at_end(); }));
  CHECK_FALSE(flood[29].at_end());
  TestNode foo("foo");
  foo.kernel->add_peer("bar", bar.at());
  CHECK(drive({&foo, &bar}, [&] { return foo.connected_to("bar"); }));
}

TEST_CASE(
    "strangers: a bit flipped in a frame ends the connection, delivers nothing, and the next one works") {
  Proxied w;
  Rng rng(3);
  for (int i = 0; i < 40; ++i) {
    CAPTURE(i);
    const auto bad_before = w.bar.kernel->counters().bad_frames + w.bar.kernel->counters().frames_timed_out;
    const auto downs_before = w.bar.downs.size();
    bool flipped = false;
    w.proxy.on_bytes = [&](Bytes& bytes) {
      if (std::exchange(flipped, true)) return;
      const auto bit =
          i < 32 ? static_cast<std::size_t>(i) : rng.below(bytes.size() * 8);  // the length, then anywhere
      bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    };
    w.bar.messages.clear();
    CHECK(w.foo.send("bar", "to be altered"));
    REQUIRE(w.drive([&] { return w.bar.downs.size() > downs_before; }));
    CHECK(w.bar.downs.back().reason == PeerDownReason::protocol_error);
    CHECK(w.bar.messages.empty());
    CHECK(w.bar.kernel->counters().bad_frames + w.bar.kernel->counters().frames_timed_out == bad_before + 1);
    w.proxy.on_bytes = nullptr;
    REQUIRE(w.drive([&] {
      return w.foo.connected_to("bar") && w.bar.connected_to("foo") && w.foo.ups.size() == w.bar.ups.size();
    }));
    CHECK(w.foo.send("bar", "unaltered"));
    REQUIRE(w.drive([&] { return w.bar.messages.size() == 1; }));
    CHECK(w.bar.messages[0].text == "unaltered");
  }
}

TEST_CASE("strangers: a recorded frame sent again does nothing, on its connection and on another") {
  Proxied w;
  Bytes frame;
  w.proxy.on_bytes = [&](Bytes& bytes) {
    frame = bytes;
    bytes.insert(bytes.end(), frame.begin(), frame.end());  // twice, one right behind the other
  };
  CHECK(w.foo.send("bar", "once"));
  REQUIRE(w.drive([&] { return !w.bar.downs.empty(); }));
  CHECK(w.bar.messages.size() == 1);
  CHECK(w.bar.downs[0].reason == PeerDownReason::protocol_error);
  CHECK(w.bar.kernel->counters().bad_frames == 1);

  w.proxy.on_bytes = nullptr;
  REQUIRE(w.drive([&] { return w.bar.ups.size() == 2 && w.foo.ups.size() == 2; }));
  w.proxy.on_bytes = [&](Bytes& bytes) { bytes.insert(bytes.begin(), frame.begin(), frame.end()); };
  CHECK(w.foo.send("bar", "twice"));
  REQUIRE(w.drive([&] { return w.bar.downs.size() == 2; }));
  CHECK(w.bar.messages.size() == 1);
}

TEST_CASE("strangers: a whole recorded connection sent again gets nowhere") {
  TestNode foo("foo");
  TestNode bar("bar");
  Proxy proxy(bar.at());
  Bytes recording;
  proxy.on_bytes = [&](Bytes& bytes) { recording.insert(recording.end(), bytes.begin(), bytes.end()); };
  foo.kernel->add_peer("bar", proxy.at());
  CHECK(foo.send("bar", "once"));
  REQUIRE(drive({&foo, &bar}, [&] {
    proxy.pump();
    return bar.messages.size() == 1;
  }));
  foo.kernel.reset();
  REQUIRE(drive({&bar}, [&] {
    proxy.pump();
    return bar.downs.size() == 1;
  }));
  RawSocket stranger(bar.at());
  stranger.send(recording);
  REQUIRE(drive({&bar}, [&] { return stranger.at_end(); }));
  CHECK(bar.messages.size() == 1);
  CHECK(bar.ups.size() == 1);
  CHECK(bar.kernel->counters().proofs_failed == 1);
}

TEST_CASE("strangers: a frame that is begun and never finished ends its connection") {
  Proxied w;
  w.proxy.on_bytes = [&](Bytes& bytes) { bytes.pop_back(); };
  CHECK(w.foo.send("bar", "cut short"));
  REQUIRE(w.drive([&] { return !w.bar.downs.empty(); }));
  CHECK(w.bar.downs[0].reason == PeerDownReason::protocol_error);
  CHECK(w.bar.kernel->counters().frames_timed_out == 1);
  CHECK(w.bar.messages.empty());
}
