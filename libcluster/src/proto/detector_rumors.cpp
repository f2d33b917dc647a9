#include "cluster/proto/detector_rumors.hpp"

#include <algorithm>
#include <utility>

namespace cluster::proto {

void RumorQueue::add(SwimClaim claim) {
  forget(claim.id);
  add_confirmation(std::move(claim));
}

void RumorQueue::add_confirmation(SwimClaim claim) {
  const Turn turn{0, age_--};
  turns_of_[claim.id].push_back(turn);
  by_turn_.emplace(turn, std::move(claim));
}

void RumorQueue::forget(const NodeId& id) {
  const auto found = turns_of_.find(id);
  if (found == turns_of_.end()) return;
  for (const auto& turn : found->second) by_turn_.erase(turn);
  turns_of_.erase(found);
}

void RumorQueue::take(SwimClaims& claims, std::size_t count, std::uint32_t limit) {
  std::vector<decltype(by_turn_)::node_type> sent;
  while (sent.size() < count && !by_turn_.empty()) sent.push_back(by_turn_.extract(by_turn_.begin()));
  for (auto& node : sent) {
    claims.push_back(node.mapped());
    const auto of = turns_of_.find(node.mapped().id);
    const auto turn = std::ranges::find(of->second, node.key());
    if (++node.key().sent < limit) {
      *turn = node.key();
      by_turn_.insert(std::move(node));
    } else {
      of->second.erase(turn);
      if (of->second.empty()) turns_of_.erase(of);
    }
  }
}

}  // namespace cluster::proto
