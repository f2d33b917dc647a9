#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"

/// What nodes know of a member, and the parts of it that travel. Every register orders as its fields stand,
/// top down; merging two replicas keeps the greater register, field by field of the member.
///
/// Times are hybrid: max(own clock, greatest time seen + 1 µs) (Kulkarni et al. 2014). (editor, count) is the
/// dot of an edit: one node never gives one count to two edits. `replaced_at` is the time of what the edit
/// replaced at its editor; an edit that replaced less than a register knows nothing of it, so the two were
/// made concurrently.
namespace cluster::proto {

/// Times and counts beyond these are refused on arrival, so that adding to them cannot overflow.
inline constexpr WallTime kTimeMax = wall_from_micros(std::int64_t{1} << 61);
inline constexpr std::uint64_t kCountMax = std::uint64_t{1} << 61;

/// Whether a member belongs to the ring.
struct Presence {
  static constexpr bool wire_positional = true;

  WallTime born{};       ///< the insert, meet or join that began this life; 0: the node's own start
  bool removed = false;  ///< a removal beats every other edit of its life
  WallTime changed_at{};
  NodeId editor{};
  std::uint64_t count = 0;
  WallTime replaced_at{};

  friend auto operator<=>(const Presence&, const Presence&) = default;
};

/// How many virtual nodes a member has.
struct WeightRegister {
  static constexpr bool wire_positional = true;

  WallTime born{};
  WallTime changed_at{};
  NodeId editor{};
  std::uint64_t count = 0;
  std::uint32_t value = 0;
  WallTime replaced_at{};

  friend auto operator<=>(const WeightRegister&, const WeightRegister&) = default;
};

/// Where a member listens, and in which zone it is. An editor keeps the boot and the zone that it saw; the
/// member itself writes its own.
struct EndpointRegister {
  static constexpr bool wire_positional = true;

  WallTime born{};
  Boot boot{};
  WallTime changed_at{};
  NodeId editor{};
  std::uint64_t count = 0;
  Endpoint value{};
  WallTime replaced_at{};
  std::string zone{};     ///< as of CHash::Node
  WallTime zone_since{};  ///< when the member stated this zone instead of another one; 0: it never had one

  friend auto operator<=>(const EndpointRegister&, const EndpointRegister&) = default;
};

/// All that is known of one member, or of one that was removed (a tombstone).
struct RingMember {
  static constexpr bool wire_positional = true;

  NodeId id{};
  Presence presence{};
  WeightRegister weight{};
  EndpointRegister endpoint{};

  friend bool operator==(const RingMember&, const RingMember&) = default;
};

/// States that a delta holds every register of `editor` with a count in (from, to].
struct CountRange {
  static constexpr bool wire_positional = true;

  NodeId editor{};
  std::uint64_t from = 0;
  std::uint64_t to = 0;

  friend bool operator==(const CountRange&, const CountRange&) = default;
};

/// A part of a state. Complete in itself: a receiver merges the members always, and counts the edits of a
/// range as known if it knew all before the range. Without ranges it only states what is held of its members.
struct RingDelta {
  static constexpr std::size_t kMembersMax = 1024;
  static constexpr std::size_t kRangesMax = 1024;

  std::vector<CountRange> ranges{};
  std::vector<RingMember> members{};

  friend bool operator==(const RingDelta&, const RingDelta&) = default;
};

/// An entry of a ring clock as it travels.
struct ClockEntry {
  static constexpr bool wire_positional = true;

  NodeId editor{};
  std::uint64_t count = 0;

  friend bool operator==(const ClockEntry&, const ClockEntry&) = default;
};

/// The greatest time that any register of `member` was changed at.
[[nodiscard]] WallTime last_change(const RingMember& member) noexcept;

/// Whether content from another node is within all bounds; the error names the first that is not.
[[nodiscard]] Result<void> check(const RingMember& member);
[[nodiscard]] Result<void> check(const RingDelta& delta);
[[nodiscard]] Result<void> check_ring_id(const std::string& ring);
/// Bounds of what commands ask for.
[[nodiscard]] Result<void> check_endpoint(const Endpoint& endpoint);
[[nodiscard]] Result<void> check_weight(std::uint32_t weight);
[[nodiscard]] Result<void> check_zone(const std::string& zone);

}  // namespace cluster::proto
