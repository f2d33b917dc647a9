#include "cluster/proto/link_rules.hpp"

#include <algorithm>

namespace cluster::proto {

NewcomerVerdict judge_newcomer(const NodeId& self, const NodeId& peer, bool own_dial,
                               const std::optional<LinkInUse>& in_use, const Newcomer& newcomer) noexcept {
  if (in_use && in_use->boot != newcomer.boot) return NewcomerVerdict::ask_holder;
  if (in_use) return newcomer.begun < in_use->up_since ? NewcomerVerdict::refuse : NewcomerVerdict::replace;
  if (own_dial && self < peer) return NewcomerVerdict::refuse;
  return NewcomerVerdict::accept;
}

bool newcomer_takes_id(bool holder_answered, const Boot& holder, const Boot& newcomer) noexcept {
  return !holder_answered && newcomer > holder;
}

Duration Backoff::next(Rng& rng) noexcept {
  Duration wait = min_;
  for (std::uint32_t i = 0; i < failures_ && wait < max_; ++i) wait *= 2;
  wait = std::min(wait, max_);
  ++failures_;
  return wait -
         Duration(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(wait.count() / 2 + 1))));
}

}  // namespace cluster::proto
