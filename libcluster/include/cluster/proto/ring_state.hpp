#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/crypto/sha256.hpp"
#include "cluster/ds/chash.hpp"
#include "cluster/ds/shared_map.hpp"
#include "cluster/proto/moment.hpp"
#include "cluster/proto/ring_records.hpp"

namespace cluster::proto {

/// What a node states of itself at start.
struct Self {
  NodeId id{};
  Boot boot{};
  Endpoint endpoint{};
  std::uint32_t weight = 128;
  std::string zone{};  ///< as of CHash::Node
};

/// A member as users see it.
struct MemberView {
  NodeId id{};
  Endpoint endpoint{};
  std::uint32_t weight = 0;  ///< 0: it drains
  Boot boot{};               ///< of the process that announced itself last; zero: none ever did
  std::string zone{};
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
      forgotten{};            ///< given as members, but removed so long ago that even the tombstone is gone
  bool gap = false;           ///< edits before the delta's are missing: ask for them
  bool full = false;          ///< members were refused: the bound on records is reached
  bool is_contested = false;  ///< newer boots of this node's id come back again and again
  std::vector<NodeId> of_future{};  ///< members and editors of whom something was not taken: `is_of_future`
};

/// What a node keeps of a state over a restart.
struct RingImage {
  std::uint64_t issued = 0;           ///< the count of the node's latest edit
  WallTime latest{};                  ///< the greatest time seen
  std::vector<RingMember> members{};  ///< with tombstones, by id; the node's own is among them
  std::vector<ClockEntry> clock{};    ///< by editor

  friend bool operator==(const RingImage&, const RingImage&) = default;
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
  static constexpr std::size_t kMembersMax = 16'384;  ///< present at once
  static constexpr std::size_t kRecordsMax = 32'768;  ///< with tombstones
  static constexpr std::size_t kEditorsMax = 65'536;  ///< entries of the ring clock, which is never trimmed
  static constexpr auto kTombstoneAge = std::chrono::hours(24);
  /// Virtual nodes of all members, beyond which a node makes no edit and lets nobody in that asks. What
  /// others do at the same time, and rings that become one, may still come to more: see `chash`.
  static constexpr std::size_t kPointsMax = std::size_t{1} << 21;
  /// Nodes further apart in time are refused at the handshake, so none still hashes what another collected.
  static constexpr auto kClockSkewMax = std::chrono::hours(1);
  /// A part of a state fits a frame with room to spare.
  static constexpr std::size_t kDeltaBytesMax = 24 * 1024;

  /// A ring of this node alone. A start begins no life, so it cannot undo a removal.
  RingState(Self self, WallTime wall);
  /// The same process in another ring. `new_life`: by a person's `join`, which does undo one.
  RingState(const RingState& left, bool new_life, WallTime wall);
  /// A restart with the state of an earlier process of this node; `saved` holds its own member.
  RingState(const RingImage& saved, Self self, WallTime wall);
  /// What a present member of `ring` holds once it has heard all that `ring` holds, and made no edit since it
  /// began. Shares the members and the clock of `ring`; who edited whom, and the tombstones, are copied. For
  /// drivers that begin with a ring already formed.
  [[nodiscard]] static RingState of_member(const RingState& ring, Self self);

  // Edits of this node. Each gives the number of members it changed; 0: nothing to do, and no edit was made.

  /// No effect on a present member. Begins a new life for one that was removed.
  Result<std::size_t> insert(const NodeId& id, const Endpoint& endpoint, std::uint32_t weight, WallTime wall);
  /// `not_found` for who is not present. No other node's weight can be 0.
  Result<std::size_t> update(const NodeId& id, const std::optional<Endpoint>& endpoint,
                             std::optional<std::uint32_t> weight, WallTime wall);
  std::size_t remove(const NodeId& id, WallTime wall);

  // Exchange.

