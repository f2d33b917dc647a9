#include "cluster/ds/vector_clock.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace cluster {
namespace {

using Entry = VectorClock::Entry;

constexpr std::size_t kScanMax = 16;  // up to here, asking each entry is faster than a binary search

bool before(const Entry& entry, const NodeId& id) noexcept { return entry.id.str() < id.str(); }

/// Whether the first words are equal, and the last ones, which may overlap them. `size` is a word to two.
template <class Word>
bool words_equal(const char* left, const char* right, std::size_t size) noexcept {
  const auto word = [](const char* from) {
    Word value;
    std::memcpy(&value, from, sizeof value);
    return value;
  };
  const std::size_t last = size - sizeof(Word);
  return word(left) == word(right) && word(left + last) == word(right + last);
}

/// Whether both have the same bytes. The usual short ids take two loads each and no call.
inline bool same(const NodeId& a, const NodeId& b) noexcept {
  const std::size_t size = a.str().size();
  const char* const left = a.str().data();
  const char* const right = b.str().data();
  if (size != b.str().size()) return false;
  if (size >= 8 && size <= 16) return words_equal<std::uint64_t>(left, right, size);
  if (size >= 4 && size < 8) return words_equal<std::uint32_t>(left, right, size);
  return std::memcmp(left, right, size) == 0;
}

/// Moves `at` to the first entry not before `id`, and says whether that is the entry of `id`. Clocks that
/// meet mostly have the same ids, so equality, the cheaper question, is asked first.
template <class Iterator>
bool advance_to(Iterator& at, Iterator end, const NodeId& id) noexcept {
  for (; at != end; ++at) {
    if (same(at->id, id)) return true;
    if (!before(*at, id)) return false;
  }
  return false;
}

/// Both are entries of one id.
void take_greater(Entry& own, const Entry& other) noexcept {
  if (own.count > other.count || (own.count == other.count && own.time >= other.time)) return;
  own.count = other.count;
  own.insert = other.insert;
  own.time = other.time;
}

/// `from - to` without overflow: any pair of times may arrive from outside.
std::chrono::microseconds age(WallTime to, WallTime from) noexcept {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(micros(to), micros(from), &difference))
    difference =
        to < from ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
  return std::chrono::microseconds{difference};
}

}  // namespace

VectorClock::VectorClock(NodeId id, std::uint64_t count, WallTime now) {
  entries_.push_back({std::move(id), count, now, now});
}

Result<VectorClock> VectorClock::from_entries(std::vector<Entry> entries) {
  std::ranges::sort(entries, {}, &Entry::id);
  if (!entries.empty() && entries.front().id.empty())
    return Error(Errc::invalid_argument, "a vector clock entry has no id");
  const auto twice = std::ranges::adjacent_find(entries, {}, &Entry::id);
  if (twice != entries.end())
    return Error(Errc::invalid_argument, "vector clock entry '" + twice->id.str() + "' occurs twice");
  VectorClock clock;
  clock.entries_.reserve(entries.size());
  for (auto& entry : entries) clock.entries_.push_back(std::move(entry));
  return clock;
}

/// The first entry not before `id`.
std::size_t VectorClock::place(const NodeId& id) const noexcept {
  const auto* const at = std::lower_bound(entries_.begin(), entries_.end(), id, before);
  return static_cast<std::size_t>(at - entries_.begin());
}

Entry& VectorClock::entry(const NodeId& id, WallTime now) {
  const auto* const own = find(id);
  if (own != nullptr) return entries_[static_cast<std::size_t>(own - entries_.begin())];
  return entries_.insert(place(id), Entry{id, 0, now, now});
}

void VectorClock::insert(const NodeId& id, WallTime now) { entry(id, now); }

void VectorClock::increment(const NodeId& id, WallTime now) {
  Entry& own = entry(id, now);
  if (own.count != std::numeric_limits<std::uint64_t>::max()) ++own.count;
  own.time = now;
}

void VectorClock::update(const NodeId& id, std::uint64_t count, WallTime now, std::optional<WallTime> time) {
  Entry& own = entry(id, now);
  own.count = count;
  own.time = time.value_or(now);
}

bool VectorClock::remove(const NodeId& id) {
  const auto* const own = find(id);
  if (own == nullptr) return false;
  entries_.erase(static_cast<std::size_t>(own - entries_.begin()));
  return true;
}

