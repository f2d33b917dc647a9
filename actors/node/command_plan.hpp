#pragma once
#include <string>
#include <vector>

#include "cluster/ds/chash.hpp"
#include "cluster/proto/command.hpp"
#include "cluster/proto/gossip.hpp"
#include "cluster/proto/ring_state.hpp"
#include "cluster/wire/value.hpp"

/// What the command server says of shares, of changes that were only thought of, and of who knows what; pure.
namespace cluster::replies {

/// {"members": [{"id", "weight", "share", "expected"}, ...], "max_over_mean", "max_over_expected"}; fractions
/// of all keys, to 6 digits.
[[nodiscard]] wire::Value balance(const CHash& ring);

/// What a checked `plan` would do to `ring`: {"effect": text, "moved": fraction of all keys, "moves":
/// [{"from", "to", "fraction"}, ...], "members": [{"id", and before and after: "weight", "share"}, ...],
/// "max_over_mean", "max_over_mean_after"}. Null stands for a member that is not there, before or after.
[[nodiscard]] wire::Value plan(const proto::CommandRequest& request, const CHash& ring);

/// What an insert left undone: who is a member in another place or with another weight than was asked for.
/// Empty if all is as asked. `members` are those after the insert, by id.
[[nodiscard]] std::string insert_note(const proto::InsertCommand& command,
                                      const std::vector<proto::MemberView>& members);

/// How the edits that another node knows relate to those that this node knows: "same", "behind" (it lacks
/// some), "ahead", or "both". Clocks are sorted by editor.
[[nodiscard]] std::string compare_clocks(const std::vector<proto::ClockEntry>& own,
                                         const std::vector<proto::ClockEntry>& theirs);

/// A member that does not show this node's state, and why.
struct Behind {
  NodeId id{};
  std::string why{};
};
/// "done at this node, but not yet known to 'a', 'b' (no process) and 'c' (behind)".
[[nodiscard]] std::string not_yet_known(const std::vector<Behind>& late);

}  // namespace cluster::replies
