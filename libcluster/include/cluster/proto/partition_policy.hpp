#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/proto/detector_messages.hpp"

/// What the silence of members means for those that remain. Nobody can tell a dead member from one behind a
/// cut, so each policy gives something up; the default decides nothing.
namespace cluster::proto {

struct PartitionPolicyConfig {
  enum class Kind : std::uint8_t {
    mark,           ///< unreachable members stay members, and every side goes on
    remove_after,   ///< the greater side removes who was unreachable for `remove_after`
    keep_majority,  ///< the side with more than half of the ring's members goes on
    static_quorum,  ///< a side with at least `quorum` members goes on
    keep_oldest,    ///< the side with the longest running process goes on
  };
  Kind kind = Kind::mark;
  Duration remove_after = 10min;
  std::size_t quorum = 0;       ///< more than half of the members ever to be, or two sides may go on
  Duration stable_after = 20s;  ///< a decision waits until what it rests on was the same for so long
};
/// Refuses a quorum of 0 where one is needed, and a negative time.
[[nodiscard]] Result<void> check(const PartitionPolicyConfig& config);

/// "mark", "remove-after", "keep-majority", "static-quorum" or "keep-oldest".
[[nodiscard]] std::string_view name(PartitionPolicyConfig::Kind kind) noexcept;
[[nodiscard]] Result<PartitionPolicyConfig::Kind> parse_partition_policy(std::string_view text);

/// A member of the ring as a policy sees it, this node included.
struct PolicyMember {
  NodeId id{};
  Boot boot{};  ///< as the ring has it, so that all who hold the same ring agree; zero: it never ran
  MemberState state = MemberState::unknown;
  Instant since{};  ///< of the state

  /// Who is suspect may still object; who stopped is a member that is not here.
  [[nodiscard]] bool is_here() const noexcept { return state <= MemberState::suspect; }
};

/// Whether the side of the members that are here may go on. Pure; on a tie the side with the smallest id may
/// (keep_majority), so two sides never both go on, as long as they hold the same ring.
[[nodiscard]] bool may_go_on(std::span<const PolicyMember> members, const PartitionPolicyConfig& config);

/// What a policy finds of the side that a node is on.
struct Quorum {
  bool found = true;        ///< what needs a quorum may be done here
  std::size_t here = 0;     ///< so many members are on this side,
  std::size_t members = 0;  ///< of so many in the ring

  /// Whether people may change the ring here: also while a ring from which nobody is missing still grows to
  /// its quorum.
  [[nodiscard]] bool may_edit() const noexcept { return found || here == members; }
  friend bool operator==(const Quorum&, const Quorum&) = default;
};

/// This side may not go on, or may again.
struct QuorumChanged {
  Quorum now{};
};
/// Remove this member from the ring.
struct RemoveSilent {
  NodeId id{};
};
using PolicyAction = std::variant<QuorumChanged, RemoveSilent>;
using PolicyActions = std::vector<PolicyAction>;

/// Applies a policy to what the failure detector finds. Of those that would remove a member only the one
/// with the smallest id does. A process that starts waits with nothing: it has no quorum until it first sees
/// enough members, and then has it at once. One thread at a time.
class PartitionPolicy {
 public:
  /// Throws std::invalid_argument for what `check` refuses.
  PartitionPolicy(PartitionPolicyConfig config, NodeId self);

  /// All members of the ring, in ascending order of their ids.
  [[nodiscard]] PolicyActions on_members(Instant now, std::vector<PolicyMember> members);
  /// Fires what is due. Early or repeated calls are harmless.
  [[nodiscard]] PolicyActions on_time(Instant now);
  [[nodiscard]] Instant next_deadline() const noexcept { return due_; }

  /// `found` is as last decided, true before `on_members`; the numbers are those of now. `mark` counts
  /// nobody.
  [[nodiscard]] const Quorum& quorum() const noexcept { return quorum_; }
  [[nodiscard]] PartitionPolicyConfig::Kind kind() const noexcept { return config_.kind; }

 private:
  [[nodiscard]] PolicyActions remove_silent(Instant now);
  [[nodiscard]] bool is_first_of_its_side() const;

  PartitionPolicyConfig config_;
  NodeId self_;
  std::vector<PolicyMember> members_{};
  Instant due_ = kNever;  // when there is something to decide
  Quorum quorum_{};
  bool is_new_ = true;  // has not yet seen enough members
};

}  // namespace cluster::proto