void VectorClock::merge(const VectorClock& other) {
  std::size_t missing = 0;
  auto* own = entries_.begin();
  for (const auto& theirs : other.entries_) {
    if (advance_to(own, entries_.end(), theirs.id))
      take_greater(*own++, theirs);
    else
      ++missing;
  }
  if (missing == 0) return;

  // Both are sorted, so filling the grown array from its end never overwrites what is still to be moved.
  std::size_t left = entries_.size();
  entries_.resize(left + missing);
  std::size_t to = entries_.size();
  for (const auto* theirs = other.entries_.end(); missing > 0;) {
    --theirs;
    while (left > 0 && theirs->id.str() < entries_[left - 1].id.str())
      entries_[--to] = std::move(entries_[--left]);
    if (left > 0 && same(entries_[left - 1].id, theirs->id)) continue;
    entries_[--to] = *theirs;
    --missing;
  }
}

void VectorClock::trim(WallTime threshold, const TrimBounds& bounds) {
  if (size() <= bounds.size_lower || empty()) return;
  std::vector<std::size_t> oldest_first(size());
  for (std::size_t i = 0; i < size(); ++i) oldest_first[i] = i;
  std::ranges::stable_sort(oldest_first, {}, [this](std::size_t i) { return entries_[i].time; });
  if (age(threshold, entries_[oldest_first.front()].time) <= bounds.age_young) return;

  std::vector<bool> dropped(size());
  std::size_t left = size();
  for (const std::size_t i : oldest_first) {
    if (left <= bounds.size_upper && age(threshold, entries_[i].time) <= bounds.age_old) break;
    dropped[i] = true;
    --left;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (dropped[i]) continue;
    if (kept != i) entries_[kept] = std::move(entries_[i]);
    ++kept;
  }
  entries_.resize(kept);
}

const Entry* VectorClock::find(const NodeId& id) const noexcept {
  if (size() <= kScanMax) {
    const auto* const at = std::find_if(entries_.begin(), entries_.end(),
                                        [&](const Entry& entry) { return same(entry.id, id); });
    return at == entries_.end() ? nullptr : at;
  }
  const std::size_t at = place(id);
  return at != size() && same(entries_[at].id, id) ? &entries_[at] : nullptr;
}

std::uint64_t VectorClock::count(const NodeId& id) const noexcept {
  const Entry* const own = find(id);
  return own == nullptr ? 0 : own->count;
}

bool VectorClock::descends(const VectorClock& other) const noexcept {
  if (other.size() > size()) return false;
  const auto* own = entries_.begin();
  for (const auto& theirs : other.entries_) {
    if (!advance_to(own, entries_.end(), theirs.id) || own->count < theirs.count) return false;
    ++own;
  }
  return true;
}

bool VectorClock::identical(const VectorClock& other) const noexcept {
  return std::equal(entries_.begin(), entries_.end(), other.entries_.begin(), other.entries_.end());
}

std::partial_ordering VectorClock::operator<=>(const VectorClock& other) const noexcept {
  bool after = true;   // so far, nothing is known there and not here
  bool before = true;  // so far, nothing is known here and not there
  const auto* own = entries_.begin();
  const auto* theirs = other.entries_.begin();
  while ((after || before) && own != entries_.end() && theirs != other.entries_.end()) {
    if (same(own->id, theirs->id)) {
      after = after && own->count >= theirs->count;
      before = before && own->count <= theirs->count;
      ++own;
      ++theirs;
    } else if (cluster::before(*own, theirs->id)) {
      before = false;
      ++own;
    } else {
      after = false;
      ++theirs;
    }
  }
  after = after && theirs == other.entries_.end();
  before = before && own == entries_.end();
  if (after && before) return std::partial_ordering::equivalent;
  if (after) return std::partial_ordering::greater;
  return before ? std::partial_ordering::less : std::partial_ordering::unordered;
}

bool VectorClock::operator==(const VectorClock& other) const noexcept {
  return std::equal(entries_.begin(), entries_.end(), other.entries_.begin(), other.entries_.end(),
                    [](const Entry& a, const Entry& b) { return a.count == b.count && same(a.id, b.id); });
}

}  // namespace cluster
