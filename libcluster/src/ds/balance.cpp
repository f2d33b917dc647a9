// CHash: how much of the key space each node owns.
#include <algorithm>

#include "snapshot.hpp"

namespace cluster {

CHash::Balance CHash::balance() const {
  const Snapshot& ring = *snapshot_;
  Balance balance;
  if (ring.size() == 0) return balance;
  const auto nodes = static_cast<double>(ring.weights.size());
  const auto points = static_cast<double>(ring.size());
  for (const auto& [id, weight] : ring.weights) balance.shares.push_back({id, weight, 0, weight / points});

  if (ring.weights.size() == 1 || ring.tops.front() == ring.tops.back()) {  // 2^64: a word cannot hold it
    balance.shares[ring.member_at(0)].share = 1;
  } else {
    // Arcs as whole numbers of 2^-64: their sum is exact. A point owns the arc that ends at it.
    std::vector<std::uint64_t> owned(ring.weights.size());
    std::uint64_t begin = ring.tops.back();
    for (std::size_t i = 0; i < ring.size(); ++i) {
      owned[ring.member_at(i)] += ring.tops[i] - begin;  // modulo 2^64, as the ring is round
      begin = ring.tops[i];
    }
    for (std::size_t i = 0; i < owned.size(); ++i)
      balance.shares[i].share = static_cast<double>(owned[i]) * 0x1p-64;
  }
  for (const auto& share : balance.shares) {
    balance.max_over_mean = std::max(balance.max_over_mean, share.share * nodes);
    balance.max_over_expected = std::max(balance.max_over_expected, share.share / share.expected);
  }
  return balance;
}

}  // namespace cluster
