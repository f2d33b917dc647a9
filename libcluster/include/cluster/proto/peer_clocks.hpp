#pragma once
#include <cstddef>
#include <deque>

#include "cluster/base/node_id.hpp"
#include "cluster/proto/moment.hpp"

namespace cluster::proto {

/// What others' messages told of their clocks in the last minute: whether this node's own has jumped ahead of
/// them. Bounded.
class PeerClocks {
 public:
  static constexpr std::size_t kPeersMax = 16;

  void heard(const NodeId& from, Moment at, WallTime theirs);
  /// By how much this node's clock is ahead of those of all others. Nothing if none was heard.
  [[nodiscard]] WallTime::duration ahead_of_all(Moment at) const;

 private:
  struct Heard {
    NodeId from;
    Instant at;
    WallTime wall;
  };
  std::deque<Heard> heard_{};  // the latest last, no node twice
};

}  // namespace cluster::proto
