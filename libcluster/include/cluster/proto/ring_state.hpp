#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "cluster/crypto/sha256.hpp"
#include "cluster/ds/chash.hpp"
#include "cluster/ds/vector_clock.hpp"
#include "cluster/proto/ring_records.hpp"

namespace cluster::proto {

/// What a node states of itself at start.
struct Self {
  NodeId id{};
  Boot boot{};
  Endpoint endpoint{};
  std::uint32_t weight = 128;
};

/// A member as users see it.
struct MemberView {
  NodeId id{};
  Endpoint endpoint{};
  std::uint32_t weight = 0;
  friend auto operator<=>(const MemberView&, const MemberView&) = default;
};

/// Two edits made without knowledge of each other that cannot both hold.
struct RingConflict {
  NodeId member{};
  std::string_view field{};  ///< "presence", "weight" or "endpoint"
  NodeId kept{};             ///< editor of the edit that holds now
  NodeId lost{};
  std::uint64_t kept_count = 0;
  std::uint64_t lost_count = 0;
  friend bool operator==(const RingConflict&, const RingConflict&) = default;
};

/// What a merge did.
struct MergeReport {
  std::vector<NodeId> changed{};  ///< members of which something became known
  std::vector<RingConflict> conflicts{};
  std::vector<NodeId> duplicate_editors{};  ///< gave one dot to two values: two processes have this id
  std::vector<RingMember>
      forgotten{};          ///< given as members, but removed so long ago that even the tombstone is gone
  bool gap = false;         ///< edits before the delta's are missing: ask for them
  bool full = false;        ///< members were refused: the bound on records is reached
  bool superseded = false;  ///< a newer process lives under this node's id
};

/// Editors in (after, through], by id; an empty bound is open. Clocks too long for one message travel in
/// parts.
struct EditorInterval {
  std::string_view after{};
  std::string_view through{};
  [[nodiscard]] bool contains(const NodeId& editor) const noexcept {
    return editor.str() > after && (through.empty() || editor.str() <= through);
  }
};

/// The membership of one ring as this node knows it. Replicas that have seen the same edits are equal,
/// whatever the order and grouping in which they merged them: a merge takes the maximum of each register.
/// The ring clock (per editor, up to which count all edits are known) only finds what to send.
///
/// A value without clock or chance: `wall` is passed in. Not synchronised. Everything that arrives has been
/// checked (`check(RingDelta)`) before.
class RingState {
 public:
  static constexpr std::size_t kMembersMax = 4096;    ///< present at once
  static constexpr std::size_t kRecordsMax = 16'384;  ///< with tombstones
  static constexpr std::size_t kEditorsMax = 65'536;  ///< entries of the ring clock, which is never trimmed
  static constexpr auto kTombstoneAge = std::chrono::hours(24);
  /// Nodes further apart in time are refused at the handshake, so none still hashes what another collected.
  static constexpr auto kClockSkewMax = std::chrono::hours(1);
  /// A part of a state fits a frame with room to spare.
  static constexpr std::size_t kDeltaBytesMax = 24 * 1024;

  /// A ring of this node alone. A start begins no life, so it cannot undo a removal.
  RingState(Self self, WallTime wall);
  /// The same process in another ring. `new_life`: by a person's `join`, which does undo one.
  RingState(const RingState& left, bool new_life, WallTime wall);
  /// A restart with the state of an earlier process of this node.
  RingState(RingState saved, Self self, WallTime wall);

  // Edits of this node. Each gives the number of members it changed; 0: nothing to do, and no edit was made.

  /// No effect on a present member. Begins a new life for one that was removed.
  Result<std::size_t> insert(const NodeId& id, const Endpoint& endpoint, std::uint32_t weight, WallTime wall);
  /// `not_found` for who is not present.
  Result<std::size_t> update(const NodeId& id, const std::optional<Endpoint>& endpoint,
                             std::optional<std::uint32_t> weight, WallTime wall);
  std::size_t remove(const NodeId& id, WallTime wall);

  // Exchange.

