#include "cluster/proto/partition_policy.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <utility>

namespace cluster::proto {
namespace {

using Kind = PartitionPolicyConfig::Kind;

constexpr std::array<std::string_view, 5> kNames{"mark", "remove-after", "keep-majority", "static-quorum",
                                                 "keep-oldest"};

std::size_t count_here(std::span<const PolicyMember> members) {
  return static_cast<std::size_t>(std::ranges::count_if(members, &PolicyMember::is_here));
}

/// More than half, or half with the member of the smallest id.
bool is_majority(std::span<const PolicyMember> members, std::size_t here) {
  if (2 * here != members.size()) return 2 * here > members.size();
  return members.empty() || std::ranges::min_element(members, {}, &PolicyMember::id)->is_here();
}

/// The oldest decides, unless it is alone on its side: it could be the one that is cut off.
bool has_oldest(std::span<const PolicyMember> members, std::size_t here) {
  const PolicyMember* oldest = nullptr;
  for (const auto& member : members) {
    if (member.boot == Boot{}) continue;
    if (oldest == nullptr || std::pair(member.boot, member.id) < std::pair(oldest->boot, oldest->id))
      oldest = &member;
  }
  if (oldest == nullptr || members.size() <= 2) return oldest == nullptr || oldest->is_here();
  return oldest->is_here() ? here > 1 : here + 1 == members.size();
}

/// A suspicion, or its end, changes nothing yet.
bool decide_alike(const PolicyMember& a, const PolicyMember& b) {
  return a.id == b.id && a.boot == b.boot && (a.state == b.state || (a.is_here() && b.is_here()));
}

}  // namespace

std::string_view name(Kind kind) noexcept { return kNames[static_cast<std::size_t>(kind)]; }

Result<Kind> parse_partition_policy(std::string_view text) {
  const auto found = std::ranges::find(kNames, text);
  if (found == kNames.end())
    return Error(Errc::invalid_argument,
                 "'" + std::string(text) +
                     "' is no policy: mark, remove-after, keep-majority, static-quorum or keep-oldest");
  return static_cast<Kind>(found - kNames.begin());
}

bool may_go_on(std::span<const PolicyMember> members, const PartitionPolicyConfig& config) {
  const auto here = count_here(members);
  switch (config.kind) {
    case Kind::mark:
      return true;
    case Kind::remove_after:
    case Kind::keep_majority:
      return is_majority(members, here);
    case Kind::static_quorum:
      return here >= config.quorum;
    case Kind::keep_oldest:
      return has_oldest(members, here);
  }
  return true;
}

Result<void> check(const PartitionPolicyConfig& config) {
  if (config.kind == Kind::static_quorum && config.quorum == 0)
    return Error(Errc::invalid_argument, "a static quorum needs a number of members");
  if (config.stable_after < Duration::zero() || config.remove_after < Duration::zero())
    return Error(Errc::invalid_argument, "a time of a partition policy is negative");
  return {};
}

PartitionPolicy::PartitionPolicy(PartitionPolicyConfig config, NodeId self)
    : config_(config), self_(std::move(self)) {
  if (const auto checked = check(config_); !checked) throw std::invalid_argument(checked.error().message());
}

PolicyActions PartitionPolicy::on_members(Instant now, std::vector<PolicyMember> members) {
  if (config_.kind == Kind::mark) return {};
  const bool same = std::ranges::equal(members_, members, decide_alike);
  members_ = std::move(members);
  quorum_.here = count_here(members_);
  quorum_.members = members_.size();
  if (config_.kind == Kind::remove_after) {
    if (!same) due_ = saturated_add(now, config_.stable_after);  // more may be on their way out
    return on_time(now);
  }
  const bool enough = may_go_on(members_, config_);
  if (enough == quorum_.found)
    due_ = kNever;
  else if (due_ == kNever)
    due_ = is_new_ ? now : saturated_add(now, config_.stable_after);
  if (enough) is_new_ = false;
  return on_time(now);
}

PolicyActions PartitionPolicy::on_time(Instant now) {
  if (now < due_) return {};
  due_ = kNever;
  if (config_.kind == Kind::remove_after) return remove_silent(now);
  quorum_.found = !quorum_.found;
  return {QuorumChanged{quorum_}};
}

PolicyActions PartitionPolicy::remove_silent(Instant now) {
  PolicyActions actions;
  if (!may_go_on(members_, config_) || !is_first_of_its_side()) return actions;
  for (const auto& member : members_) {
    if (member.state != MemberState::unreachable) continue;
    const auto removal = saturated_add(member.since, config_.remove_after);
    if (now >= removal)
      actions.emplace_back(RemoveSilent{member.id});
    else
      due_ = std::min(due_, removal);
  }
  return actions;
}

bool PartitionPolicy::is_first_of_its_side() const {
  const auto first = std::ranges::find_if(members_, &PolicyMember::is_here);
  return first != members_.end() && first->id == self_;
}

}  // namespace cluster::proto
