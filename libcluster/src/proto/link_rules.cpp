#include "cluster/proto/link_rules.hpp"

#include <algorithm>
#include <bit>
#include <string_view>

#include "cluster/proto/moment.hpp"

namespace cluster::proto {
namespace {

/// The same at all nodes and for both orders. FNV-1a (Fowler, Noll, Vo) of both ids, then the finalizer of
/// SplitMix64 (Steele, Lea, Flood 2014), because its high bits alone decide.
std::uint64_t hash_of_pair(const NodeId& a, const NodeId& b) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](char c) { hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3; };
  for (const char c : std::string_view(std::min(a, b).str())) add(c);
  add('\0');  // in no id
  for (const char c : std::string_view(std::max(a, b).str())) add(c);
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

}  // namespace

std::size_t standing_links(std::size_t members) noexcept {
  return members < 2 ? 0 : 2 * static_cast<std::size_t>(std::bit_width(members - 1));
}

std::size_t links_enough(std::size_t members) noexcept { return standing_links(members) / 2; }

LinkPlan::LinkPlan(std::size_t members, std::size_t mesh_max) noexcept {
  // With four binary digits of the size, so that not every newcomer makes another plan.
  const std::size_t step = std::max<std::size_t>(std::bit_floor(members) / 8, 1);
  const std::size_t size = members / step * step;
  if (members <= mesh_max || size <= standing_links(members)) return;
  below_ = kAll / size * standing_links(members);
}

bool LinkPlan::keeps(const NodeId& a, const NodeId& b) const noexcept {
  return keeps_all() || hash_of_pair(a, b) < below_;
}

NewcomerVerdict judge_newcomer(const NodeId& self, const NodeId& peer, bool own_dial,
                               const std::optional<LinkInUse>& in_use, const Newcomer& newcomer) noexcept {
  if (in_use && in_use->boot == newcomer.boot && newcomer.begun < in_use->up_since)
    return NewcomerVerdict::refuse;
  if (in_use) return NewcomerVerdict::ask_holder;
  if (own_dial && self < peer) return NewcomerVerdict::refuse;
  return NewcomerVerdict::accept;
}

bool newcomer_takes_id(bool holder_answered, const Boot& holder, const Boot& newcomer,
                       WallTime wall) noexcept {
  const bool is_lie = holder.number > millis(wall + kAheadMax);
  return !holder_answered && (newcomer >= holder || is_lie);
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