  /// Takes what is greater, field by field. Reissues own edits first where an earlier process of this node
  /// used greater counts.
  MergeReport merge(const RingDelta& delta, WallTime wall);
  /// Learns from another's clock, of the editors in `interval`.
  void hear_clock(const NodeId& from, std::span<const ClockEntry> entries, const EditorInterval& interval,
                  WallTime wall);
  /// `from` showed an equal state.
  void hear_equal(const NodeId& from);
  /// What a replica with the clock `theirs` may lack, of the edits by `interval`'s editors.
  [[nodiscard]] std::vector<RingDelta> deltas_since(std::span<const ClockEntry> theirs,
                                                    const EditorInterval& interval = {}) const;
  /// Own edits with a count over `count`.
  [[nodiscard]] std::vector<RingDelta> own_edits_since(std::uint64_t count) const;
  /// What is held of `id`, as a statement without ranges; empty if nothing is.
  [[nodiscard]] RingDelta statement(const NodeId& id) const;
  /// Whether `other` is behind what is held of the same member.
  [[nodiscard]] bool is_ahead_of(const RingMember& other) const;

  /// SHA-256 of all members and tombstones, but for tombstones made up to `horizon`: those may be collected.
  [[nodiscard]] const crypto::Digest& hash(WallTime horizon) const;
  /// The horizon at `wall`: 24 h ago, in whole minutes.
  [[nodiscard]] static WallTime horizon(WallTime wall) noexcept;
  [[nodiscard]] std::uint64_t clock_hash() const;
  [[nodiscard]] std::vector<ClockEntry> clock_entries() const;
  [[nodiscard]] const VectorClock& clock() const noexcept { return clock_; }

  /// Forgets tombstones older than 24 h (and the greatest skew) that every present member is known to have.
  std::size_t collect(WallTime wall);

  // Views.

  [[nodiscard]] const NodeId& self() const noexcept { return self_.id; }
  /// Null for an id never heard of, or collected.
  [[nodiscard]] const RingMember* find(const NodeId& id) const noexcept;
  [[nodiscard]] bool present(const NodeId& id) const noexcept;
  [[nodiscard]] std::size_t present_count() const noexcept { return present_count_; }
  [[nodiscard]] std::size_t record_count() const noexcept { return records_.size(); }
  /// The present members, by id.
  [[nodiscard]] std::vector<MemberView> members() const;
  [[nodiscard]] CHash chash(CHashConfig config) const;
  /// Changes with every change of a register.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  /// The count of this node's latest edit.
  [[nodiscard]] std::uint64_t issued() const noexcept { return issued_; }

 private:
  struct Stamp {
    WallTime at;
    std::uint64_t count;
  };
  /// What another replica lacks of one editor's edits.
  struct LackingPart {
    CountRange range{};
    std::vector<std::pair<std::uint64_t, const RingMember*>> members{};  // by count
  };
  using Lacking = std::map<NodeId, LackingPart>;
  struct HashCache {
    std::uint64_t version = 0;
    WallTime horizon{};
    crypto::Digest digest{};
    bool valid = false;
  };

  std::uint64_t next_count(WallTime wall);
  Stamp next_stamp(WallTime wall);
  void observe(WallTime time) noexcept;
  void begin_life(RingMember& member, WallTime born, const Boot& boot, const Endpoint& endpoint,
                  std::uint32_t weight, const Stamp& stamp);
  void put(const RingMember& member);
  bool merge_member(const RingMember& theirs, MergeReport& report, WallTime wall);
  [[nodiscard]] bool was_collected(const RingMember& theirs, WallTime wall) const;
  void advance(const CountRange& range, MergeReport& report, WallTime wall);
  void hear_own_count(std::uint64_t heard, WallTime wall);
  void mark_recovered(WallTime wall);
  void assert_self(MergeReport& report, WallTime wall);
  void forget_old_counts();
  [[nodiscard]] static std::vector<RingDelta> pack(Lacking& lacking);

  Self self_;  // its boot is raised if an earlier process of this node had a greater one
  std::map<NodeId, RingMember> records_{};
  std::map<NodeId, std::set<NodeId>> covered_by_{};  // per tombstone: who is known to have it
  VectorClock clock_{};
  WallTime latest_{};                // greatest time seen
  std::uint64_t issued_ = 0;         // count of the latest own edit
  std::uint64_t floor_ = 0;          // this process issued no count up to here
  std::uint64_t heard_ = 0;          // greatest own count that others showed
  std::set<std::uint64_t> fresh_{};  // counts that this process issued
  bool recovered_ = false;  // own edits of earlier processes are known, so the own clock entry may stand
  int boots_raised_ = 0;
  std::size_t present_count_ = 0;
  std::uint64_t version_ = 1;
  mutable HashCache hash_cache_{};
};

}  // namespace cluster::proto
