#pragma once
#include <cstddef>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/ds/chash.hpp"
#include "cluster/ds/position.hpp"

namespace cluster {

/// What a change of a ring moves.
struct RingDiff {
  /// The keys at the positions of `arc` leave `from` for `to`. An empty id is nobody: the copy is new, or is
  /// dropped.
  struct Move {
    Arc arc{};
    NodeId from{};
    NodeId to{};
    friend bool operator==(const Move&, const Move&) = default;
  };
  /// All moves of one pair together.
  struct Flow {
    NodeId from{};
    NodeId to{};
    double fraction = 0;  ///< of the key space
  };

  std::vector<Move> moves{};  ///< by begin; of one pair no two touch
  std::vector<Flow> flows{};  ///< by (from, to)
  double moved = 0;           ///< the sum of the flows: keys that move, as a fraction of the key space
};

/// What moves when `before` becomes `after`: with `copies` 1, of the owners; with more, of the `replicas` of
/// each key. Where several nodes of a key change, the first that loses it is paired with the first that gets
/// it, and so on; a node that is in both lists keeps its copy. Nodes are told apart by id alone.
/// `invalid_argument` for two policies. O(points) look-ups.
[[nodiscard]] Result<RingDiff> diff(const CHash& before, const CHash& after, std::size_t copies = 1);

}  // namespace cluster
