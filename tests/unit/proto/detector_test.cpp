#include "cluster/proto/detector.hpp"

#include <doctest/doctest.h>

#include <array>
#include <vector>

using namespace cluster;
using namespace cluster::proto;

namespace {

const std::vector<NodeId> kRing{"a", "b"};

}  // namespace

TEST_CASE("detector: with nobody to ask, silence means suspect, then unreachable, each at its stated time") {
  const Instant start{};
  Detector detector({.self = "a", .boot = {1, 1}, .probe_jitter = 0}, Rng(1));
  static_cast<void>(detector.on_start(start));
  static_cast<void>(detector.on_members(start, kRing));
  CHECK(detector.state_of("b") == MemberState::unknown);
  static_cast<void>(detector.on_peer_up(start, "b", {1, 2}));
  // The first period begins at a random time of the first interval.
  Instant first{};
  for (Instant now = start; first == Instant{}; now = detector.next_deadline()) {
    for (const auto& action : detector.on_time(now))
      if (const auto* send = std::get_if<DetectorSend>(&action);
          send != nullptr && std::holds_alternative<SwimPing>(send->message))
        first = now;
  }
  struct Row {
    const char* when;
    Duration elapsed;
    MemberState expected;
  };
  const std::array rows{Row{"before the interval ends", 499ms, MemberState::alive},
                        Row{"when it ends", 500ms, MemberState::suspect},
                        Row{"before suspicion runs out", 3'999ms, MemberState::suspect},
                        Row{"when it has", 4'000ms, MemberState::unreachable}};
  for (const auto& row : rows) {
    CAPTURE(row.when);
    while (detector.next_deadline() <= first + row.elapsed)
      static_cast<void>(detector.on_time(detector.next_deadline()));
    CHECK(detector.state_of("b") == row.expected);
  }
}
