#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "watched.hpp"

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

Watched watched(Protection level) { return {config_at("foo", level), config_at("bar", level)}; }

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

      send_all_sizes(foo, bar, [&](const auto& done) { return drive({&foo, &bar}, done); });
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
    const Error error = refused_dial(foo, bar);
    CHECK(error.code() == Errc::incompatible);
    CHECK(error.message().find("no common protection level") != std::string::npos);
    CHECK(error.message().find("no less than seal") != std::string::npos);
    CHECK(foo.kernel->counters().handshakes_failed == 1);
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
    Watched w = watched(level);
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
      Watched w = watched(level);
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

      w.check_comes_back();
    }
  }
}

TEST_CASE("protection: of a large message with one wrong frame nothing is delivered") {
  for (const auto level : kLevels) {
    CAPTURE(wire::name(level));
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(seed);
      Watched w = watched(level);
      w.alter(10 + Rng(seed).below(290'000));
      CHECK(w.foo.send("bar", std::string(300'000, 'x')));
      REQUIRE(w.drive([&] { return !w.bar.downs.empty(); }));
      CHECK(w.bar.downs[0].reason == PeerDownReason::protocol_error);
      CHECK(w.bar.messages.empty());
    }
  }
}