  /// Takes what is greater, field by field, but nothing of the future. Reissues own edits first where an
  /// earlier process of this node used greater counts.
  MergeReport merge(const RingDelta& delta, WallTime wall);
  /// States the own boot once more where another holds. Whether others come back again and again.
  bool keep_self(WallTime wall);
  /// Learns from another's clock, of the editors in `interval`.
  void hear_clock(const NodeId& from, std::span<const ClockEntry> entries, const EditorInterval& interval,
                  WallTime wall);
  /// Whether a time, count or boot of `member` is more than kAheadMax ahead of this node's clock. One
  /// register with the greatest time there is would stop the last writer from winning for ever; taken later,
  /// when the clock has come that far, it does no harm. What the clock once showed counts, also that of the
  /// process that saved this state or of the driver that chose the boot: a ring whose clocks were all wrong
  /// goes on.
  [[nodiscard]] bool is_of_future(const RingMember& member, WallTime wall) const noexcept;
  /// Why edits of this node would not be taken by others: it has seen times more than kAheadMax ahead of its
  /// clock, and an edit must have a greater one.
  [[nodiscard]] Result<void> check_clock(WallTime wall) const;
  /// `from` showed an equal state.
  void hear_equal(const NodeId& from);
  /// What a replica with the clock `theirs` may lack, of the edits by `interval`'s editors.
  [[nodiscard]] std::vector<RingDelta> deltas_since(std::span<const ClockEntry> theirs,
                                                    const EditorInterval& interval = {}) const;
  /// Own edits with a count over `count`.
  [[nodiscard]] std::vector<RingDelta> own_edits_since(std::uint64_t count) const;
  /// What is held of `id`, as a statement without ranges; empty if nothing is.
  [[nodiscard]] RingDelta statement(const NodeId& id) const;
  /// The same of many, in as few deltas as hold them.
  [[nodiscard]] std::vector<RingDelta> statements(std::span<const NodeId> ids) const;
  /// Whether `other` is behind what is held of the same member.
  [[nodiscard]] bool is_ahead_of(const RingMember& other) const;

  /// A hash of all members and tombstones, but for tombstones made up to `horizon`: those may be collected.
  /// The sum of the records' SHA-256, so an edit hashes one record, and whatever horizon somebody asks for
  /// none. Source: Bellare, Micciancio, EUROCRYPT 1997
  /// (AdHash); whoever could forge a sum holds the cookie, and may edit the ring anyway.
  [[nodiscard]] crypto::Digest hash(WallTime horizon) const;
  /// The horizon at `wall`: 24 h ago, in whole minutes.
  [[nodiscard]] static WallTime horizon(WallTime wall) noexcept;
  [[nodiscard]] std::uint64_t clock_hash() const;
  [[nodiscard]] std::vector<ClockEntry> clock_entries() const;
  /// Per editor, up to which count all edits are known.
  using Clock = SharedMap<ClockEntry, &ClockEntry::editor>;
  [[nodiscard]] const Clock& clock() const noexcept { return clock_; }
  /// 0 for an editor never heard of.
  [[nodiscard]] std::uint64_t known_count(const NodeId& editor) const noexcept;

  /// Forgets tombstones older than 24 h (and the greatest skew) that every present member is known to have.
  std::size_t collect(WallTime wall);

  // Views.

  [[nodiscard]] const NodeId& self() const noexcept { return self_.id; }
  [[nodiscard]] const Boot& boot() const noexcept { return self_.boot; }
  [[nodiscard]] RingImage image() const;
  /// Null for an id never heard of, or collected.
  [[nodiscard]] const RingMember* find(const NodeId& id) const noexcept;
  [[nodiscard]] bool present(const NodeId& id) const noexcept;
  [[nodiscard]] std::size_t present_count() const noexcept { return present_count_; }
  [[nodiscard]] std::size_t record_count() const noexcept { return records_.size(); }
  /// The present members, by id.
  [[nodiscard]] std::vector<MemberView> members() const;
  /// A present member, by chance; `self()` if there is no other.
  [[nodiscard]] const NodeId& random_member(Rng& rng) const noexcept;
  /// Of the present members with a weight. Where these came to more than kPointsMax points, all have
  /// fewer by one divisor, but at least one.
  [[nodiscard]] CHash chash(CHashConfig config) const;
  /// The same as `chash(last.config())`. Where few members changed since `last` was made, nobody else's
  /// points are hashed and sorted again.
  [[nodiscard]] CHash chash(CHash last) const;
  /// The weights of the present members together.
  [[nodiscard]] std::uint64_t weight() const noexcept;
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
  /// One editor's registers of others: count and member, so that what a replica lacks is their end.
  using EditsOfOthers = std::set<std::pair<std::uint64_t, NodeId>>;
  struct EditsOf {
    const NodeId& editor;
    std::uint64_t after = 0;  // count
    std::uint64_t through = kCountMax;
  };
  struct ById {
    using is_transparent = void;
    bool operator()(const NodeId& a, const NodeId& b) const noexcept { return a < b; }
    bool operator()(std::string_view a, const NodeId& b) const noexcept { return a < b.str(); }
    bool operator()(const NodeId& a, std::string_view b) const noexcept { return a.str() < b; }
  };
  /// A sum of digests, each four numbers of 64 bits.
  struct HashSum {
    std::array<std::uint64_t, 4> parts{};
    void add(const crypto::Digest& digest) noexcept;
    void subtract(const crypto::Digest& digest) noexcept;
    void subtract(const HashSum& other) noexcept;
    [[nodiscard]] crypto::Digest digest() const noexcept;
  };

