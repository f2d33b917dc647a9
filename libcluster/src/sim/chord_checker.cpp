#include "cluster/sim/chord_checker.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace cluster::sim {
namespace {

constexpr std::int32_t kNoMember = 1 << 30;

}  // namespace

ChordChecker::ChordChecker(const std::vector<proto::ChordId>& places, std::size_t successors)
    : needed_(successors + 1),
      slot_of_(places.size()),
      at_(places.size()),
      listed_by_(places.size()),
      tree_(4 * std::max<std::size_t>(1, places.size())) {
  std::vector<std::uint32_t> order(places.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, {}, [&](std::uint32_t node) { return places[node]; });
  for (std::uint32_t slot = 0; slot < order.size(); ++slot) slot_of_[order[slot]] = slot;
  if (!at_.empty()) add(0, at_.size(), kNoMember);
}

void ChordChecker::add(std::size_t from, std::size_t to, std::int32_t by) {
  if (from < to) add(1, 0, at_.size(), from, to, by);
}

void ChordChecker::add(std::size_t node, std::size_t low, std::size_t high, std::size_t from, std::size_t to,
                       std::int32_t by) {
  auto& cover = tree_[node];
  if (from <= low && high <= to) {
    if (high - low == 1) cover.count = 1;
    cover.least += by;
    cover.added += by;
    return;
  }
  const auto middle = (low + high) / 2;
  if (from < middle) add(2 * node, low, middle, from, to, by);
  if (to > middle) add(2 * node + 1, middle, high, from, to, by);
  const auto& left = tree_[2 * node];
  const auto& right = tree_[2 * node + 1];
  cover.least = std::min(left.least, right.least) + cover.added;
  cover.count = (left.least + cover.added == cover.least ? left.count : 0) +
                (right.least + cover.added == cover.least ? right.count : 0);
}

std::size_t ChordChecker::principals() const noexcept {
  return members_ != 0 && tree_[1].least == 0 ? tree_[1].count : 0;
}

/// Counts, or no longer counts, what the extended successor list of the member at `slot` skips.
void ChordChecker::skip(std::uint32_t slot, std::int32_t by) {
  std::uint32_t last = slot;
  for (const auto next : at_[slot].list) {
    if (last < next) {
      add(last + 1, next, by);
    } else {
      add(last + 1, at_.size(), by);
      add(0, next, by);
    }
    last = next;
  }
}

void ChordChecker::set_member(std::uint32_t slot, bool is) {
  auto& member = at_[slot];
  if (member.is == is) return;
  member.is = is;
  add(slot, slot + 1u, is ? -kNoMember : kNoMember);
  is ? ++members_ : --members_;
}

std::uint32_t ChordChecker::best_of(const Member& member) const {
  const auto best = std::ranges::find_if(member.list, [this](std::uint32_t slot) { return at_[slot].is; });
  return best == member.list.end() ? kNone : *best;
}

bool ChordChecker::refresh_best(std::uint32_t slot) {
  auto& member = at_[slot];
  const auto best = member.is ? best_of(member) : kNone;
  return std::exchange(member.best, best) != best;
}

void ChordChecker::member(std::size_t node, const std::vector<std::size_t>& successors) {
  const auto slot = slot_of_[node];
  auto& member = at_[slot];
  for (const auto listed : member.list) std::erase(listed_by_[listed], slot);
  if (member.is) skip(slot, -1);
  member.list.clear();
  for (const auto successor : successors) member.list.push_back(slot_of_[successor]);
  for (const auto listed : member.list) listed_by_[listed].push_back(slot);
  const bool joined = !member.is;
  set_member(slot, true);
  skip(slot, 1);
  bool changed = refresh_best(slot) || joined;
  if (joined)
    for (const auto other : listed_by_[slot]) changed |= refresh_best(other);
  check(slot, changed);
}

void ChordChecker::gone(std::size_t node) {
  const auto slot = slot_of_[node];
  auto& member = at_[slot];
  if (!member.is) return;
  skip(slot, -1);
  for (const auto listed : member.list) std::erase(listed_by_[listed], slot);
  member.list.clear();
  set_member(slot, false);
  member.best = kNone;
  for (const auto other : listed_by_[slot]) refresh_best(other);
  check(slot, true);
}

bool ChordChecker::may_fail(std::size_t node) const {
  const auto slot = slot_of_[node];
  const auto& failing = at_[slot];
  if (!failing.is) return true;
  for (const auto other : listed_by_[slot]) {
    const auto& list = at_[other].list;
    const auto is_other = [&](std::uint32_t listed) { return listed != slot && at_[listed].is; };
    if (at_[other].is && std::ranges::none_of(list, is_other)) return false;
  }
  // What only it skips becomes principal by its death, so this is on the safe side.
  return !begun_ || principals() > needed_;
}

void ChordChecker::violated(const char* name, const std::string& text) {
  ++violations_;
  first_.emplace(name, text);
}

void ChordChecker::check(std::uint32_t slot, bool best_changed) {
  if (in_event_) return;
  ++checks_;
  const auto& changed = at_[slot];
  const auto size = at_.size();
  std::size_t turned = 0;
  auto last = slot;
  for (const auto next : changed.list) {
    turned += (next + size - last) % size;
    if (next == last || turned >= size) {
      violated("OrderedSuccessorLists", "the list of slot " + std::to_string(slot));
      break;
    }
    last = next;
  }
  check_principals();
  if (best_changed) check_structure();
}

void ChordChecker::end_event() {
  in_event_ = false;
  ++checks_;
  if (principals() >= needed_) begin();
  check_principals();
  check_structure();
}

void ChordChecker::check_principals() {
  const auto principals_now = principals();
  if (begun_ && principals_now < needed_)
    violated("SufficientPrincipals",
             std::to_string(principals_now) + " of " + std::to_string(members_) + " members are principals");
}

std::uint32_t ChordChecker::after(std::uint32_t slot) const {
  return !begun_ && at_[slot].list.empty() ? slot : at_[slot].best;
}

/// Follows best successors from each member, once: O(members).
void ChordChecker::check_structure() {
  constexpr std::uint32_t kUnseen = 0;
  colour_.assign(at_.size(), kUnseen);
  std::uint32_t walk = 0;
  std::uint32_t ring_walk = 0;  // that found the ring
  std::size_t on_ring = 0;
  for (std::uint32_t begin = 0; begin < at_.size(); ++begin) {
    if (!at_[begin].is || colour_[begin] != kUnseen) continue;
    ++walk;
    auto slot = begin;
    while (slot != kNone && colour_[slot] == kUnseen) {
      colour_[slot] = walk;
      slot = after(slot);
    }
    if (slot == kNone) {
      violated("OneLiveSuccessor", "met from slot " + std::to_string(begin));
      violated("ConnectedAppendages", "slot " + std::to_string(begin) + " comes to no ring");
      continue;
    }
    if (colour_[slot] != walk) continue;  // met an earlier walk, which came to the ring
    if (ring_walk != 0) {
      violated("AtMostOneRing", "another ring over slot " + std::to_string(slot));
      continue;
    }
    ring_walk = walk;
    std::size_t descents = 0;
    for (auto at = slot; on_ring == 0 || at != slot; at = after(at)) {
      ++on_ring;
      if (after(at) <= at) ++descents;
    }
    if (descents != 1) violated("OrderedRing", "it goes " + std::to_string(descents) + " times around");
  }
  if (ring_walk == 0 && members_ != 0) violated("AtLeastOneRing", "there is none");
  appendages_ = members_ - on_ring;
}

}  // namespace cluster::sim
