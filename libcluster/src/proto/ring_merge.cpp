// Merging: the half of RingState that receives.
#include <algorithm>
#include <iterator>

#include "cluster/proto/ring_state.hpp"

namespace cluster::proto {
namespace {

template <class Register>
bool same_dot(const Register& a, const Register& b) {
  return a.count == b.count && a.editor == b.editor;
}

/// Whether the two edits were made without knowledge of each other. Only the later can know the earlier, and
/// then it replaced that one or a later one.
template <class Register>
bool concurrent(const Register& a, const Register& b) {
  if (same_dot(a, b)) return false;
  const auto& [earlier, later] = a.changed_at <= b.changed_at ? std::tie(a, b) : std::tie(b, a);
  return later.replaced_at < earlier.changed_at;
}

/// Whether two edits say the same, but for a zone that one of them never had: nodes of before there were
/// zones pass edits on without.
template <class Register>
bool same_but_for_zone(const Register& a, const Register& b) {
  return a == b;
}
bool same_but_for_zone(const EndpointRegister& a, EndpointRegister b) {
  if (a.zone_since == WallTime{} || b.zone_since == WallTime{})
    std::tie(b.zone, b.zone_since) = std::tie(a.zone, a.zone_since);
  return a == b;
}

/// Keeps the greater in `ours`. True if that was theirs.
template <class Register>
bool take_greater(Register& ours, const Register& theirs, MergeReport& report) {
  if (same_dot(ours, theirs) && !same_but_for_zone(ours, theirs))
    report.duplicate_editors.push_back(ours.editor);
  if (!(theirs > ours)) return false;
  ours = theirs;
  return true;
}

class ConflictFinder {
 public:
  ConflictFinder(const RingMember& ours, const RingMember& theirs, MergeReport& report)
      : ours_(ours), theirs_(theirs), report_(report) {}

  void find() const {
    if (ours_.presence.born != theirs_.presence.born)
      lives();
    else
      edits_of_one_life();
  }

 private:
  template <class Register>
  void add(std::string_view field, const Register& a, const Register& b) const {
    const auto& [kept, lost] = a > b ? std::tie(a, b) : std::tie(b, a);
    report_.conflicts.push_back({ours_.id, field, kept.editor, lost.editor, kept.count, lost.count});
  }

  /// A new life begun without knowledge of a removal, or of another new life with other values.
  void lives() const {
    if (!concurrent(ours_.presence, theirs_.presence)) return;
    const auto& earlier = ours_.presence.born < theirs_.presence.born ? ours_ : theirs_;
    if (earlier.presence.removed || ours_.endpoint.value != theirs_.endpoint.value ||
        ours_.weight.value != theirs_.weight.value)
      add("presence", ours_.presence, theirs_.presence);
  }

  void edits_of_one_life() const {
    const auto &a = ours_, &b = theirs_;
    if (a.weight.born == b.weight.born && a.weight.value != b.weight.value && concurrent(a.weight, b.weight))
      add("weight", a.weight, b.weight);
    if (a.endpoint.born == b.endpoint.born && a.endpoint.boot == b.endpoint.boot &&
        a.endpoint.value != b.endpoint.value && concurrent(a.endpoint, b.endpoint))
      add("endpoint", a.endpoint, b.endpoint);
    if (a.presence.removed != b.presence.removed)
      a.presence.removed ? removal_against_update(a.presence, b) : removal_against_update(b.presence, a);
  }

  void removal_against_update(const Presence& removal, const RingMember& live) const {
    const auto unknown = [&](const auto& edit) {
      return edit.born == removal.born && edit.changed_at > removal.replaced_at;
    };
    const auto lost = [&](const auto& edit) {
      report_.conflicts.push_back(
          {live.id, "presence", removal.editor, edit.editor, removal.count, edit.count});
    };
    if (unknown(live.weight))
      lost(live.weight);
    else if (unknown(live.endpoint) &&
             live.endpoint.editor != live.id)  // its own boot is no decision of people
      lost(live.endpoint);
  }

