#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "net_support.hpp"
#include "raw_socket.hpp"

using namespace cluster;
using namespace cluster::net;
using namespace cluster::net::test;

namespace {

constexpr std::array kLevels{Protection::sign, Protection::seal};
constexpr std::string_view kSecretText = "the launch code is 0000, and it always was";

NetConfig config_at(const char* id, Protection most, Protection least = Protection::sign) {
  auto config = config_of(id);
  config.protection = most;
  config.protection_min = least;
  config.limits.frame_timeout = 150ms;
  return config;
}

/// foo dials bar through a proxy that sees all that foo sends.
struct Watched {
  explicit Watched(Protection level) : foo(config_at("foo", level)), bar(config_at("bar", level)) {
    foo.kernel->add_peer("bar", proxy.at());
    REQUIRE(drive([&] { return connected(); }));
  }
  bool drive(const std::function<bool()>& done) {
    return test::drive({&foo, &bar}, [&] {
      proxy.pump();
      return done();
    });
  }
  [[nodiscard]] bool connected() const {
    return foo.connected_to("bar") && bar.connected_to("foo") && foo.ups.size() == bar.ups.size();
  }

  TestNode foo;
  TestNode bar;
  Proxy proxy{bar.at()};
};

Protection level_of(const TestNode& node, const NodeId& peer) {
  const auto peers = node.kernel->peers();
  return std::ranges::find(peers, peer, &PeerStatus::id)->protection;
}

bool contains(const Bytes& bytes, std::string_view text) {
  return as_text(bytes).find(text) != std::string_view::npos;
}

}  // namespace

