#include "cluster/ds/dotted_set.hpp"

#include <algorithm>

namespace cluster {

bool VersionVector::covers(const Dot& dot) const noexcept {
  const auto at = std::ranges::lower_bound(entries, dot.actor, {}, &Dot::actor);
  return at != entries.end() && at->actor == dot.actor && at->count >= dot.count;
}

bool VersionVector::descends(const VersionVector& other) const noexcept {
  return std::ranges::all_of(other.entries, [this](const Dot& dot) { return covers(dot); });
}

void VersionVector::add(const Dot& dot) {
  const auto at = std::ranges::lower_bound(entries, dot.actor, {}, &Dot::actor);
  if (at == entries.end() || at->actor != dot.actor)
    entries.insert(at, dot);
  else
    at->count = std::max(at->count, dot.count);
}

void VersionVector::merge(const VersionVector& other) {
  for (const auto& dot : other.entries) add(dot);
}

std::uint64_t VersionVector::last() const noexcept {
  std::uint64_t last = 0;
  for (const auto& entry : entries) last = std::max(last, entry.count);
  return last;
}

bool VersionVector::is_valid(std::size_t size_max) const noexcept {
  if (entries.size() > size_max) return false;
  const auto unordered = [](const Dot& a, const Dot& b) { return !(a.actor < b.actor); };
  return std::ranges::adjacent_find(entries, unordered) == entries.end();
}

}  // namespace cluster
