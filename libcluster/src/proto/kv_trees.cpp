#include "cluster/proto/kv_trees.hpp"

namespace cluster::proto {

static_assert(kKvLeaves == 1u << 12);

void KvTrees::change(const NodeId& peer, std::uint64_t position, std::uint64_t before, std::uint64_t after) {
  auto& tree = trees_[peer];
  if (tree.empty()) tree.resize(kKvLeaves);
  tree[leaf_of(position)] ^= before ^ after;
}

std::vector<std::uint64_t> KvTrees::branches(const NodeId& peer) const {
  std::vector<std::uint64_t> hashes(kKvBranches);
  const auto tree = trees_.find(peer);
  if (tree == trees_.end()) return hashes;
  for (std::size_t i = 0; i < kKvLeaves; ++i) {
    // Not the plain sum: two leaves with exchanged hashes differ.
    auto& hash = hashes[i / kKvBranches];
    hash = (hash ^ tree->second[i]) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29;
  }
  return hashes;
}

std::vector<std::uint64_t> KvTrees::leaves(const NodeId& peer, std::size_t branch) const {
  const auto tree = trees_.find(peer);
  if (tree == trees_.end()) return std::vector<std::uint64_t>(kKvBranches);
  const auto begin = tree->second.begin() + static_cast<std::ptrdiff_t>(branch * kKvBranches);
  return {begin, begin + kKvBranches};
}

}  // namespace cluster::proto