  /// Tombstones made at one time.
  struct Removals {
    HashSum sum{};
    std::size_t count = 0;
  };

  RingState() = default;

  [[nodiscard]] std::vector<MemberView> placed_members() const;
  std::uint64_t next_count(WallTime wall);
  void know_up_to(const NodeId& editor, std::uint64_t count);
  Stamp next_stamp(WallTime wall);
  void observe(WallTime time) noexcept;
  [[nodiscard]] WallTime bound(WallTime wall) const noexcept;
  void note_clock(WallTime wall) noexcept { clock_seen_ = std::max(clock_seen_, wall); }
  void begin_life(RingMember& member, WallTime born, const Boot& boot, const Endpoint& endpoint,
                  std::uint32_t weight, const Stamp& stamp);
  void state_own_zone(EndpointRegister& own, WallTime at);
  void put(const RingMember& member);
  void note_hash(const RingMember& member, bool holds);
  void forget_tombstone(const NodeId& id);
  void note_editors(const RingMember& member, bool holds);
  void hear_of_tombstones(const NodeId& from, std::uint64_t has_up_to);
  [[nodiscard]] static crypto::Digest digest_of(const RingMember& member);
  MergeReport merge_believed(const RingDelta& delta, WallTime wall);
  bool merge_member(const RingMember& theirs, MergeReport& report, WallTime wall);
  [[nodiscard]] bool was_collected(const RingMember& theirs, WallTime wall) const;
  void advance(const CountRange& range, MergeReport& report);
  void hear_own_count(std::uint64_t heard, WallTime wall);
  void mark_recovered();
  void assert_self(MergeReport& report, WallTime wall);
  void forget_old_counts();
  static void add_edits(const RingMember& member, const EditsOf& which, Lacking& lacking);
  void add_edits_of_others(const NodeId& editor, const EditsOfOthers& edits, std::uint64_t count,
                           Lacking& lacking) const;
  [[nodiscard]] static std::vector<RingDelta> pack(Lacking& lacking);

  Self self_;  // its boot is raised if an earlier process of this node had a greater one
  SharedMap<RingMember, &RingMember::id> records_{};
  std::map<NodeId, EditsOfOthers, ById> edited_{};  // by editor
  HashSum sum_{};                                   // of all records
  std::map<std::uint64_t, NodeId> tombstones_{};    // in the order in which this replica heard of them
  std::map<NodeId, std::uint64_t> tombstone_of_{};  // their numbers
  std::map<NodeId, std::uint64_t> has_up_to_{};     // per peer: it has all tombstones up to this number
  std::uint64_t tombstone_last_ = 0;
  std::map<WallTime, Removals> removals_{};  // what a horizon leaves out of `sum_`
  Clock clock_{};
  mutable std::optional<std::uint64_t> clock_hash_{};  // of it, once somebody asked
  WallTime latest_{};                                  // greatest time seen
  WallTime clock_seen_{};            // greatest time of an own clock, also of earlier processes
  std::uint64_t issued_ = 0;         // count of the latest own edit
  std::uint64_t floor_ = 0;          // this process issued no count up to here
  std::uint64_t heard_ = 0;          // greatest own count that others showed
  std::set<std::uint64_t> fresh_{};  // counts that this process issued
  bool recovered_ = false;  // own edits of earlier processes are known, so the own clock entry may stand
  int boots_raised_ = 0;
  WallTime boot_raised_at_{};
  std::size_t present_count_ = 0;
  std::uint64_t version_ = 1;
};

}  // namespace cluster::proto
