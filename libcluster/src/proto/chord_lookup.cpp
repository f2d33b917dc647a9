// The way to the node that owns a target: find_successor, iterative and recursive.
#include <algorithm>
#include <string>

#include "cluster/proto/chord.hpp"

namespace cluster::proto {
namespace {

constexpr std::size_t kCloserMax = 16;  // ways that an answer offers, so that silent nodes are passed by
constexpr std::size_t kWaysMax = 128;   // kept by a lookup

Error too_long() { return Error(Errc::unreachable, "the lookup took more hops than it may"); }

}  // namespace

bool Chord::owns(const ChordId& target) const {
  if (successors_.empty()) return true;
  return predecessor_ && !is_suspect(predecessor_->id) &&
         space_.between_or_end(predecessor_->place, target, self_.place);
}

/// A predecessor that the target belongs to rather than to this node.
const ChordPeer* Chord::better_owner(const ChordId& target) const {
  if (!predecessor_ || is_suspect(predecessor_->id)) return nullptr;
  return space_.between_or_end(predecessor_->place, target, self_.place) ? nullptr : &*predecessor_;
}

/// The nodes known here that precede the target, the closest first, and the successors from the target on.
/// Those that were silent lately are left out.
Chord::Ways Chord::ways_to(const ChordId& target) const {
  Ways ways;
  if (successors_.empty()) {
    ways.owners.push_back(&self_);
    return ways;
  }
  std::vector<const ChordPeer*> behind;  // successors that precede the target
  for (const auto& peer : successors_) {
    if (is_suspect(peer.id)) continue;
    const bool precedes = space_.between(self_.place, peer.place, target);
    (precedes ? behind : ways.owners).push_back(&peer);
  }
  auto& closer = ways.closer;
  for (const auto& run : fingers_.runs())
    if (space_.between(self_.place, run.peer.place, target) && !is_suspect(run.peer.id))
      closer.push_back(&run.peer);
  std::ranges::reverse(behind);
  if (config_.route_by_successors) {
    closer.insert(closer.end(), behind.begin(), behind.end());
    const auto distance = [this](const ChordPeer* peer) { return space_.distance(self_.place, peer->place); };
    std::ranges::sort(closer, std::ranges::greater{}, distance);
    const auto same = [](const ChordPeer* a, const ChordPeer* b) { return *a == *b; };
    closer.erase(std::unique(closer.begin(), closer.end(), same), closer.end());
  } else {
    std::ranges::reverse(closer);
    if (closer.size() > kCloserMax / 2) closer.resize(kCloserMax / 2);
    for (const auto* peer : behind)  // for when all of those fingers are dead
      if (std::ranges::none_of(closer, [&](const ChordPeer* finger) { return *finger == *peer; }))
        closer.push_back(peer);
  }
  if (closer.size() > kCloserMax) closer.resize(kCloserMax);
  // The target lies behind the whole list: who owns it is not known here.
  if (!closer.empty() && space_.between(self_.place, successors_.back().place, target)) ways.owners.clear();
  return ways;
}

/// As a stack: the best at the back.
std::vector<Chord::Candidate> Chord::candidates(const Ways& ways) const {
  std::vector<Candidate> stack;
  stack.reserve(ways.closer.size() + ways.owners.size());
  for (auto peer = ways.owners.rbegin(); peer != ways.owners.rend(); ++peer) stack.push_back({**peer, true});
  for (auto peer = ways.closer.rbegin(); peer != ways.closer.rend(); ++peer) stack.push_back({**peer, false});
  return stack;
}

ChordActions Chord::lookup(Instant now, std::uint64_t command, const ChordId& target, ChordMode mode) {
  begin(now);
  const auto fail = [&](Errc code, std::string text) {
    out_.emplace_back(std::in_place_type<ChordLookupDone>,
                      ChordLookupDone{command, Error(code, std::move(text))});
  };
  if (state_ != State::member)
    fail(Errc::refused, "this node is in no Chord ring");
  else if (!space_.contains(target))
    fail(Errc::invalid_argument, "an identifier of this ring has " + std::to_string(space_.bits()) + " bits");
  else if (lookups_.size() >= kOpenMax)
    fail(Errc::overloaded, "too many lookups are under way");
  else
    begin_lookup({.aim = Aim::command,
                  .command = command,
                  .target = target,
                  .mode = mode,
                  .deadline = now_ + config_.lookup_timeout});
  return finish();
}

void Chord::begin_lookup(Lookup lookup) {
  ++counters_.lookups;
  const auto number = ++number_last_;
  lookup.timer = lookup.deadline;
  auto& added = lookups_.emplace(number, std::move(lookup)).first->second;
  timers_.emplace(added.timer, number);
  if (!added.ways.empty()) return step(number, added);
  if (owns(added.target)) return end_lookup(number, self_);
  if (added.mode == ChordMode::recursive) return attempt(number, added);
  added.ways = candidates(ways_to(added.target));
  step(number, added);
}

// Iterative: this node asks one node after the other.

void Chord::step(std::uint64_t number, Lookup& lookup) {
  while (!lookup.ways.empty()) {
    const Candidate next = std::move(lookup.ways.back());
    lookup.ways.pop_back();
    if (next.peer == self_) {
      if (state_ == State::member && next.last) return end_lookup(number, self_);
      continue;
    }
    if (is_suspect(next.peer.id)) continue;
    if (++lookup.asked > 2u * config_.hops_max) return end_lookup(number, too_long());
    if (lookup.aim == Aim::join && next.last) break;  // who should be its predecessor is silent: not now
    const auto request = book(Purpose::step, next.peer, config_.hop_timeout, number, next.last);
    return send(next.peer, ChordStep{request, space_.code(), lookup.target, next.last});
  }
  if (lookup.aim == Aim::join) return retry_join(number);
  if (lookup.accepted) return end_lookup(number, ChordPeer(*lookup.accepted));
  end_lookup(number, Error(Errc::unreachable, "no node on the way answers"));
}

void Chord::on(const ChordStep& m) {
  if (!accepts(m.request, m.space)) return;
  if (!space_.contains(m.target)) return refuse(Error(Errc::bad_message, "a target out of bounds"));
  ++counters_.steps;
  ChordNext next{m.request, m.last, {}, {}};
  if (m.last) {
    if (const auto* better = better_owner(m.target)) next.closer.push_back(better->contact());
  } else {
    const auto ways = ways_to(m.target);
    for (const auto* peer : ways.closer) next.closer.push_back(peer->contact());
    for (const auto* peer : ways.owners) next.owners.push_back(peer->contact());
  }
  answer(std::move(next));
}

void Chord::on(const ChordNext& m) {
  const auto booked = requests_.find(m.request);
  if (booked == requests_.end() || booked->second.peer.id != from_) return;
  if (booked->second.purpose == Purpose::step) stepped(*take(m.request), m);
}

void Chord::stepped(const Request& request, const ChordNext& m) {
  const auto found = lookups_.find(request.subject);
  if (found == lookups_.end()) return;
  auto& [number, lookup] = *found;
  if (request.last) {
    lookup.accepted = request.peer;
    if (m.closer.empty()) return end_lookup(number, request.peer);
    lookup.ways = {{peer_of(m.closer.front()), true}};  // if that is silent, what was accepted stays
    return step(number, lookup);
  }
  ++lookup.answer.hops;
  lookup.answer.path.push_back(from_);
  if (lookup.aim == Aim::join && m.closer.empty() && !m.owners.empty())
    return ask(Purpose::join, request.peer, number);
  auto& ways = lookup.ways;
  for (auto contact = m.owners.rbegin(); contact != m.owners.rend(); ++contact)
    ways.push_back({peer_of(*contact), true});
  for (auto contact = m.closer.rbegin(); contact != m.closer.rend(); ++contact) {
    auto peer = peer_of(*contact);
    if (space_.between(request.peer.place, peer.place, lookup.target))
      ways.push_back({std::move(peer), false});
  }
  if (ways.size() > kWaysMax) ways.erase(ways.begin(), ways.end() - kWaysMax);
  step(number, lookup);
}

// Recursive: each node hands the lookup on, and the owner answers the asker.

void Chord::attempt(std::uint64_t number, Lookup& lookup) {
  timers_.erase({lookup.timer, number});
  lookup.timer = std::min(lookup.deadline, now_ + config_.attempt_timeout);
  timers_.emplace(lookup.timer, number);
  Forward forward;
  forward.find = {.space = space_.code(), .asker = config_.self, .lookup = number, .target = lookup.target};
  forward.ways = candidates(ways_to(lookup.target));
  pass_on(std::move(forward));
}

void Chord::pass_on(Forward forward) {
  while (!forward.ways.empty()) {
    const Candidate next = std::move(forward.ways.back());
    forward.ways.pop_back();
    if (is_suspect(next.peer.id) || next.peer == self_) continue;
    ChordFind find = forward.find;
    if (find.hops >= config_.hops_max || find.path.size() >= kChordHopsMax) return;
    find.last = next.last;
    if (!next.last) ++find.hops;
    find.path.push_back(next.peer.id);
    const auto subject = ++number_last_;
    find.request = book(Purpose::forward, next.peer, config_.hop_timeout, subject);
    forwards_.emplace(subject, std::move(forward));
    return send(next.peer, std::move(find));
  }
  if (forward.mine_otherwise) found(forward.find);
  // Else nobody takes it: the asker tries again.
}

void Chord::on(const ChordFind& m) {
  if (!accepts(m.request, m.space)) return;
  if (!space_.contains(m.target)) return refuse(Error(Errc::bad_message, "a target out of bounds"));
  if (forwards_.size() >= kOpenMax) return;  // another way is tried
  answer(ChordTaken{m.request});
  ++counters_.forwarded;
  Forward forward{m, {}, m.last};
  if (!m.last)
    forward.ways = candidates(ways_to(m.target));
  else if (const auto* better = better_owner(m.target))
    forward.ways = {{*better, true}};
  pass_on(std::move(forward));
}

void Chord::found(const ChordFind& find) {
  if (find.asker.id == self_.id) {
    const auto lookup = lookups_.find(find.lookup);
    if (lookup != lookups_.end()) end_lookup(lookup->first, self_);
    return;
  }
  send(peer_of(find.asker), ChordFound{find.lookup, config_.self, find.hops, find.timeouts, find.path});
}

void Chord::on(const ChordFound& m) {
  const auto lookup = lookups_.find(m.lookup);
  if (lookup == lookups_.end() || lookup->second.mode != ChordMode::recursive) return;
  if (m.owner.id != from_) return refuse(Error(Errc::bad_message, "a lookup answered in another's name"));
  auto& answer = lookup->second.answer;
  answer.hops = m.hops;
  answer.timeouts = static_cast<std::uint16_t>(answer.timeouts + m.timeouts);
  answer.path = m.path;
  end_lookup(m.lookup, peer_of(m.owner));
}

// The end

void Chord::lookup_due(std::uint64_t number) {
  const auto found = lookups_.find(number);
  if (found == lookups_.end()) {
    timers_.erase(timers_.begin());
    return;
  }
  auto& lookup = found->second;
  timers_.erase({lookup.timer, number});
  if (now_ >= lookup.deadline) {
    const auto why = lookup.aim == Aim::join && lookup.answer.hops == 0
                         ? "'" + lookup.contact.id.str() + "' does not answer: it may run no Chord"
                         : std::string("no answer within the time of a lookup");
    return end_lookup(number, Error(Errc::timeout, why));
  }
  if (lookup.aim == Aim::join) {
    lookup.timer = lookup.deadline;
    timers_.emplace(lookup.timer, number);
    suspects_.clear();
    lookup.ways = {{peer_of(lookup.contact), false}};
    return step(number, lookup);
  }
  ++lookup.answer.timeouts;
  attempt(number, lookup);
}

void Chord::end_lookup(std::uint64_t number, Result<ChordPeer> owner) {
  auto node = lookups_.extract(number);
  auto& lookup = node.mapped();
  timers_.erase({lookup.timer, number});
  if (!owner) ++counters_.lookups_failed;
  switch (lookup.aim) {
    case Aim::finger:
      return finger_found(static_cast<unsigned>(lookup.command), owner ? &*owner : nullptr);
    case Aim::merge:
      if (owner) merged(lookup, *owner);
      return;
    case Aim::join:
      return end_join(owner ? Result<void>() : Result<void>(owner.error()));
    case Aim::command:
      break;
  }
  ChordLookupDone done{lookup.command, Error(Errc::internal, "")};
  if (owner) {
    auto& answer = lookup.answer;
    answer.owner = owner->contact();
    if (answer.path.empty() || answer.path.back() != owner->id) answer.path.push_back(owner->id);
    done.answer = std::move(answer);
  } else {
    done.answer = std::move(owner).error();
  }
  out_.emplace_back(std::in_place_type<ChordLookupDone>, std::move(done));
}

}  // namespace cluster::proto
