// fix_fingers: a finger that says that no node lies between its finger's start and itself is right, which
// costs one question and finds it alive; only another one is looked up.
#include <algorithm>

#include "cluster/proto/chord.hpp"

namespace cluster::proto {

/// The next step: soon while fingers are missing, else so that a round takes `fingers_interval`.
void Chord::schedule_finger(bool at_once) {
  if (state_ != State::member || finger_busy_) return;
  const auto steps = static_cast<std::int64_t>(fingers_.runs().size() + 1);
  finger_at_ = at_once ? now_ : now_ + config_.fingers_interval / steps;
}

/// The first that is not the successor, which stabilizing keeps: what is found of those before it is stale.
unsigned Chord::first_finger() const {
  return successors_.empty() ? 0 : space_.distance(self_.place, successors_.front().place).width();
}

void Chord::fix_next_finger() {
  if (finger_busy_ || successors_.empty()) {
    finger_at_ = now_ + config_.fingers_interval;
    return;
  }
  if (finger_lost_) finger_next_ = *std::exchange(finger_lost_, std::nullopt);
  finger_next_ = std::max(finger_next_, first_finger());
  if (finger_next_ >= space_.bits()) {
    finger_next_ = 0;
    return schedule_finger(false);
  }
  finger_busy_ = true;
  finger_at_ = kNever;
  const auto* finger = fingers_.at(finger_next_);
  if (finger != nullptr && !is_suspect(finger->id))
    ask(Purpose::finger, ChordPeer(*finger), finger_next_);
  else
    begin_lookup({.aim = Aim::finger,
                  .command = finger_next_,
                  .target = finger_start(finger_next_),
                  .deadline = now_ + config_.lookup_timeout});
}

void Chord::finger_answered(const Request& request, const ChordNeighbours& m) {
  const auto index = static_cast<unsigned>(request.subject);
  const ChordId start = finger_start(index);
  if (m.predecessor && !is_suspect(m.predecessor->id)) {
    const auto place = space_.place(m.predecessor->id.str());
    if (place == start || space_.between(start, place, request.peer.place))
      return begin_lookup(
          {.aim = Aim::finger, .command = index, .target = start, .deadline = now_ + config_.lookup_timeout});
  }
  finger_is(index, request.peer);
  finger_busy_ = false;
  schedule_finger(finger_lost_.has_value());
}

/// Null: the lookup failed.
void Chord::finger_found(unsigned index, const ChordPeer* owner) {
  finger_busy_ = false;
  const bool was_known = fingers_.at(index) != nullptr;
  if (owner == nullptr) {
    finger_next_ = space_.bits();  // the next round tries again
    return schedule_finger(false);
  }
  ++counters_.fingers_set;
  if (*owner == self_) {
    fingers_.clear(std::max(index, first_finger()), space_.bits() - 1);
    finger_next_ = space_.bits();
  } else {
    finger_is(index, *owner);
  }
  schedule_finger(!was_known || finger_lost_.has_value());
}

/// It is all fingers that begin between finger `index` and itself, too.
void Chord::finger_is(unsigned index, const ChordPeer& peer) {
  if (index < first_finger()) return;
  const unsigned last = std::max(index, space_.distance(self_.place, peer.place).width() - 1);
  fingers_.set(index, last, peer);
  finger_next_ = last + 1;
}

}  // namespace cluster::proto
