// The messages of one ring: digests, clocks, updates.
#include <algorithm>

#include "cluster/proto/gossip.hpp"
#include "cluster/proto/ring_outline.hpp"

namespace cluster::proto {
namespace {

constexpr std::size_t kConflictsRemembered = 256;
/// A clock part fits a frame: 80 entries of the greatest ids, 1,000 of usual ones.
constexpr std::size_t kClockPartBytesMax = 24 * 1024;
/// In a burst of edits one question finds all that was missed.
constexpr Duration kGapDigestPeriod = 200ms;
constexpr Duration kAsksEventPeriod = 1s;
/// Of what all of the state costs: to compare hashes, or a part of a clock, at least. Clocks of many editors
/// travel in many parts.
constexpr double kPartShare = 1.0 / 8;
// Other states that are watched at once: few nodes differ from all others but for a moment.
constexpr std::size_t kMismatchesMax = 16;

std::vector<ClockEntry> entries_in(const RingState::Clock& clock, const EditorInterval& interval) {
  std::vector<ClockEntry> entries;
  for (auto at = clock.upper_bound(interval.after); at != clock.end(); ++at) {
    if (!interval.contains(at->editor)) break;
    entries.push_back(*at);
  }
  return entries;
}

}  // namespace

void Gossip::on(const RingDigest& m) {
  if (!speaks_of_my_ring(m.ring) || tell_if_removed(from_)) return;
  hear_time(m.horizon);
  if (!may_ask(kPartShare)) return;
  if (m.state == state_.hash(m.horizon)) {
    ++counters_.digests_equal;
    state_.hear_equal(from_);
    return;
  }
  ++counters_.digests_different;
  if (!may_ask()) return;
  hurry_rounds();
  state_.clock().size() < config_.outlined_min ? send_clock(from_, true) : send_outline(from_);
}

void Gossip::on(const RingClockOutline& m) {
  if (!speaks_of_my_ring(m.ring) || tell_if_removed(from_)) return;
  hear_time(m.horizon);
  if (!may_ask()) return;
  if (m.state == state_.hash(m.horizon)) return state_.hear_equal(from_);
  hurry_rounds();
  const auto found = compare(state_.clock(), m.parts);
  for (const auto& interval : found.equal)  // the sender has shown what this node has there
    if (interval.contains(self()))
      state_.hear_clock(from_, entries_in(state_.clock(), interval), interval, at_.wall);
  for (const auto& interval : found.different) send_clock(from_, true, interval);
  if (found.different.empty() && mismatch_stays(m.state)) exchange_whole_state();
}

void Gossip::on(const RingClockPart& m) {
  if (!speaks_of_my_ring(m.ring) || tell_if_removed(from_)) return;
  hear_time(m.horizon);
  const EditorInterval interval{m.after, m.through};
  if (!may_ask(kPartShare)) return;
  state_.hear_clock(from_, m.entries, interval, at_.wall);
  const bool is_equal = m.state == state_.hash(m.horizon);
  const auto own = entries_in(state_.clock(), interval);
  if (const auto share = static_cast<double>(own.size()) / static_cast<double>(state_.clock().size());
      (!is_equal || m.answer) && share > kPartShare)
    asks_.take(at_.now, from_.str(), share - kPartShare);
  const auto clocks_are_equal = [&] { return own == m.entries && m.clock == state_.clock_hash(); };
  if (is_equal) {
    state_.hear_equal(from_);
  } else if (hurry_rounds(); clocks_are_equal() && mismatch_stays(m.state)) {
    return exchange_whole_state();
  } else {
    send_deltas(from_, state_.deltas_since(m.entries, interval));
  }
  if (m.answer) send_clock_part(from_, own, interval, false);
}

void Gossip::on(const RingUpdate& m) {
  ++counters_.updates_received;
  const auto states_removal_of = [&](const NodeId& node) {
    const auto record = std::ranges::find(m.delta.members, node, &RingMember::id);
    return record != m.delta.members.end() && record->presence.removed;
  };
  if (m.ring != ring_ && !accept_invitation(m)) {
    if (!states_removal_of(self())) answer_outsider(m.ring, false);
    return;
  }
  const auto version = state_.version();
  const auto gaps = counters_.gaps;
  force_ = m.force;
  merge(m.delta, m.force);
  const bool news = state_.version() != version;
  if (counters_.gaps != gaps && at_.now >= next_gap_digest_) {
    next_gap_digest_ = at_.now + kGapDigestPeriod;
    send_digest(from_);
  }
  if (news && m.rounds > 0) {
    ++counters_.updates_forwarded;
    push(m.delta, m.rounds);
  }
  if (m.delta.ranges.empty()) {  // statements: whoever knows more says so
    std::vector<NodeId> behind;
    for (const auto& member : m.delta.members)
      if (state_.is_ahead_of(member)) behind.push_back(member.id);
    if (!behind.empty() && may_ask()) send_deltas(from_, state_.statements(behind));
  }
  if (!states_removal_of(from_)) tell_if_removed(from_);
}

void Gossip::on(const RingPull& m) {
  if (!speaks_of_my_ring(m.ring) || tell_if_removed(from_) || !may_ask()) return;
  send_deltas(from_, state_.deltas_since({}));
}

void Gossip::on(const RingForeign& m) {
  if (m.asked != ring_) return;
  refuse(Error(Errc::wrong_ring, "Node '" + from_.str() + "' belongs to ring '" + m.mine + "'"));
}

void Gossip::on(const RingGone& m) {
  const auto* own = state_.find(self());
  if (m.ring != ring_ || own == nullptr || m.presence != own->presence || leave_) return;
  // Counts are milliseconds, and tombstones are forgotten by them.
  if (own->presence.count > millis(at_.wall - RingState::kTombstoneAge + RingState::kClockSkewMax))
    return refuse(
        Error(Errc::refused, "it says that this node was removed and forgotten, too soon for that"));
  state_.remove(self(), at_.wall);  // in words that this node's later self and its peers understand
  begin_leave({}, from_);
}

/// Whether `from_` may have so much of the state told, or compared: each peer of which a share is 1 for all
/// of it. No peer needs as much as is allowed.
bool Gossip::may_ask(double share) {
  if (asks_.allows(at_.now, from_.str())) {
    asks_.take(at_.now, from_.str(), share);
    return true;
  }
  ++counters_.refused;
  if (at_.now >= next_asks_event_) {
    next_asks_event_ = at_.now + kAsksEventPeriod;
    event(MessageRefused{from_, Error(Errc::overloaded, "it asks for the ring's state too often")});
  }
  return false;
}

/// A digest is of its sender's clock, 24 h ago. Who is in no ring says 0; of who is no member nobody asks it.
void Gossip::hear_time(WallTime horizon) {
  if (horizon > WallTime{} && state_.present(from_))
    clocks_.heard(from_, at_, horizon + RingState::kTombstoneAge);
}

bool Gossip::speaks_of_my_ring(const std::string& ring) {
  if (ring == ring_) return true;
  answer_outsider(ring, true);
  return false;
}

/// The sender takes this node for a member of `ring`, which it is not.
void Gossip::answer_outsider(const std::string& ring, bool ask) {
  if (const auto* left = departed(ring)) {
    send(from_, RingUpdate{ring, {.members = {left->own}}});
  } else if (!ring_.empty()) {
    send(from_, RingForeign{ring, ring_});
  } else if (ask) {
    // Inserted by others while in no ring: ask for what they know, which invites this node if it says so.
    send(from_, RingClockPart{.ring = ring});
  }
}

/// A node in no ring enters one in which it has a life that it did not leave.
bool Gossip::accept_invitation(const RingUpdate& m) {
  if (!ring_.empty()) return false;
  const auto own = std::ranges::find(m.delta.members, self(), &RingMember::id);
  if (own == m.delta.members.end() || own->presence.removed) return false;
  if (const auto* left = departed(m.ring); left != nullptr && !(own->presence > left->own.presence))
    return false;
  enter_ring(m.ring, false);
  return true;
}

/// Gossip of a node that was removed is answered with its tombstone, and not else.
bool Gossip::tell_if_removed(const NodeId& peer) {
  const auto* held = state_.find(peer);
  if (ring_.empty() || held == nullptr || !held->presence.removed) return false;
  send(peer, RingUpdate{ring_, state_.statement(peer)});
  return true;
}

/// False: this node does not hold all of it now.
bool Gossip::merge(const RingDelta& delta, bool force) {
  const auto report = state_.merge(delta, at_.wall);
  for (const auto& id : report.changed) note_changed(id, force);
  for (const auto& conflict : report.conflicts) this->report(conflict);
  for (const auto& editor : report.duplicate_editors) event(DuplicateId{editor});
  for (const auto& member : report.forgotten)
    if (member.id == from_) send(from_, RingGone{ring_, member.presence});
  if (report.gap) ++counters_.gaps;
  if (report.full) refuse(Error(Errc::overloaded, "no room for more members"));
  if (!report.of_future.empty()) refuse(of_future(report.of_future.front()));
  if (report.is_contested) event(DuplicateId{self()});
  heed_lost_weight(delta);
  return report.of_future.empty() && !report.full;
}

/// While this node drains its weight is 0 by an edit of its own, which people have not made: what they edited
/// without knowledge of it is what the weight is to be afterwards.
void Gossip::heed_lost_weight(const RingDelta& delta) {
  const auto own = state_.find(self())->weight;
  if (own.value != 0) return;
  for (const auto& member : delta.members) {
    if (member.id != self() || member.weight.value == 0 || !(member.weight > weight_ && member.weight < own))
      continue;
    if (check_clock())
      static_cast<void>(state_.update(self(), {}, member.weight.value, at_.wall));  // 0 again in finish()
    else
      weight_ = member.weight;
  }
}

Error Gossip::of_future(const NodeId& member) {
  return Error(Errc::refused, "what it says of '" + member.str() + "' is more than " +
                                  std::to_string(kAheadMax.count()) +
                                  " min ahead of the clock here: a clock is or was wrong, or somebody lies");
}

void Gossip::send_digest(const NodeId& to) {
  const auto horizon = RingState::horizon(at_.wall);
  send(to, RingDigest{ring_, state_.hash(horizon), horizon});
}

void Gossip::send_outline(const NodeId& to) {
  const auto horizon = RingState::horizon(at_.wall);
  send(to, RingClockOutline{ring_, state_.hash(horizon), horizon, outline_of(state_.clock())});
}

/// In as many parts as it takes.
void Gossip::send_clock(const NodeId& to, bool answer, const EditorInterval& interval) {
  const auto entries = entries_in(state_.clock(), interval);
  std::string_view after = interval.after;
  for (std::size_t begin = 0;;) {
    auto end = begin;
    for (std::size_t bytes = 0; end < entries.size() && end - begin < RingClockPart::kEntriesMax; ++end) {
      bytes += entries[end].editor.str().size() + 16;
      if (bytes > kClockPartBytesMax) break;
    }
    const bool last = end == entries.size();
    const std::string_view through =
        last ? interval.through : std::string_view(entries[end - 1].editor.str());
    send_clock_part(to, std::span(entries).subspan(begin, end - begin), {after, through}, answer);
    if (last) return;
    after = through;
    begin = end;
  }
}

void Gossip::send_clock_part(const NodeId& to, std::span<const ClockEntry> entries,
                             const EditorInterval& interval, bool answer) {
  const auto horizon = RingState::horizon(at_.wall);
  send(to, RingClockPart{.ring = ring_,
                         .state = state_.hash(horizon),
                         .horizon = horizon,
                         .clock = state_.clock_hash(),
                         .after = std::string(interval.after),
                         .through = std::string(interval.through),
                         .entries = {entries.begin(), entries.end()},
                         .answer = answer});
}

void Gossip::send_deltas(const NodeId& to, std::vector<RingDelta> deltas) {
  for (auto& delta : deltas) send(to, RingUpdate{ring_, std::move(delta)});
}

/// Equal clocks say that both know the same edits. States may differ for a moment, while updates overtake
/// each other; if neither has changed half a period later, deltas will not mend it.
bool Gossip::mismatch_stays(const crypto::Digest& theirs) {
  if (mismatch_.version != state_.version()) mismatch_ = {state_.version(), {}};
  auto& since = mismatch_.since;
  if (since.size() == kMismatchesMax && !since.contains(theirs)) since.clear();
  return at_.now >= since.emplace(theirs, at_.now).first->second + config_.period / 2;
}

/// The last resort: an earlier process of some node lost its disk, and a later one gave its counts to other
/// edits.
void Gossip::exchange_whole_state() {
  ++counters_.whole_states;
  mismatch_ = {};
  send_deltas(from_, state_.deltas_since({}));
  send(from_, RingPull{ring_});
}

void Gossip::report(const RingConflict& conflict) {
  if (std::ranges::find(conflicts_seen_, conflict) != conflicts_seen_.end()) return;
  conflicts_seen_.push_back(conflict);
  if (conflicts_seen_.size() > kConflictsRemembered) conflicts_seen_.pop_front();
  ++counters_.conflicts;
  event(ConflictFound{conflict});
}

}  // namespace cluster::proto
