#include <string>
#include <utility>

#include "cluster/base/assert.hpp"
#include "cluster/proto/gossip.hpp"
#include "cluster/proto/ring_file.hpp"
#include "fuzz.hpp"
#include "stream.hpp"

namespace {
using namespace cluster;
using namespace cluster::proto;

constexpr WallTime kWall = wall_from_micros(1'700'000'000'000'000);

/// What a node tells others is within the bounds that these check.
void heed(const Actions& actions) {
  for (const auto& action : actions)
    if (const auto* sent = std::get_if<Send>(&action)) CLUSTER_ASSERT(check(sent->message));
}

}  // namespace

// The input is what one proven member says to another.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Gossip gossip(
      {.self = {.id = "self", .boot = {1, 2}, .endpoint = {"127.0.0.1", 7022}, .weight = 3}, .ring = "ring"},
      Rng(1), {Instant{}, kWall});
  Moment at{Instant{}, kWall};
  heed(gossip.on_start(at));
  heed(gossip.on_peer_up(at, "peer"));
  take_messages<GossipMessage>({data, size}, [&](const GossipMessage& message) {
    heed(gossip.on_message(at, "peer", message));
    at.now += 300ms;
    at.wall += 300ms;
    heed(gossip.on_time(at));
    CLUSTER_ASSERT(gossip.next_deadline() > at.now);
  });
  // Whatever was said, the ring can be saved and read again.
  const auto saved = gossip.saved();
  CLUSTER_ASSERT(decode_ring_file(encode_ring_file(saved)).value() == saved);
  return 0;
}
