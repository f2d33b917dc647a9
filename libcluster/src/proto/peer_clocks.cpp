#include "cluster/proto/peer_clocks.hpp"

#include <algorithm>
#include <optional>

namespace cluster::proto {
namespace {

constexpr Duration kLately = 1min;

}  // namespace

void PeerClocks::heard(const NodeId& from, Moment at, WallTime theirs) {
  std::erase_if(heard_, [&](const Heard& one) { return one.from == from || at.now - one.at > kLately; });
  if (heard_.size() == kPeersMax) heard_.pop_front();
  heard_.push_back({from, at.now, theirs});
}

WallTime::duration PeerClocks::ahead_of_all(Moment at) const {
  std::optional<WallTime::duration> least;
  for (const auto& one : heard_) {
    const auto since = at.now - one.at;
    if (since > kLately) continue;
    const auto ahead = at.wall - (one.wall + std::chrono::duration_cast<WallTime::duration>(since));
    least = std::min(least.value_or(ahead), ahead);
  }
  return std::max(least.value_or(WallTime::duration{}), WallTime::duration{});
}

}  // namespace cluster::proto