TEST_CASE("protection: the greatest level that both offer is used, told and kept for messages of any size") {
  for (const auto most_of_foo : kLevels) {
    for (const auto most_of_bar : kLevels) {
      const auto expected = std::min(most_of_foo, most_of_bar);
      TestNode foo(config_at("foo", most_of_foo));
      TestNode bar(config_at("bar", most_of_bar));
      REQUIRE(connect(foo, "foo", bar, "bar"));
      CHECK(level_of(foo, "bar") == expected);
      CHECK(level_of(bar, "foo") == expected);
      CHECK(foo.ups[0].protection == expected);
      CHECK(bar.ups[0].protection == expected);

      Rng rng(4);
      std::vector<std::string> sent;
      for (const std::size_t size : {0u, 1u, 100u, 65'532u, 65'533u, 200'000u, 3'000'000u}) {
        std::string text(size, ' ');
        for (auto& letter : text) letter = static_cast<char>('a' + rng.below(26));
        sent.push_back(std::move(text));
        CHECK(foo.send("bar", sent.back()));
        CHECK(bar.send("foo", sent.back()));
      }
      REQUIRE(drive({&foo, &bar}, [&] {
        return foo.messages.size() == sent.size() && bar.messages.size() == sent.size();
      }));
      for (std::size_t i = 0; i < sent.size(); ++i) {
        CHECK(foo.messages[i].text == sent[i]);
        CHECK(bar.messages[i].text == sent[i]);
      }
    }
  }
}

TEST_CASE("protection: who offers less than the other demands is refused, with the reason on both sides") {
  for (const bool dialler_demands : {true, false}) {
    CAPTURE(dialler_demands);
    const auto strict = [](const char* id) { return config_at(id, Protection::seal, Protection::seal); };
    const auto plain = [](const char* id) { return config_at(id, Protection::sign); };
    TestNode foo(dialler_demands ? strict("foo") : plain("foo"));
    TestNode bar(dialler_demands ? plain("bar") : strict("bar"));
    std::optional<Result<PeerInfo>> answer;
    foo.kernel->dial(bar.at(), 5s, [&](Result<PeerInfo> result) { answer = std::move(result); });
    REQUIRE(drive({&foo, &bar},
                  [&] { return answer.has_value() && bar.kernel->counters().handshakes_failed == 1; }));
    REQUIRE_FALSE(*answer);
    CHECK(answer->error().code() == Errc::incompatible);
    CHECK(answer->error().message().find("no common protection level") != std::string::npos);
    CHECK(answer->error().message().find("no less than seal") != std::string::npos);
    CHECK(foo.kernel->counters().handshakes_failed == 1);
    CHECK(foo.ups.empty());
    CHECK(bar.ups.empty());
  }
}

TEST_CASE("protection: a kernel refuses levels that contradict each other, or that it does not have") {
  TestNode unused("unused");
  for (const auto& [most, least] : {std::pair{Protection::sign, Protection::seal},
                                    std::pair{Protection::tls, Protection::sign}}) {  // without a certificate
    const auto started = NetKernel::start(config_at("foo", most, least), unused);
    REQUIRE_FALSE(started);
    CHECK(started.error().code() == Errc::invalid_argument);
  }
}

TEST_CASE("protection: a text is seen on the wire if it is signed, and not if it is sealed") {
  for (const auto level : kLevels) {
    CAPTURE(wire::name(level));
    Watched w(level);
    Bytes captured;
    w.proxy.on_bytes = [&](Bytes& bytes) { captured.insert(captured.end(), bytes.begin(), bytes.end()); };
    CHECK(w.foo.send("bar", kSecretText));
    CHECK(w.foo.send("bar", std::string(100'000, '.') + std::string(kSecretText)));  // in fragments
    REQUIRE(w.drive([&] { return w.bar.messages.size() == 2; }));
    CHECK(w.bar.messages[0].text == kSecretText);
    CHECK(w.bar.messages[1].text.ends_with(kSecretText));
    CHECK(captured.size() > 100'000);
    CHECK(contains(captured, kSecretText) == (level == Protection::sign));
    CHECK(contains(captured, "launch") == (level == Protection::sign));
    CHECK(contains(captured, "........") == (level == Protection::sign));
  }
}

TEST_CASE(
    "protection: a frame altered, repeated, left out or swapped delivers nothing and ends the connection") {
  struct Row {
    const char* what;
    std::size_t frames;  // to send before the connection ends
    std::size_t delivered;
    std::function<void(Bytes& frame, std::size_t index, Bytes& held)> change;
  };
  const auto flip = [](std::size_t at, std::size_t from_end) {
    return
        [=](Bytes& frame, std::size_t, Bytes&) { frame[from_end > 0 ? frame.size() - from_end : at] ^= 4; };
  };
  const std::vector<Row> rows{
      {"its flags altered", 1, 0, flip(7, 0)},
      {"its lane altered", 1, 0, flip(5, 0)},
      {"the first byte of its body altered", 1, 0, flip(wire::kFrameHeaderBytes, 0)},
      {"the last byte of its body altered", 1, 0, flip(0, wire::kFrameTagBytes + 1)},
      {"the first byte of its tag altered", 1, 0, flip(0, wire::kFrameTagBytes)},
      {"the last byte of its tag altered", 1, 0, flip(0, 1)},
      {"repeated", 1, 1,
       [](Bytes& frame, std::size_t, Bytes&) {
         const Bytes once = frame;
         frame.insert(frame.end(), once.begin(), once.end());
       }},
      {"left out", 2, 0,
       [](Bytes& frame, std::size_t index, Bytes&) {
         if (index == 0) frame.clear();
       }},
      {"swapped with the next", 2, 0,
       [](Bytes& frame, std::size_t index, Bytes& held) {
         if (index == 0)
           held = std::exchange(frame, {});
         else
           frame.insert(frame.end(), held.begin(), held.end());
       }},
      {"cut short", 1, 0, [](Bytes& frame, std::size_t, Bytes&) { frame.pop_back(); }},
      {"shorter by its header", 1, 0, [](Bytes& frame, std::size_t, Bytes&) { --frame[3]; }},
  };
  for (const auto level : kLevels) {
    CAPTURE(wire::name(level));
    for (const auto& row : rows) {
      CAPTURE(row.what);
      Watched w(level);
      std::size_t index = 0;
      Bytes held;
      w.proxy.on_bytes = [&](Bytes& bytes) {
        if (index < row.frames) row.change(bytes, index++, held);
      };
      for (std::size_t i = 0; i < row.frames; ++i) {
        CHECK(w.foo.send("bar", "message " + std::to_string(i)));
        REQUIRE(w.drive([&] { return index > i; }));
      }
      REQUIRE(w.drive([&] { return !w.bar.downs.empty(); }));
      CHECK(w.bar.downs[0].reason == PeerDownReason::protocol_error);
      const auto counted = w.bar.kernel->counters();
      CHECK(counted.bad_frames + counted.frames_timed_out == 1);
      CHECK(w.bar.messages.size() == row.delivered);

      w.proxy.on_bytes = nullptr;
      w.bar.messages.clear();
      REQUIRE(w.drive([&] { return w.bar.ups.size() == 2 && w.connected(); }));
      CHECK(w.foo.send("bar", "after it"));
      REQUIRE(w.drive([&] { return !w.bar.messages.empty(); }));
      CHECK(w.bar.messages[0].text == "after it");
    }
  }
}

TEST_CASE("protection: of a large message with one wrong frame nothing is delivered") {
  for (const auto level : kLevels) {
    CAPTURE(wire::name(level));
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(seed);
      Watched w(level);
      Rng rng(seed);
      std::size_t seen = 0;
      const std::size_t at = 10 + rng.below(290'000);
      w.proxy.on_bytes = [&](Bytes& bytes) {
        if (at >= seen && at < seen + bytes.size()) bytes[at - seen] ^= 1;
        seen += bytes.size();
      };
      CHECK(w.foo.send("bar", std::string(300'000, 'x')));
      REQUIRE(w.drive([&] { return !w.bar.downs.empty(); }));
      CHECK(w.bar.downs[0].reason == PeerDownReason::protocol_error);
      CHECK(w.bar.messages.empty());
    }
  }
}
