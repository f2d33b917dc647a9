// Entering and leaving rings: meet, join, leave, and being removed.
#include <algorithm>

#include "cluster/proto/gossip.hpp"

namespace cluster::proto {
namespace {

constexpr std::size_t kLeaveTellsMax = 3;
constexpr std::size_t kMeetsMax = 1'024;  // under way

/// Whether another attempt may end otherwise.
bool is_passing(Errc code) {
  return code != Errc::wrong_cookie && code != Errc::incompatible && code != Errc::duplicate_id &&
         code != Errc::invalid_argument && code != Errc::wrong_ring && code != Errc::refused &&
         code != Errc::not_found;
}

}  // namespace

// --- meet ---

void Gossip::run(std::uint64_t command, const MeetCommand& what) {
  if (leave_) return done(command, *not_now());
  if (auto ok = check_endpoint(what.endpoint); !ok) return done(command, std::move(ok));
  if (meets_.size() >= kMeetsMax)
    return done(command, Error(Errc::overloaded, "too many nodes are being met already", Executed::no));
  Meet meet{.command = what,
            .deadline = saturated_add(at_.now, what.timeout.value_or(config_.meet_timeout)),
            .next_attempt = at_.now};
  auto& pending = meets_.insert_or_assign(command, std::move(meet)).first->second;
  ask_to_meet(command, pending);
}

void Gossip::ask_to_meet(std::uint64_t command, Meet& meet) {
  meet.next_attempt = at_.now + config_.attempt_period;
  if (meet.peer) {
    if (auto error = no_newcomer(*meet.peer)) return put_off(meet, std::move(*error));
    send(*meet.peer, MeetAsk{command, ring_, meet.command.revive, *state_.find(self())});
  } else if (!meet.dialing) {
    meet.dialing = true;
    out_.emplace_back(std::in_place_type<Dial>, Dial{command, meet.command.endpoint});
  }
}

Actions Gossip::on_dialed(Moment at, std::uint64_t command, const Result<NodeId>& peer) {
  begin(at);
  const auto found = meets_.find(command);
  if (found == meets_.end()) return finish();
  auto& meet = found->second;
  meet.dialing = false;
  if (!peer) {
    meet.last = peer.error();
    if (!is_passing(peer.error().code())) end_meet(command, peer.error());
  } else if (*peer == self()) {
    end_meet(command, Error(Errc::invalid_argument, "Node '" + self().str() + "' cannot meet itself"));
  } else if (meet.command.expected && *meet.command.expected != *peer) {
    end_meet(command, Error(Errc::invalid_argument, "Node at " + meet.command.endpoint.to_string() + " is '" +
                                                        peer->str() + "', not '" +
                                                        meet.command.expected->str() + "'"));
  } else {
    meet.peer = *peer;
    ask_to_meet(command, meet);
  }
  return finish();
}

void Gossip::on(const MeetAsk& m) {
  const auto refuse_it = [&](Errc code, std::string text) {
    send(from_,
         MeetAnswer{
             .attempt = m.attempt, .refusal = static_cast<std::uint16_t>(code), .text = std::move(text)});
  };
  const auto& me = self().str();
  if (m.self.id != from_)
    return refuse(Error(Errc::bad_message, "an invitation in the name of another node"));
  if (leave_) return refuse_it(Errc::stopped, "Node '" + me + "' is leaving ring '" + ring_ + "'");
  if (!ring_.empty() && !m.ring.empty() && m.ring != ring_)
    return refuse_it(Errc::wrong_ring, "Node '" + me + "' belongs to ring '" + ring_ + "'");
  if (ring_.empty() && m.ring.empty())
    return refuse_it(Errc::wrong_ring,
                     "Node '" + me + "' belongs to no ring, and neither does '" + from_.str() + "'");
  if (state_.is_of_future(m.self, at_.wall)) {
    const auto why = of_future(from_);
    refuse(why);
    return refuse_it(why.code(), why.message());
  }
  const auto* held = state_.find(from_);
  const bool removed = held != nullptr && held->presence.removed && !(m.self.presence > held->presence);
  if (removed && !m.revive) {
    if (m.ring == ring_) tell_if_removed(from_);  // it restarted in the ring, and does not know
    return refuse_it(Errc::refused, "Node '" + from_.str() + "' was removed from ring '" + ring_ + "'");
  }
  if (ring_.empty() && !m.revive && has_departed(m.ring))
    return refuse_it(Errc::refused, "Node '" + me + "' left ring '" + m.ring + "' or was removed from it");
  if (auto error = no_newcomer(from_)) return refuse_it(error->code(), error->message());
  if (!may_ask()) return;
  if (!ring_.empty() && !state_.present(from_))
    if (auto ok = has_room(1, m.self.weight.value); !ok)
      return refuse_it(ok.error().code(), ok.error().message());

  if (ring_.empty()) enter_ring(m.ring, departed(m.ring) != nullptr);
  merge({.members = {m.self}}, false);
  if (auto ok = revive(from_, m.self); !ok) return refuse_it(ok.error().code(), ok.error().message());
  MeetAnswer answer{.attempt = m.attempt, .ring = ring_, .state = {.members = {*state_.find(self())}}};
  answer.state.members.push_back(*state_.find(from_));
  auto all = state_.deltas_since({});
  if (all.size() == 1) answer.state = std::move(all.front());
  send(from_, std::move(answer));
  if (all.size() > 1) send_deltas(from_, std::move(all));
  send_clock(from_, true);
}

void Gossip::on(const MeetAnswer& m) {
  const auto found = meets_.find(m.attempt);
  if (found == meets_.end() || found->second.peer != from_) return;
  if (m.refusal != 0) {
    Error why(static_cast<Errc>(m.refusal), m.text);
    if (why.code() == Errc::no_quorum) return put_off(found->second, std::move(why));
    return end_meet(m.attempt, std::move(why));
  }
  if (!ring_.empty() && m.ring != ring_)
    return end_meet(m.attempt,
                    Error(Errc::wrong_ring, "Node '" + from_.str() + "' belongs to ring '" + m.ring + "'"));
  if (ring_.empty() && !found->second.command.revive && has_departed(m.ring))
    return end_meet(m.attempt, Error(Errc::refused, "Node '" + self().str() + "' left ring '" + m.ring +
                                                        "' or was removed from it"));
  const auto peer = std::ranges::find(m.state.members, from_, &RingMember::id);
  if (peer == m.state.members.end())
    return refuse(Error(Errc::bad_message, "an answer without the answering node"));
  if (state_.is_of_future(*peer, at_.wall)) return end_meet(m.attempt, of_future(from_));
  if (ring_.empty()) enter_ring(m.ring, departed(m.ring) != nullptr);
  merge(m.state, false);
  if (ring_.empty()) return;
  if (!found->second.command.revive && tell_if_removed(from_))
    return end_meet(m.attempt,
                    Error(Errc::refused, "Node '" + from_.str() + "' was removed from ring '" + ring_ + "'"));
  end_meet(m.attempt, revive(from_, *peer));
}

/// Why `peer` must not become a member by a meet: a side without a quorum could grow until it seemed to have
/// one.
std::optional<Error> Gossip::no_newcomer(const NodeId& peer) const {
  if (ring_.empty() || state_.present(peer)) return {};
  return no_quorum("wait for the others, or meet one of them");
}

/// A meet at start is tried on, until there is a quorum; a person is told.
void Gossip::put_off(Meet& meet, Error why) {
  meet.last = std::move(why);
  if (meet.command.revive) meet.deadline = at_.now;
}

/// A meet is a person's decision: who was removed begins a new life.
Result<void> Gossip::revive(const NodeId& peer, const RingMember& as_it_says) {
  if (state_.present(peer)) return {};
  if (auto ok = has_room(1, as_it_says.weight.value); !ok) return ok;
  auto added = state_.insert(peer, as_it_says.endpoint.value, as_it_says.weight.value, at_.wall);
  if (!added) return std::move(added).error();
  note_changed(peer, false);
  return {};
}

void Gossip::end_meet(std::uint64_t command, Result<void> result) {
  meets_.erase(command);
  done(command, std::move(result));
}

// --- join ---

void Gossip::run(std::uint64_t command, const JoinCommand& what) {
  if (auto ok = check_ring_id(what.ring); !ok) return done(command, std::move(ok));
  if (leave_) return done(command, *not_now());
  if (!ring_.empty() && ring_ != what.ring)
    return done(command, Error(Errc::already_exists, "Node already belongs to ring '" + ring_ + "'"));
  if (ring_.empty()) enter_ring(what.ring, true);
  done(command, {});
}

void Gossip::enter_ring(const std::string& ring, bool new_life) {
  ring_ = ring;
  state_ = RingState(state_, new_life, at_.wall);
  std::erase_if(departed_, [&](const DepartedRing& left) { return left.ring == ring; });
  pushed_ = 0;
  note_changed(self(), false);
  event(RingJoined{ring});
}

// --- leave ---

void Gossip::run(std::uint64_t command, const LeaveCommand& what) {
  if (auto error = not_now()) return done(command, *error);
  if (auto error = clock_ahead(what.force)) return done(command, *error);
  state_.remove(self(), at_.wall);
  note_changed(self(), what.force);
  begin_leave(command, {});
  if (what.force && leave_) end_leave(false);
}

void Gossip::begin_leave(std::optional<std::uint64_t> command, const NodeId& remover) {
  leave_ = Leave{
      .command = command, .remover = remover, .told_by = from_, .deadline = at_.now + config_.leave_timeout};
  // All that it knows: it may be the only one that has heard of an edit, be it its own or another's.
  for (auto& delta : state_.deltas_since({}))
    leave_->unacknowledged.emplace(++leave_attempts_, std::move(delta));
  pushed_ = state_.issued();  // the notices are the push
  if ((random_peers(1).empty() && from_.empty()) || leave_->unacknowledged.empty())
    end_leave(true);
  else
    tell_of_leave();
}

void Gossip::tell_of_leave() {
  leave_->next_attempt = at_.now + config_.attempt_period;
  for (const auto& [attempt, edits] : leave_->unacknowledged) {
    auto peers = random_peers(kLeaveTellsMax, leave_->told_by);
    if (!leave_->told_by.empty()) peers.push_back(leave_->told_by);
    for (const auto& peer : peers) send(peer, LeaveNotice{attempt, ring_, edits});
  }
}

void Gossip::on(const LeaveNotice& m) {
  if (!speaks_of_my_ring(m.ring)) return;
  const auto version = state_.version();
  const bool taken = merge(m.edits, false);
  if (taken && !leave_) send(from_, LeaveAck{m.attempt});  // who leaves itself vouches for nothing
  if (state_.version() != version) push(m.edits, push_rounds(state_.present_count()));
}

void Gossip::on(const LeaveAck& m) {
  if (!leave_ || leave_->unacknowledged.erase(m.attempt) == 0) return;
  if (leave_->unacknowledged.empty()) end_leave(true);
}

void Gossip::end_leave(bool acknowledged) {
  const auto left = std::move(*leave_);
  const auto ring = ring_;
  fall_out();
  if (left.command) {
    event(RingLeft{ring, acknowledged});
    done(*left.command, {});
  } else {
    event(RingRemoved{ring, left.remover});
  }
}

/// Into no ring. What this node was is kept, to answer members that have not heard.
void Gossip::fall_out() {
  departed_.push_back({ring_, *state_.find(self())});
  if (departed_.size() > SavedRing::kDepartedMax) departed_.pop_front();
  leave_.reset();
  drains_until_.reset();
  weight_.reset();
  for (const auto& [command, meet] : meets_)
    done(command, Error(Errc::cancelled, "Node '" + self().str() + "' fell out of ring '" + ring_ + "'"));
  meets_.clear();
  for (const auto& member : state_.members()) note_changed(member.id, false);
  note_changed(self(), false);
  ring_.clear();
  state_ = RingState(state_, false, at_.wall);
  pushed_ = state_.issued();
  mismatch_ = {};
}

const DepartedRing* Gossip::departed(const std::string& ring) const {
  const auto found = std::ranges::find(departed_, ring, &DepartedRing::ring);
  return found == departed_.end() ? nullptr : &*found;
}

}  // namespace cluster::proto
