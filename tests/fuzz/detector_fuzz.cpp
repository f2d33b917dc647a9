#include <array>

#include "cluster/base/assert.hpp"
#include "cluster/proto/detector.hpp"
#include "fuzz.hpp"
#include "stream.hpp"

namespace {
using namespace cluster;
using namespace cluster::proto;

void heed(const DetectorActions& actions) {
  for (const auto& action : actions)
    if (const auto* sent = std::get_if<DetectorSend>(&action)) CLUSTER_ASSERT(check(sent->message));
}

}  // namespace

// The input is what the other members of a ring of five say, in turn; one of them is never reached.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::array<NodeId, 5> members{"a", "b", "c", "d", "self"};
  Detector detector({.self = "self", .boot = {1, 2}}, Rng(1));
  Instant now{};
  heed(detector.on_start(now));
  heed(detector.on_members(now, members));
  for (std::size_t i = 0; i < 3; ++i) heed(detector.on_peer_up(now, members[i], {1, i}));
  std::size_t turn = 0;
  take_messages<DetectorMessage>({data, size}, [&](const DetectorMessage& message) {
    heed(detector.on_message({now, WallTime{}}, members[turn++ % 3], message));
    now += 110ms;
    heed(detector.on_time(now));
    CLUSTER_ASSERT(detector.next_deadline() > now);
    CLUSTER_ASSERT(detector.members().size() == members.size() - 1);  // no message adds one
  });
  return 0;
}
