// What keeps the ring: Zave's operations. Each takes the state of one other node as it was when that node
// answered, and replaces this node's successor list as a whole.
#include <algorithm>

#include "cluster/proto/chord.hpp"

namespace cluster::proto {
namespace {

constexpr Duration kJoinRetry = 300ms;
constexpr std::uint32_t kLostTriesMax = 60;

}  // namespace

void Chord::become_member() {
  state_ = State::member;
  changed_ = true;
  stabilize_at_ = now_;
  finger_at_ = now_;
  finger_next_ = 0;
  merge_at_ = kNever;
}

/// `first` and those behind it, as long as they lie in order and before this node: at most r.
std::vector<ChordPeer> Chord::list_behind(const ChordPeer& first, const ChordContacts& rest) const {
  std::vector<ChordPeer> list{first};
  for (const auto& contact : rest) {
    if (list.size() >= config_.successors || contact.id == self_.id) break;
    auto peer = peer_of(contact);
    if (!space_.between(list.back().place, peer.place, self_.place)) break;
    list.push_back(std::move(peer));
  }
  return list;
}

void Chord::set_successors(std::vector<ChordPeer> successors) {
  if (std::ranges::equal(successors, successors_, is_same_contact)) return;
  const bool other_first =
      successors.empty() || successors_.empty() || !is_same_contact(successors.front(), successors_.front());
  successors_ = std::move(successors);
  changed_ = true;
  if (predecessor_) send(*predecessor_, ChordHint{});
  if (!other_first || successors_.empty()) return;
  const auto& first = successors_.front();
  fingers_.set(0, space_.distance(self_.place, first.place).width() - 1, first);
}

void Chord::set_predecessor(std::optional<ChordPeer> predecessor) {
  if (predecessor && predecessor_ ? is_same_contact(*predecessor, *predecessor_)
                                  : !predecessor && !predecessor_)
    return;
  predecessor_ = std::move(predecessor);
  predecessor_heard_ = now_;
  rectify_with_.reset();
  changed_ = true;
}

/// A node that came back elsewhere within the time in which it is found dead keeps its places in the lists.
void Chord::relocate(const ChordContact& contact) {
  const auto moves = [&](const ChordPeer& peer) {
    return peer.id == contact.id && peer.endpoint != contact.endpoint;
  };
  if (predecessor_ && moves(*predecessor_)) {
    predecessor_->endpoint = contact.endpoint;
    changed_ = true;
  }
  if (rectify_with_ && moves(*rectify_with_)) rectify_with_->endpoint = contact.endpoint;
  fingers_.relocate(contact);
  for (auto& lost : lost_)
    if (lost.contact.id == contact.id) lost.contact.endpoint = contact.endpoint;
  for (auto& [number, request] : requests_)  // an answer to it may put the peer into a list
    if (moves(request.peer)) request.peer.endpoint = contact.endpoint;
  if (std::ranges::none_of(successors_, moves)) return;
  auto successors = successors_;
  for (auto& peer : successors)
    if (moves(peer)) peer.endpoint = contact.endpoint;
  set_successors(std::move(successors));
}

/// StabilizeFromSuccessor, first half: asks the successor.
void Chord::stabilize() {
  if (successors_.empty()) return;
  if (stabilizing_ != 0) {
    stabilize_again_ = true;
    return;
  }
  stabilize_again_ = false;
  ask(Purpose::stabilize, successors_.front());
}

/// StabilizeFromSuccessor, second half: its list is behind it, and its predecessor may be between.
void Chord::stabilized(const ChordPeer& successor, const ChordNeighbours& m) {
  if (successors_.empty() || !(successors_.front() == successor)) return stabilize();
  ++counters_.stabilized;
  set_successors(list_behind(successor, m.successors));
  if (m.predecessor && m.predecessor->id != self_.id) {
    const auto between = peer_of(*m.predecessor);
    if (space_.between(self_.place, between.place, successor.place))
      ask(Purpose::adopt, between);
    else
      notify_successor();
  } else if (!m.predecessor) {
    notify_successor();
  }
  if (stabilize_again_) stabilize();
}

/// StabilizeFromPredecessor: a node between this one and its successor is the successor now.
void Chord::adopt(const ChordPeer& successor, const ChordNeighbours& m) {
  const bool nearer =
      successors_.empty() || space_.between(self_.place, successor.place, successors_.front().place);
  if (nearer) {
    set_successors(list_behind(successor, m.successors));
    stabilize();  // there may be more between
  }
  notify_successor();
}

void Chord::notify_successor() {
  if (!successors_.empty()) send(successors_.front(), ChordNotify{space_.code(), config_.self});
}

/// Rectify: who notifies takes the predecessor's place if it is nearer, or if the predecessor is dead.
void Chord::rectify(const ChordPeer& candidate) {
  if (candidate.place == self_.place) return;
  if (successors_.empty()) set_successors({candidate});  // the second node of a ring
  if (!predecessor_ || space_.between(predecessor_->place, candidate.place, self_.place)) {
    if (predecessor_) send(*predecessor_, ChordHint{});  // it has a nearer successor now
    set_predecessor(candidate);
  } else if (!(candidate == *predecessor_)) {
    const bool asked = rectify_with_.has_value();
    rectify_with_ = candidate;
    if (!asked) ask(Purpose::predecessor, *predecessor_);
  }
}

/// A predecessor that stabilizes speaks once an interval; one that does not is asked.
void Chord::check_predecessor() {
  if (predecessor_ && now_ - predecessor_heard_ > config_.stabilize_interval * 3 / 2 && !rectify_with_)
    ask(Purpose::predecessor, *predecessor_);
}

void Chord::drop_dead_successors() {
  if (successors_.empty() || !dead_.contains(successors_.front().id)) {
    if (stabilize_again_) stabilize();
    return;
  }
  const auto alive =
      std::ranges::find_if(successors_, [this](const ChordPeer& peer) { return !dead_.contains(peer.id); });
  set_successors({alive, successors_.end()});
  if (successors_.empty()) take_any_successor();
  stabilize();
}

/// More died at once than the list can bridge. Whoever is nearest among those still known leads back to the
/// ring: stabilizing walks from it to the successor, predecessor by predecessor.
void Chord::take_any_successor() {
  ++counters_.cut_off;
  std::vector<ChordPeer> known;
  for (const auto& run : fingers_.runs()) known.push_back(run.peer);
  if (predecessor_) known.push_back(*predecessor_);
  std::erase_if(known, [this](const ChordPeer& peer) { return is_suspect(peer.id); });
  const auto distance = [this](const ChordPeer& peer) { return space_.distance(self_.place, peer.place); };
  const auto nearest = std::ranges::min_element(known, {}, distance);
  if (nearest != known.end()) set_successors({*nearest});
}

// Join

ChordActions Chord::join(Instant now, std::uint64_t command, const ChordContact& contact) {
  if (state_ == State::member) {
    auto actions = leave(now);
    auto more = join(now, command, contact);
    std::ranges::move(more, std::back_inserter(actions));
    return actions;
  }
  begin(now);
  if (state_ == State::joining) end_join(Error(Errc::cancelled, "another join began"));
  state_ = State::joining;
  join_command_ = command;
  Lookup lookup{.aim = Aim::join, .target = self_.place, .deadline = now_ + config_.join_timeout};
  lookup.contact = contact;
  lookup.ways = {{peer_of(contact), false}};
  begin_lookup(std::move(lookup));
  return finish();
}

/// The predecessor-to-be told its successors: this node's, if it still lies between it and the first of them.
void Chord::join_behind(std::uint64_t number, const ChordPeer& predecessor, const ChordNeighbours& m) {
  if (state_ != State::joining || !lookups_.contains(number)) return;
  const auto first = m.successors.empty() ? predecessor : peer_of(m.successors.front());
  if (first.place == self_.place && first.id != self_.id)
    return end_lookup(number,
                      Error(Errc::already_exists, "'" + first.id.str() + "' has the same identifier"));
  const bool between = predecessor.place == first.place
                           ? self_.place != first.place
                           : space_.between(predecessor.place, self_.place, first.place);
  if (!between) return retry_join(number);  // joined by others meanwhile, or an earlier life is not forgotten
  lookups_.erase(number);
  become_member();
  predecessor_ = predecessor;
  predecessor_heard_ = now_;
  const auto rest =
      m.successors.empty() ? ChordContacts{} : ChordContacts(m.successors.begin() + 1, m.successors.end());
  set_successors(list_behind(first, rest));
  end_join({});
}

void Chord::retry_join(std::uint64_t number) {
  const auto found = lookups_.find(number);
  if (found == lookups_.end()) return;
  auto& lookup = found->second;
  lookup.ways.clear();
  timers_.erase({lookup.timer, number});
  lookup.timer = std::min(lookup.deadline, now_ + kJoinRetry);
  timers_.emplace(lookup.timer, number);
}

void Chord::end_join(Result<void> result) {
  std::erase_if(lookups_, [this](const auto& entry) {
    if (entry.second.aim != Aim::join) return false;
    timers_.erase({entry.second.timer, entry.first});
    return true;
  });
  if (!result) state_ = State::idle;
  out_.emplace_back(std::in_place_type<ChordJoinDone>, ChordJoinDone{join_command_, std::move(result)});
}

// Neighbours that were lost may be cut off, not dead: then they are a ring of their own.

void Chord::look_for_lost() {
  std::erase_if(lost_, [](const Lost& lost) { return lost.tries >= kLostTriesMax; });
  merge_at_ = lost_.empty() ? kNever : now_ + config_.merge_interval;
  if (lost_.empty()) return;
  auto& lost = lost_[rng_.below(lost_.size())];
  ++lost.tries;
  look_through(lost.contact);
}

ChordActions Chord::meet(Instant now, const ChordContact& contact) {
  begin(now);
  if (state_ == State::member && contact.id != self_.id && lookups_.size() < kOpenMax) look_through(contact);
  return finish();
}

void Chord::look_through(const ChordContact& contact) {
  Lookup lookup{.aim = Aim::merge,
                .target = space_.add_power(self_.place, 0),
                .deadline = now_ + config_.lookup_timeout};
  lookup.contact = contact;
  lookup.ways = {{peer_of(contact), false}};
  begin_lookup(std::move(lookup));
}

/// `owner` is this node's successor as a lost one sees it.
void Chord::merged(const Lookup& lookup, const ChordPeer& owner) {
  std::erase_if(lost_, [&](const Lost& lost) { return lost.contact.id == lookup.contact.id; });
  if (owner == self_) return;
  if (successors_.empty() || space_.between(self_.place, owner.place, successors_.front().place))
    ask(Purpose::adopt, owner);
}

}  // namespace cluster::proto
