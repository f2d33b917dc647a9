// What the network may bring: bounds, forgeries, encodings.
#include <doctest/doctest.h>

#include <array>

#include "cluster/proto/ring_records.hpp"
#include "cluster/wire/codec.hpp"
#include "detector_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::test;

TEST_CASE("detector: content out of bounds is refused, on both sides of each limit") {
  struct Row {
    const char* what;
    DetectorMessage message;
    bool good = false;
  };
  auto endless = claim("b1000", MemberState::alive, kCountMax);
  auto beyond = claim("b1000", MemberState::alive, kCountMax + 1);
  auto boot = claim("b1000", MemberState::alive, 0, "b1001", {kCountMax + 1, 0});
  const std::array rows{
      Row{"nothing", SwimGossip{}, true},
      Row{"64 claims", SwimGossip{SwimClaims(64, endless)}, true},
      Row{"65 claims", SwimGossip{SwimClaims(65, endless)}},
      Row{"65 claims in a ping", SwimPing{1, SwimClaims(65, endless)}},
      Row{"an incarnation over its bound", SwimAck{1, {beyond}}},
      Row{"a boot over its bound", SwimNack{1, {boot}}},
      Row{"left", SwimGossip{{claim("b1000", MemberState::left)}}},
      Row{"unknown", SwimGossip{{claim("b1000", MemberState::unknown)}}},
      Row{"stopped", SwimGossip{{claim("b1000", MemberState::stopped)}}, true},
      Row{"of nobody", SwimGossip{{claim({}, MemberState::alive)}}},
      Row{"by nobody", SwimGossip{{claim("b1000", MemberState::alive, 0, {})}}},
      Row{"a request for nobody", SwimPingReq{1, {}}},
      Row{"a request", SwimPingReq{1, "b1001"}, true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    auto detector = make(ring(3));
    CHECK(count_refused(detector.on_message({kThen, kWall}, "b1000", row.message)) == (row.good ? 0 : 1));
    CHECK(detector.counters().refused == (row.good ? 0 : 1));
  }
  auto detector = make(ring(3));
  CHECK(count_refused(detector.on_message({kThen, kWall}, "a", SwimPing{})) == 1);
}

TEST_CASE("detector: whatever arrives, from whomever, no memory grows and what must hold goes on") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    auto detector = make(ring(4), seed);
    const std::array<NodeId, 7> names{"a", "b1000", "b1001", "b1002", "b1003", "x", "y"};
    const auto anybody = [&] { return names[static_cast<std::size_t>(rng.below(names.size()))]; };
    const auto claims = [&] {
      SwimClaims some;
      for (auto i = rng.below(5); i > 0; --i)
        some.push_back(claim(anybody(), static_cast<MemberState>(rng.below(6)),
                             rng.chance(0.1) ? kCountMax - rng.below(2) : rng.below(4), anybody(),
                             {rng.below(7), rng.below(3)}));
      return some;
    };
    auto now = kThen;
    for (int i = 0; i < 3'000; ++i) {
      now += Duration(static_cast<std::int64_t>(rng.below(100'000'000)));
      DetectorMessage message;
      switch (rng.below(5)) {
        case 0:
          message = SwimPing{rng.next(), claims()};
          break;
        case 1:
          message = SwimPingReq{rng.next(), anybody(), rng.chance(0.5), claims()};
          break;
        case 2:
          message = SwimAck{rng.below(1'000), claims()};
          break;
        case 3:
          message = SwimNack{rng.below(1'000), claims()};
          break;
        default:
          message = SwimGossip{claims()};
      }
      auto actions = detector.on_message({now, kWall}, anybody(), message);
      CHECK(actions.size() <= 16);
      if (detector.next_deadline() <= now) actions = detector.on_time(now);
      CHECK(actions.size() <= 3 + 3 + 128 + 8);
      CHECK(detector.members().size() == 4);
      CHECK(detector.health() <= 8);
      CHECK(detector.next_deadline() >= now);
      CHECK(detector.next_deadline() <= now + 5s);
    }
  }
}

TEST_CASE("detector: claims travel as arrays and come back as they were") {
  const DetectorMessage message =
      SwimPingReq{7, "c", true, {claim("b", MemberState::stopped, 3, "d", {~std::uint64_t{0} >> 3, 1})}};
  const auto bytes = wire::encode(message);
  auto back = wire::decode<DetectorMessage>(bytes);
  REQUIRE(back.has_value());
  CHECK(std::get<SwimPingReq>(*back).claims == std::get<SwimPingReq>(message).claims);
  CHECK(wire::encode(*back) == bytes);
  CHECK(wire::encode(DetectorMessage(SwimPing{1})).size() <= 10);
}