  const RingMember& ours_;
  const RingMember& theirs_;
  MergeReport& report_;
};

WallTime latest_time(const RingMember& member) { return std::max(last_change(member), member.presence.born); }

std::uint64_t millis(std::chrono::microseconds span) {
  return static_cast<std::uint64_t>(span.count() / 1000);
}

}  // namespace

MergeReport RingState::merge(const RingDelta& delta, WallTime wall) {
  note_clock(wall);
  RingDelta believed;  // without ranges: it is not complete
  std::vector<NodeId> of_future;
  for (const auto& range : delta.ranges)
    if (range.to > millis(bound(wall))) of_future.push_back(range.editor);
  for (const auto& member : delta.members)
    if (is_of_future(member, wall)) of_future.push_back(member.id);
  if (of_future.empty()) return merge_believed(delta, wall);
  std::ranges::copy_if(delta.members, std::back_inserter(believed.members),
                       [&](const RingMember& member) { return !is_of_future(member, wall); });
  auto report = merge_believed(believed, wall);
  report.of_future = std::move(of_future);
  return report;
}

MergeReport RingState::merge_believed(const RingDelta& delta, WallTime wall) {
  MergeReport report;
  std::uint64_t heard =
      0;  // of earlier processes of this node: an echo of its own edits says nothing of them
  const auto hear_count = [&](const NodeId& editor, std::uint64_t count) {
    if (editor == self_.id && !fresh_.contains(count)) heard = std::max(heard, count);
  };
  const auto hear = [&](const auto& edit) { hear_count(edit.editor, edit.count); };
  for (const auto& range : delta.ranges) hear_count(range.editor, range.to);
  for (const auto& member : delta.members) {
    hear(member.presence);
    hear(member.weight);
    hear(member.endpoint);
  }
  hear_own_count(heard, wall);

  for (const auto& member : delta.members)
    if (merge_member(member, report, wall)) report.changed.push_back(member.id);
  if (!report.full)
    for (const auto& range : delta.ranges) advance(range, report);
  assert_self(report, wall);
  return report;
}

bool RingState::merge_member(const RingMember& theirs, MergeReport& report, WallTime wall) {
  const auto* held = find(theirs.id);
  if (held == nullptr) {
    if (was_collected(theirs, wall)) {
      if (!theirs.presence.removed) report.forgotten.push_back(theirs);
      return false;
    }
    if (records_.size() >= kRecordsMax) {
      report.full = true;
      return false;
    }
    observe(latest_time(theirs));
    put(theirs);
    return true;
  }
  observe(latest_time(theirs));
  RingMember merged = *held;
  const bool presence = take_greater(merged.presence, theirs.presence, report);
  const bool weight = take_greater(merged.weight, theirs.weight, report);
  const bool endpoint = take_greater(merged.endpoint, theirs.endpoint, report);
  const bool changed = presence || weight || endpoint;
  if (theirs != *held) ConflictFinder(*held, theirs, report).find();
  if (!changed) return false;
  put(merged);
  return true;
}

/// Known by the clock, yet not held: the member was removed and its tombstone collected. Not so if its editor
/// has restarted since, for then the clock may count edits as known that its earlier process took with it.
bool RingState::was_collected(const RingMember& theirs, WallTime wall) const {
  const auto& edit = theirs.presence;
  if (theirs.id == self_.id || edit.count > known_count(edit.editor)) return false;
  const auto skew = millis(kClockSkewMax);
  if (edit.count + millis(kTombstoneAge) > millis(wall.time_since_epoch())) return false;
  const auto* editor = find(edit.editor);
  return editor == nullptr || editor->endpoint.boot.number + skew < edit.count;
}

void RingState::advance(const CountRange& range, MergeReport& report) {
  const auto known = known_count(range.editor);
  if (range.to <= known) return;
  if (range.from > known || (known == 0 && clock_.size() >= kEditorsMax)) {
    report.gap = true;
    return;
  }
  know_up_to(range.editor, range.to);
  if (range.editor == self_.id) mark_recovered();
}

void RingState::hear_clock(const NodeId& from, std::span<const ClockEntry> entries,
                           const EditorInterval& interval, WallTime wall) {
  const auto shown = [&](const NodeId& editor) {
    const auto at = std::ranges::lower_bound(entries, editor, {}, &ClockEntry::editor);
    return at != entries.end() && at->editor == editor ? at->count : 0;
  };
  note_clock(wall);
  if (const auto own = shown(self_.id); interval.contains(self_.id) && own <= millis(bound(wall))) {
    hear_own_count(own, wall);
    mark_recovered();
  }
  // In the order in which they were heard of, up to the first that it lacks or that this part is silent on.
  std::uint64_t has_up_to = 0;
  for (const auto& [number, id] : tombstones_) {
    const auto& removal = find(id)->presence;
    if (!interval.contains(removal.editor) || shown(removal.editor) < removal.count) break;
    has_up_to = number;
  }
  hear_of_tombstones(from, has_up_to);
}

void RingState::hear_equal(const NodeId& from) { hear_of_tombstones(from, tombstone_last_); }

void RingState::hear_of_tombstones(const NodeId& from, std::uint64_t has_up_to) {
  if (tombstones_.empty() || has_up_to == 0) return;
  auto& known = has_up_to_[from];
  known = std::max(known, has_up_to);
}

bool RingState::is_ahead_of(const RingMember& other) const {
  const auto* held = find(other.id);
  return held != nullptr &&
         (held->presence > other.presence || held->weight > other.weight || held->endpoint > other.endpoint);
}

}  // namespace cluster::proto
