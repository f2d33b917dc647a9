#include "cluster/proto/chord.hpp"

#include <algorithm>
#include <stdexcept>

namespace cluster::proto {
namespace {

constexpr Duration kSuspectTime = 10s;  // then a node that was silent may be tried again
constexpr std::size_t kSuspectsMax = 1024;
constexpr std::size_t kLostMax = 8;

Duration times_of(Duration base, double factor) noexcept {
  return std::chrono::round<Duration>(base * factor);
}

}  // namespace

Chord::Chord(ChordConfig config, Rng rng)
    : config_(std::move(config)), space_(config_.bits, config_.hash), rng_(rng) {
  if (config_.successors < 1 || config_.successors > kChordSuccessorsMax)
    throw std::invalid_argument("a successor list has 1 to 32 entries");
  if (config_.hops_max < 1 || config_.hops_max > kChordHopsMax)
    throw std::invalid_argument("a lookup takes 1 to 512 hops");
  self_ = peer_of(config_.self);
}

void Chord::begin(Instant now) noexcept { now_ = std::max(now_, now); }

ChordActions Chord::finish() {
  if (state_ == State::member) drop_dead_successors();
  dead_.clear();
  if (std::exchange(changed_, false)) out_.emplace_back(ChordChanged{});
  return std::exchange(out_, {});
}

Instant Chord::next_deadline() const noexcept {
  Instant due = timers_.empty() ? kNever : timers_.begin()->first;
  if (state_ == State::member) due = std::min({due, stabilize_at_, finger_at_, merge_at_});
  return due;
}

ChordActions Chord::create(Instant now) {
  begin(now);
  if (state_ == State::joining) end_join(Error(Errc::cancelled, "this node begins a ring of its own"));
  if (state_ == State::idle) become_member();
  return finish();
}

ChordActions Chord::form(Instant now, const Formed& formed) {
  begin(now);
  forget_all();
  become_member();
  predecessor_ = peer_of(formed.predecessor);
  successors_.clear();
  for (const auto& contact : formed.successors) successors_.push_back(peer_of(contact));
  fingers_ = formed.fingers;
  predecessor_heard_ = now_;
  // Nodes that begin together shall not all speak at once.
  stabilize_at_ = now_ + times_of(config_.stabilize_interval, rng_.uniform());
  finger_at_ = now_ + times_of(config_.fingers_interval, rng_.uniform());
  return finish();
}

ChordActions Chord::leave(Instant now) {
  begin(now);
  if (state_ == State::joining) end_join(Error(Errc::cancelled, "this node leaves"));
  if (state_ == State::member) {
    if (predecessor_) send(*predecessor_, ChordGone{});
    if (!successors_.empty() && !(predecessor_ && *predecessor_ == successors_.front()))
      send(successors_.front(), ChordGone{});
    forget_all();
  }
  return finish();
}

void Chord::forget_all() {
  while (!lookups_.empty())
    end_lookup(lookups_.begin()->first, Error(Errc::cancelled, "this node left the Chord ring"));
  state_ = State::idle;
  changed_ = true;
  predecessor_.reset();
  rectify_with_.reset();
  successors_.clear();
  fingers_ = {};
  requests_.clear();
  forwards_.clear();
  timers_.clear();
  suspects_.clear();
  lost_.clear();
  stabilizing_ = 0;
  stabilize_again_ = finger_busy_ = false;
  finger_lost_.reset();
  stabilize_at_ = finger_at_ = merge_at_ = kNever;
}

ChordActions Chord::on_message(Instant now, const NodeId& from, const ChordMessage& message) {
  begin(now);
  from_ = from;
  if (auto ok = check(message); !ok) {
    refuse(std::move(ok).error());
    return finish();
  }
  suspects_.erase(from);
  if (predecessor_ && predecessor_->id == from) predecessor_heard_ = now_;
  std::visit([this](const auto& m) { on(m); }, message);
  return finish();
}

ChordActions Chord::on_contact(Instant now, const ChordContact& contact) {
  begin(now);
  // One that cannot be reached there would be refused wherever it is told on.
  const bool has_endpoint = !contact.endpoint.host.empty() && contact.endpoint.port != 0;
  if (contact.id != self_.id && has_endpoint) relocate(contact);
  return finish();
}

ChordActions Chord::on_unanswered(Instant now, const NodeId& peer) {
  begin(now);
  if (state_ == State::member)
    if (const auto* known = neighbour(peer)) avoid(ChordPeer(*known));
  return finish();
}

ChordActions Chord::on_time(Instant now) {
  begin(now);
  std::erase_if(suspects_, [this](const auto& entry) { return entry.second <= now_; });
  // What went unanswered together is judged together: first all that are silent, then what follows from it.
  while (!timers_.empty() && timers_.begin()->first <= now_) {
    const auto number = timers_.begin()->second;
    if (const auto request = take(number))
      unanswered(*request, true);
    else
      lookup_due(number);
  }
  if (state_ != State::member) return finish();
  drop_dead_successors();
  if (stabilize_at_ <= now_) {
    const double spread = config_.jitter * (2 * rng_.uniform() - 1);
    stabilize_at_ = now_ + times_of(config_.stabilize_interval, 1 + spread);
    check_predecessor();
    stabilize();
  }
  if (finger_at_ <= now_) fix_next_finger();
  if (merge_at_ <= now_) look_for_lost();
  return finish();
}

// Requests

std::uint64_t Chord::book(Purpose purpose, const ChordPeer& peer, Duration timeout, std::uint64_t subject,
                          bool last) {
  const auto number = ++number_last_;
  const Instant due = now_ + timeout;
  requests_.emplace(number, Request{purpose, peer, subject, last, due});
  timers_.emplace(due, number);
  return number;
}

void Chord::ask(Purpose purpose, const ChordPeer& peer, std::uint64_t subject) {
  const auto timeout = purpose == Purpose::finger ? config_.hop_timeout : config_.request_timeout;
  const auto number = book(purpose, peer, timeout, subject);
  if (purpose == Purpose::stabilize) stabilizing_ = number;
  send(peer, ChordAsk{number, space_.code()});
}

std::optional<Chord::Request> Chord::take(std::uint64_t number) {
  const auto found = requests_.find(number);
  if (found == requests_.end()) return {};
  timers_.erase({found->second.due, number});
  auto request = std::move(found->second);
  requests_.erase(found);
  return request;
}

void Chord::unanswered(const Request& request, bool silent) {
  if (silent) ++counters_.unanswered;
  switch (request.purpose) {
    case Purpose::stabilize:
      stabilizing_ = 0;
      stabilize_again_ = true;
      bury(request.peer, silent);
      // The dead seldom come alone: those behind are asked now, not one after the other.
      for (std::size_t i = 1; i < successors_.size(); ++i)
        if (!dead_.contains(successors_[i].id)) ask(Purpose::verify, successors_[i]);
      break;
    case Purpose::adopt:
      bury(request.peer, silent);
      notify_successor();
      break;
    case Purpose::predecessor:
    case Purpose::verify:
      bury(request.peer, silent);
      break;
    case Purpose::finger:
      finger_busy_ = false;
      avoid(request.peer);
      fingers_.erase(request.peer.id);
      finger_lost_ = static_cast<unsigned>(request.subject);
      schedule_finger(true);
      break;
    case Purpose::join:
      bury(request.peer, silent);
      retry_join(request.subject);
      break;
    case Purpose::step: {
      avoid(request.peer);
      const auto found = lookups_.find(request.subject);
      if (found == lookups_.end()) break;
      ++found->second.answer.timeouts;
      step(found->first, found->second);
      break;
    }
    case Purpose::forward: {
      avoid(request.peer);
      auto node = forwards_.extract(request.subject);
      if (node.empty()) break;
      ++node.mapped().find.timeouts;
      pass_on(std::move(node.mapped()));
      break;
    }
  }
}

// Who is silent

const ChordPeer* Chord::neighbour(const NodeId& id) const {
  if (predecessor_ && predecessor_->id == id) return &*predecessor_;
  for (const auto& peer : successors_)
    if (peer.id == id) return &peer;
  for (const auto& run : fingers_.runs())
    if (run.peer.id == id) return &run.peer;
  return nullptr;
}

/// It is dead, as far as this node can know. Only what is found now counts for the ring: it may be back soon.
void Chord::bury(const ChordPeer& peer, bool silent) {
  const ChordPeer gone = peer;  // a copy: it may be in what is erased here
  if (suspects_.size() < kSuspectsMax) suspects_[gone.id] = now_ + kSuspectTime;
  dead_.insert(gone.id);
  ++counters_.buried;
  const bool near = (predecessor_ && *predecessor_ == gone) || std::ranges::count(successors_, gone) > 0;
  if (near && silent && lost_.size() < kLostMax &&
      std::ranges::none_of(lost_, [&](const Lost& lost) { return lost.contact.id == gone.id; })) {
    lost_.push_back({gone.contact(), 0});
    merge_at_ = std::min(merge_at_, now_ + config_.merge_interval);
  }
  if (const auto first = fingers_.erase(gone.id)) {
    finger_lost_ = std::min(finger_lost_.value_or(*first), *first);
    schedule_finger(true);
  }
  if (predecessor_ && *predecessor_ == gone) {
    auto next = std::exchange(rectify_with_, std::nullopt);
    set_predecessor(next && !dead_.contains(next->id) ? std::move(next) : std::nullopt);
  }
}

/// It did not answer in time on the way of a lookup, or its link was lost: others are tried first, and who
/// has it as a neighbour asks whether it is there.
void Chord::avoid(const ChordPeer& peer) {
  const ChordPeer silent = peer;
  if (is_suspect(silent.id) || suspects_.size() >= kSuspectsMax) return;
  suspects_[silent.id] = now_ + kSuspectTime;
  if (neighbour(silent.id) != nullptr) ask(Purpose::verify, silent);
}

ChordPeer Chord::peer_of(const ChordContact& contact) const {
  return {space_.place(contact.id.str()), contact.id, contact.endpoint};
}

void Chord::send(const ChordPeer& to, ChordMessage message) {
  out_.emplace_back(std::in_place_type<ChordSend>, ChordSend{to.id, to.endpoint, std::move(message)});
}

void Chord::answer(ChordMessage message) {
  out_.emplace_back(std::in_place_type<ChordSend>, ChordSend{from_, {}, std::move(message)});
}

void Chord::refuse(Error why) {
  ++counters_.refused;
  out_.emplace_back(ChordRefused{from_, std::move(why)});
}

// Messages

bool Chord::accepts(std::uint64_t request, std::uint16_t space) {
  if (state_ == State::member && space == space_.code()) return true;
  const auto reason =
      space == space_.code() ? ChordRefusalReason::not_member : ChordRefusalReason::other_space;
  answer(ChordRefusal{request, reason, space_.code()});
  return false;
}

void Chord::on(const ChordAsk& m) {
  if (!accepts(m.request, m.space)) return;
  ChordNeighbours neighbours{m.request, {}, {}};
  if (predecessor_) neighbours.predecessor = predecessor_->contact();
  neighbours.successors.reserve(successors_.size());
  for (const auto& peer : successors_) neighbours.successors.push_back(peer.contact());
  answer(std::move(neighbours));
}

void Chord::on(const ChordNeighbours& m) {
  const auto booked = requests_.find(m.request);
  if (booked == requests_.end() || booked->second.peer.id != from_) return;
  const auto request = *take(m.request);
  switch (request.purpose) {
    case Purpose::stabilize:
      stabilizing_ = 0;
      return stabilized(request.peer, m);
    case Purpose::adopt:
      return adopt(request.peer, m);
    case Purpose::finger:
      return finger_answered(request, m);
    case Purpose::join:
      return join_behind(request.subject, request.peer, m);
    case Purpose::predecessor:
      rectify_with_.reset();
      return;
    case Purpose::verify:
    case Purpose::step:
    case Purpose::forward:
      return;
  }
}

void Chord::on(const ChordNotify& m) {
  if (state_ != State::member) return;
  if (m.self.id != from_) return refuse(Error(Errc::bad_message, "a notification in another's name"));
  if (m.space != space_.code() || from_ == self_.id) return;
  relocate(m.self);
  rectify(peer_of(m.self));
}

void Chord::on(const ChordHint&) {
  if (state_ == State::member && !successors_.empty() && successors_.front().id == from_) stabilize();
}

void Chord::on(const ChordGone&) {
  if (state_ != State::member) return;
  if (const auto* known = neighbour(from_)) bury(*known, false);
}

void Chord::on(const ChordTaken& m) {
  const auto booked = requests_.find(m.request);
  if (booked == requests_.end() || booked->second.peer.id != from_) return;
  if (booked->second.purpose != Purpose::forward) return;
  const auto request = *take(m.request);
  forwards_.erase(request.subject);
}

void Chord::on(const ChordRefusal& m) {
  const auto booked = requests_.find(m.request);
  if (booked == requests_.end() || booked->second.peer.id != from_) return;
  const auto request = *take(m.request);
  const auto lookup = lookups_.find(request.subject);
  const bool of_lookup = request.purpose == Purpose::step && lookup != lookups_.end();
  if (of_lookup && lookup->second.aim == Aim::join && lookup->second.contact.id == from_) {
    const auto why = m.reason == ChordRefusalReason::not_member
                         ? Error(Errc::refused, "'" + from_.str() + "' is in no Chord ring")
                         : Error(Errc::incompatible, "the Chord ring of '" + from_.str() + "' has " +
                                                         ChordSpace::text(m.space) + ", this node " +
                                                         ChordSpace::text(space_.code()));
    return end_lookup(request.subject, why);
  }
  if (request.purpose == Purpose::step || request.purpose == Purpose::forward) bury(request.peer, false);
  unanswered(request, false);
}

}  // namespace cluster::proto
