#pragma once
#include <span>
#include <vector>

#include "cluster/proto/gossip_messages.hpp"
#include "cluster/proto/ring_state.hpp"

/// Short pictures of long clocks, by which two nodes find out where theirs differ before they send any of it:
/// a clock of n entries in about sqrt(n) parts of sqrt(n) entries, each with a hash. Of two clocks that
/// differ in d entries O((1 + d) sqrt(n)) is sent, not n. Source: a hash tree of two levels (Merkle, CRYPTO
/// 1987).
namespace cluster::proto {

/// The last part has no end.
[[nodiscard]] std::vector<ClockOutlinePart> outline_of(const RingState::Clock& clock);

/// Where `mine` has other entries than the clock that `theirs` was made of: neighbours are one interval. The
/// intervals refer to the texts in `theirs`. A difference is overlooked once in 2^64.
struct OutlineComparison {
  std::vector<EditorInterval> different{};
  std::vector<EditorInterval> equal{};
};
[[nodiscard]] OutlineComparison compare(const RingState::Clock& mine,
                                        std::span<const ClockOutlinePart> theirs);

}  // namespace cluster::proto
