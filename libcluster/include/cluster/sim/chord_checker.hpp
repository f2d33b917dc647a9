#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/proto/chord.hpp"

namespace cluster::sim {

/// Judges the state of a whole Chord ring after every event, by the invariant of P. Zave, "Reasoning about
/// identifier spaces: how to make Chord correct", 2017. In her words: a member's *extended successor list* is
/// itself and its successor list; a list *skips* the nodes that lie between two of its neighbouring entries;
/// a *principal* is a member that no member's extended successor list skips; a member's *best successor* is
/// the first live one of its list.
///
/// The invariant, kept up incrementally, O(r log N) a change:
///   OneLiveSuccessor      each member has a live successor in its list
///   SufficientPrincipals  there are at least r + 1 principals
///
/// What she proves to follow from it, looked at anew, O(N), whenever a best successor changed:
///   AtLeastOneRing        following best successors, some member comes back to itself
///   AtMostOneRing         all members that come back to themselves are on one ring
///   OrderedRing           that ring goes once around the circle
///   ConnectedAppendages   every other member comes to the ring
///   OrderedSuccessorLists each extended successor list goes clockwise, less than once around: no duplicates
///
/// Her network begins with r + 1 principals. Ours may begin with one node: SufficientPrincipals is demanded
/// from `begin` on, and until then a member with an empty list, which takes itself for alone, is its own best
/// successor.
class ChordChecker {
 public:
  /// One place on the circle for each node that there will be, by number; no two the same.
  ChordChecker(const std::vector<proto::ChordId>& places, std::size_t successors);

  /// Several changes that are one event, such as a ring that is there from the start: judged at the end. If
  /// it has enough principals, the network begins with it.
  void begin_event() noexcept { in_event_ = true; }
  void end_event();
  /// What a member knows now, its successors by number.
  void member(std::size_t node, const std::vector<std::size_t>& successors);
  /// It is dead, or has left.
  void gone(std::size_t node);

  /// Zave's operating assumption: a failure leaves each member a live successor, and r + 1 principals.
  [[nodiscard]] bool may_fail(std::size_t node) const;

  [[nodiscard]] std::size_t members() const noexcept { return members_; }
  [[nodiscard]] std::size_t principals() const noexcept;
  [[nodiscard]] std::size_t principals_needed() const noexcept { return needed_; }
  /// From now on there must be enough principals.
  void begin() noexcept { begun_ = true; }
  [[nodiscard]] bool begun() const noexcept { return begun_; }
  /// How many members are not on the ring.
  [[nodiscard]] std::size_t appendages() const noexcept { return appendages_; }
  [[nodiscard]] std::uint64_t checks() const noexcept { return checks_; }
  [[nodiscard]] std::uint64_t violations() const noexcept { return violations_; }
  /// The first of each kind, by name.
  [[nodiscard]] const std::map<std::string, std::string>& first_violations() const noexcept { return first_; }

 private:
  static constexpr std::uint32_t kNone = ~0u;
  struct Member {
    bool is = false;
    std::vector<std::uint32_t> list{};  // slots
    std::uint32_t best = kNone;
  };
  /// Adds over ranges, and counts the least: of how many lists skip each slot, and how many slots none skips.
  struct Cover {
    std::int32_t least = 0;
    std::uint32_t count = 0;
    std::int32_t added = 0;
  };
  void add(std::size_t from, std::size_t to, std::int32_t by);
  void add(std::size_t node, std::size_t low, std::size_t high, std::size_t from, std::size_t to,
           std::int32_t by);
  void skip(std::uint32_t slot, std::int32_t by);
  void set_member(std::uint32_t slot, bool is);
  [[nodiscard]] std::uint32_t best_of(const Member& member) const;
  [[nodiscard]] std::uint32_t after(std::uint32_t slot) const;
  bool refresh_best(std::uint32_t slot);
  void check(std::uint32_t slot, bool best_changed);
  void check_principals();
  void check_structure();
  void violated(const char* name, const std::string& text);

  std::size_t needed_;  // principals
  std::vector<std::uint32_t> slot_of_;
  std::vector<Member> at_;                             // by slot, which are in the order of places
  std::vector<std::vector<std::uint32_t>> listed_by_;  // slots of members
  std::vector<Cover> tree_;
  std::size_t members_ = 0;
  std::size_t appendages_ = 0;
  bool in_event_ = false;
  bool begun_ = false;
  std::vector<std::uint32_t> colour_{};
  std::uint64_t checks_ = 0;
  std::uint64_t violations_ = 0;
  std::map<std::string, std::string> first_{};
};

}  // namespace cluster::sim
