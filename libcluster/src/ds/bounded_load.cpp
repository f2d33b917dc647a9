// CHash: bounded loads.
#include <cmath>
#include <string>
#include <vector>

#include "snapshot.hpp"

namespace cluster {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr int kFactorBits = 20;

Result<std::uint64_t> checked_factor(double factor) {
  if (factor > 1.0 && factor <= CHash::kLoadFactorMax)
    return static_cast<std::uint64_t>(std::ceil(std::ldexp(factor, kFactorBits)));
  return Error(Errc::invalid_argument,
               "a load factor must be over 1 and at most 1000000, not " + std::to_string(factor));
}

/// ceil(factor * total * weight / weights), in whole numbers, so that the bounds of all nodes sum to more
/// than `total` whatever the rounding, and are the same on every machine. At most 2^40 * 2^64 * 2^16.
std::uint64_t bound_of(std::uint64_t factor, std::uint64_t total, std::uint64_t weight,
                       std::uint64_t weights) {
  const Wide part = Wide{factor} * total * weight;
  const Wide whole = Wide{weights} << kFactorBits;
  const Wide bound = (part + whole - 1) / whole;
  return bound > ~std::uint64_t{0} ? ~std::uint64_t{0} : static_cast<std::uint64_t>(bound);
}

}  // namespace

std::uint64_t CHash::load_bound(std::string_view id, std::uint64_t total, double factor) const {
  const auto scaled = checked_factor(factor);
  return scaled && !empty() ? bound_of(*scaled, total, weight(id), size()) : 0;
}

Result<const CHash::Node*> CHash::find_bounded(std::string_view key, const Loads& loads,
                                               double factor) const {
  const auto scaled = checked_factor(factor);
  if (!scaled) return scaled.error();
  const Snapshot& ring = *snapshot_;
  if (ring.size() == 0) return nullptr;
  if (loads.total == ~std::uint64_t{0})
    return Error(Errc::overloaded, "the total load is at its greatest value");
  const std::uint64_t total = loads.total + 1;
  std::vector<bool> full;  // made when the first node is full: mostly none is
  std::size_t at = ring.after_key(config_.policy, key);
  for (std::size_t steps = 0; steps < ring.size(); ++steps, ++at) {
    if (at >= ring.size()) at = 0;
    const auto member = ring.member_at(at);
    if (!full.empty() && full[member]) continue;
    const auto& [id, weight] = ring.weights[member];
    if (loads.of(id) < bound_of(*scaled, total, weight, ring.size())) return &ring.node_at(at);
    full.resize(ring.weights.size());
    full[member] = true;
  }
  return Error(Errc::overloaded, "every node is at its bound: the total of " + std::to_string(loads.total) +
                                     " is not the sum of the loads");
}

}  // namespace cluster
