#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "cluster/proto/detector_messages.hpp"

namespace cluster::proto {

/// The claims that a node passes on, each a limited number of times; the least often sent first, of those
/// the newest (SWIM section 4.1). At most one claim per member, and one per further accuser of a suspect.
class RumorQueue {
 public:
  /// Replaces all that waits about this member.
  void add(SwimClaim claim);
  /// A further accuser of a member whose suspicion is known already.
  void add_confirmation(SwimClaim claim);
  void forget(const NodeId& id);
  /// Appends up to `count` claims to `claims` and counts them as sent; one sent `limit` times is done with.
  void take(SwimClaims& claims, std::size_t count, std::uint32_t limit);
  [[nodiscard]] bool empty() const noexcept { return by_turn_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return by_turn_.size(); }

 private:
  struct Turn {
    std::uint32_t sent = 0;
    std::uint64_t age = 0;  // falls with each claim added
    friend auto operator<=>(const Turn&, const Turn&) = default;
  };
  std::map<Turn, SwimClaim> by_turn_{};
  std::map<NodeId, std::vector<Turn>> turns_of_{};
  std::uint64_t age_ = UINT64_MAX;
};

}  // namespace cluster::proto
