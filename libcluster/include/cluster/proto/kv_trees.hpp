#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/proto/kv_messages.hpp"

namespace cluster::proto {

/// For each other node a hash tree over the keys that are held here and that it is to hold: the exclusive or
/// of their records' fingerprints, by the leaf that their position is in. 32 KiB a node. Source: Merkle 1987;
/// with hashes that commute a write costs one step and no rebuilding.
class KvTrees {
 public:
  static constexpr std::uint16_t leaf_of(std::uint64_t position) noexcept {
    return static_cast<std::uint16_t>(position >> 52);
  }
  static constexpr std::uint64_t begin_of(std::size_t leaf) noexcept { return std::uint64_t{leaf} << 52; }
  static constexpr std::uint64_t last_of(std::size_t leaf) noexcept {
    return begin_of(leaf) | ((std::uint64_t{1} << 52) - 1);
  }

  void clear() { trees_.clear(); }
  /// A record became another one; 0: none.
  void change(const NodeId& peer, std::uint64_t position, std::uint64_t before, std::uint64_t after);
  [[nodiscard]] std::vector<std::uint64_t> branches(const NodeId& peer) const;
  [[nodiscard]] std::vector<std::uint64_t> leaves(const NodeId& peer, std::size_t branch) const;

 private:
  std::map<NodeId, std::vector<std::uint64_t>> trees_{};
};

}  // namespace cluster::proto
