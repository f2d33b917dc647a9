#include "cluster/proto/ring_outline.hpp"

#include <cmath>
#include <string_view>

namespace cluster::proto {
namespace {

/// FNV-1a (Fowler, Noll, Vo) of the id, then the finalizer of SplitMix64 (Steele, Lea, Flood 2014). The sum
/// over the entries of a part is its hash.
std::uint64_t hash_of(const ClockEntry& entry) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : std::string_view(entry.editor.str()))
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  hash += entry.count * 0x9e3779b97f4a7c15;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

/// Adds the interval, to the one before it if that ends where it begins.
void add(std::vector<EditorInterval>& intervals, const EditorInterval& next) {
  if (!intervals.empty() && intervals.back().through == next.after && !next.after.empty())
    intervals.back().through = next.through;
  else
    intervals.push_back(next);
}

}  // namespace

std::vector<ClockOutlinePart> outline_of(const RingState::Clock& clock) {
  const auto each = static_cast<std::size_t>(std::sqrt(static_cast<double>(clock.size()))) + 1;
  std::vector<ClockOutlinePart> parts;
  parts.reserve(clock.size() / each + 1);
  std::uint64_t hash = 0;
  std::size_t count = 0;
  for (const auto& entry : clock) {
    hash += hash_of(entry);
    if (++count % each != 0 || count == clock.size()) continue;
    parts.push_back({entry.editor.str(), hash});
    hash = 0;
  }
  parts.push_back({{}, hash});
  return parts;
}

OutlineComparison compare(const RingState::Clock& mine, std::span<const ClockOutlinePart> theirs) {
  OutlineComparison found;
  auto at = mine.begin();
  std::string_view after;
  for (const auto& part : theirs) {
    const EditorInterval interval{after, part.through};
    std::uint64_t hash = 0;
    for (; at != mine.end() && interval.contains(at->editor); ++at) hash += hash_of(*at);
    add(hash == part.hash ? found.equal : found.different, interval);
    after = part.through;
  }
  return found;
}

}  // namespace cluster::proto
