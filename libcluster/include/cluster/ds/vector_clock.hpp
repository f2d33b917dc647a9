#pragma once
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/ds/small_array.hpp"

namespace cluster {

/// When `VectorClock::trim` drops entries. Each bound is strict as its name reads: "over", "at most".
struct TrimBounds {
  std::size_t size_lower = 10;                        ///< a clock of at most this size is left alone
  std::chrono::microseconds age_young{20'000'000};    ///< so is one whose oldest entry is at most this old
  std::size_t size_upper = 50;                        ///< else the oldest go while the size is over this
  std::chrono::microseconds age_old{86'400'000'000};  ///< ... or while the oldest is older than this
};

/// Counts, per actor, the events that this replica knows of, and remembers when each entry was made and
/// last changed. A value: copy, compare, send. Not synchronised: one writer at a time.
/// Source: Fidge 1988, Mattern 1989 (merge, causal order); the time stamps are those of riak_core's vclock.
/// Wall times are always passed in. A flat array sorted by the bytes of the id: look-ups take O(log n),
/// comparing and merging O(n). A clock of at most kInlineEntries entries with ids of at most 15 bytes never
/// allocates.
class VectorClock {
 public:
  /// Three replicas and one that stands in for a dead one: with a hundredth of the writes failing over, no
  /// clock of a key on three of eight nodes had more in a simulation, and one in ten after a node had joined.
  static constexpr std::size_t kInlineEntries = 4;

  struct Entry {
    NodeId id;
    std::uint64_t count = 0;
    WallTime insert{};  ///< when the entry was made
    WallTime time{};    ///< when `count` last changed
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  VectorClock() = default;
  /// One entry.
  VectorClock(NodeId id, std::uint64_t count, WallTime now);
  /// From entries in any order. `invalid_argument` for an empty or a repeated id.
  [[nodiscard]] static Result<VectorClock> from_entries(std::vector<Entry> entries);

  /// Makes an entry with count 0; no effect if there is one.
  void insert(const NodeId& id, WallTime now);
  /// Records one event. A count at its greatest value stays there.
  void increment(const NodeId& id, WallTime now);
  /// Sets the count, also to a lower one, and the time of change: `time`, or else `now`.
  void update(const NodeId& id, std::uint64_t count, WallTime now, std::optional<WallTime> time = {});
  /// True if there was such an entry.
  bool remove(const NodeId& id);
  /// Of each entry known to both, takes the one with the greater count; of equal counts the one changed
  /// later; else keeps its own. Takes what only `other` has.
  void merge(const VectorClock& other);
  /// Drops old entries at `threshold`; see TrimBounds. O(n log n). Fewer than `size_lower` may be left.
  void trim(WallTime threshold, const TrimBounds& bounds = {});

  /// 0 for an id without an entry.
  [[nodiscard]] std::uint64_t count(const NodeId& id) const noexcept;
  [[nodiscard]] bool contains(const NodeId& id) const noexcept { return find(id) != nullptr; }
  /// Null if there is none. Valid until the clock changes.
  [[nodiscard]] const Entry* find(const NodeId& id) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  /// Sorted by the bytes of the id. Valid until the clock changes.
  [[nodiscard]] std::span<const Entry> entries() const noexcept { return {entries_.begin(), entries_.end()}; }

  /// Whether this clock has every entry of `other` (also those with count 0) with a count at least as
  /// large. Times play no part. A clock descends from itself, and everything from the empty clock.
  [[nodiscard]] bool descends(const VectorClock& other) const noexcept;
  /// The same entries, times included.
  [[nodiscard]] bool identical(const VectorClock& other) const noexcept;
  /// Causal order, on counts alone. less: happened before; greater: after; unordered: concurrent.
  [[nodiscard]] std::partial_ordering operator<=>(const VectorClock& other) const noexcept;
  /// The same ids with the same counts.
  [[nodiscard]] bool operator==(const VectorClock& other) const noexcept;

 private:
  [[nodiscard]] std::size_t place(const NodeId& id) const noexcept;
  Entry& entry(const NodeId& id, WallTime now);

  detail::SmallArray<Entry, kInlineEntries>
      entries_;  // sorted by id, no id twice: all replicas compare and encode it alike
};

}  // namespace cluster
