#include "cluster/proto/gossip.hpp"

#include <algorithm>
#include <bit>
#include <iterator>

namespace cluster::proto {

namespace {

constexpr std::size_t kPeersListed = 16;  // up to here a list is cheaper than draws
constexpr std::size_t kDrawsEach = 16;
/// Where not all have links: in so many periods one round goes to any member, should the links kept fall
/// apart.
constexpr int kPeriodsAmongLinks = 32;
/// Of the members that a node with too few links dials at once, four times a second at first: one in so many,
/// within bounds.
constexpr std::size_t kSoughtShare = 64;
constexpr std::size_t kSoughtMin = 3;
constexpr std::size_t kSoughtMax = 16;

}  // namespace

std::uint8_t push_rounds(std::size_t members) noexcept {
  const auto rounds = std::bit_width(std::max<std::size_t>(members, 2) - 1);
  return static_cast<std::uint8_t>(std::min<int>(static_cast<int>(rounds), RingUpdate::kRoundsMax));
}

Gossip::Gossip(GossipConfig config, Rng rng, Moment at)
    : config_(std::move(config)), rng_(rng), ring_(config_.ring), state_(config_.self, at.wall), at_(at) {
  start_rounds();
}

Gossip::Gossip(GossipConfig config, Rng rng, Moment at, SavedRing saved)
    : config_(std::move(config)),
      rng_(rng),
      ring_(std::move(saved.ring)),
      state_(saved.state, config_.self, at.wall),
      at_(at),
      weight_(std::move(saved.weight)),
      departed_(saved.departed.begin(), saved.departed.end()) {
  if (ring_.empty() && !has_departed(config_.ring)) ring_ = config_.ring;
  start_rounds();
}

Gossip::Gossip(GossipConfig config, Rng rng, Moment at, Formed formed)
    : config_(std::move(config)),
      rng_(rng),
      ring_(config_.ring),
      state_(std::move(formed.state)),
      at_(at),
      pushed_(state_.issued()),
      links_(state_.present_count(), config_.mesh_max) {
  start_rounds();
  interval_ = std::max(config_.period, config_.period_max);  // at rest, and not all at the same time
  next_round_ = at_.now + Duration(rng_.between(0, interval_.count()));
}

Actions Gossip::on_start(Moment at) {
  begin(at);
  for (const auto& member : state_.members()) note_changed(member.id, false);
  return finish();
}

Actions Gossip::on_message(Moment at, const NodeId& from, const GossipMessage& message) {
  begin(at);
  from_ = from;
  if (from.empty() || from == self())
    refuse(Error(Errc::invalid_argument, "a message from this node to itself"));
  else if (auto ok = check(message); !ok)
    refuse(std::move(ok).error());
  else
    std::visit([this](const auto& m) { on(m); }, message);
  return finish();
}

Actions Gossip::on_command(Moment at, std::uint64_t command, const RingCommand& what) {
  begin(at);
  std::visit([&](const auto& c) { run(command, c); }, what);
  return finish();
}

Actions Gossip::on_peer_up(Moment at, const NodeId& peer) {
  begin(at);
  const auto at_peer = std::ranges::lower_bound(up_, peer);
  if (at_peer == up_.end() || *at_peer != peer) up_.insert(at_peer, peer);
  count_links();
  if (!ring_.empty() && state_.present(peer) && peer != self()) send_digest(peer);
  return finish();
}

Actions Gossip::on_peer_down(Moment at, const NodeId& peer) {
  begin(at);
  const auto at_peer = std::ranges::lower_bound(up_, peer);
  if (at_peer != up_.end() && *at_peer == peer) up_.erase(at_peer);
  count_links();
  for (auto& [command, meet] : meets_)
    if (meet.peer == peer) meet.peer.reset();  // no member perhaps, so nobody else dials it
  return finish();
}

Actions Gossip::on_time(Moment at) {
  begin(at);
  if (at.now >= next_round_) {
    if (!ring_.empty()) {
      if (state_.record_count() > state_.present_count()) state_.collect(at.wall);
      if (state_.keep_self(at.wall)) event(DuplicateId{self()});
      const std::size_t each =
          interval_ < config_.period ? 2 : 1;  // of those who hear of news, some are missed
      const bool to_any = !links_.keeps_all() && at.now >= next_to_any_;
      if (to_any) next_to_any_ = at.now + kPeriodsAmongLinks * config_.period;
      for (const auto& peer : to_any ? draw_peers(1, {}, false) : random_peers(each)) send_digest(peer);
    }
    schedule_round(std::min(2 * interval_, std::max(config_.period, config_.period_max)));
  }
  if (search_ && at.now >= search_->next) seek_links();
  std::vector<std::uint64_t> late;
  for (auto& [command, meet] : meets_) {
    if (at.now >= meet.deadline)
      late.push_back(command);
    else if (at.now >= meet.next_attempt)
      ask_to_meet(command, meet);
  }
  for (const auto command : late) {
    const auto& meet = meets_.at(command);
    end_meet(command, Error(meet.last.code(), "Node at " + meet.command.endpoint.to_string() +
                                                  " did not meet: " + meet.last.message()));
  }
  if (drains_until_ && at.now >= *drains_until_) drains_until_.reset();
  if (leave_) {
    if (at.now >= leave_->deadline)
      end_leave(false);
    else if (at.now >= leave_->next_attempt)
      tell_of_leave();
  }
  return finish();
}

SavedRing Gossip::saved() const {
  return {self(), state_.boot().number, ring_, state_.image(), {departed_.begin(), departed_.end()}, weight_};
}

Instant Gossip::next_deadline() const noexcept {
  auto next = search_ ? std::min(next_round_, search_->next) : next_round_;
  for (const auto& [command, meet] : meets_) next = std::min({next, meet.deadline, meet.next_attempt});
  if (leave_) next = std::min({next, leave_->deadline, leave_->next_attempt});
  if (drains_until_) next = std::min(next, *drains_until_);
  return next;
}

// --- edits ---

std::optional<Error> Gossip::not_now() const {
  if (ring_.empty()) return Error(Errc::wrong_ring, "Node '" + self().str() + "' belongs to no ring");
  if (leave_) return Error(Errc::stopped, "Node '" + self().str() + "' is leaving ring '" + ring_ + "'");
  return {};
}

/// Of an edit.
std::optional<Error> Gossip::not_now(bool force) const {
  if (auto error = not_now()) return error;
  if (auto error = clock_ahead(force)) return error;
  return force ? std::nullopt : no_quorum("wait for the others, ask one of them, or force it (-f)");
}

/// Whether others would take edits by this node's clock.
Result<void> Gossip::check_clock() const {
  const auto ahead = clocks_.ahead_of_all(at_);
  if (ahead <= kAheadMax) return state_.check_clock(at_.wall);
  return Error(Errc::refused,
               "The clock of node '" + self().str() + "' is " +
                   std::to_string(std::chrono::duration_cast<std::chrono::minutes>(ahead).count()) +
                   " min ahead of those of all others that it heard of: they do not take what it edits");
}

std::optional<Error> Gossip::clock_ahead(bool force) const {
  auto ok = check_clock();
  if (ok || force) return {};
  return Error(ok.error().code(), ok.error().message() + " (-f does it all the same)");
}

std::optional<Error> Gossip::no_quorum(std::string_view advice) const {
  if (quorum_.may_edit()) return {};
  return Error(Errc::no_quorum,
               "only " + std::to_string(quorum_.here) + " of the " + std::to_string(quorum_.members) +
                   " members of ring '" + ring_ + "' are on the side of '" + self().str() +
                   "', which by its partition policy must not change the ring: " + std::string(advice));
}

Result<void> Gossip::has_room(std::size_t newcomers, std::uint64_t added_weight) const {
  if (state_.present_count() + newcomers > RingState::kMembersMax)
    return Error(Errc::too_large,
                 "a ring has at most " + std::to_string(RingState::kMembersMax) + " members");
  const auto weight = state_.weight() + added_weight;
  if (weight <= RingState::kPointsMax) return {};
  return Error(Errc::too_large, "the weights of all members would come to " + std::to_string(weight) +
                                    ": a ring has room for " + std::to_string(RingState::kPointsMax));
}

void Gossip::run(std::uint64_t command, const InsertCommand& what) {
  if (auto error = not_now(what.force)) return done(command, *error);
  std::size_t newcomers = 0;
  std::uint64_t added_weight = 0;
  for (const auto& member : what.members) {  // all or none: first look at each
    if (member.id.empty()) return done(command, Error(Errc::invalid_argument, "a member without id"));
    if (auto ok = check_endpoint(member.endpoint); !ok) return done(command, std::move(ok));
    const auto weight = member.weight.value_or(config_.self.weight);
    if (auto ok = check_weight(weight); !ok) return done(command, std::move(ok));
    if (state_.present(member.id)) continue;
    ++newcomers;
    added_weight += weight;
  }
  if (auto ok = has_room(newcomers, added_weight); !ok) return done(command, std::move(ok));
  for (const auto& member : what.members) {
    const auto added =
        state_.insert(member.id, member.endpoint, member.weight.value_or(config_.self.weight), at_.wall);
    if (!added) return done(command, added.error());
    if (*added > 0) note_changed(member.id, what.force);
  }
  force_ = what.force;
  done(command, {});
}

void Gossip::run(std::uint64_t command, const UpdateCommand& what) {
  if (auto error = not_now(what.force)) return done(command, *error);
  if (what.weight) {
    if (auto ok = check_weight(*what.weight); !ok) return done(command, std::move(ok));
    const auto* held = state_.find(what.id);
    const auto now = held != nullptr ? held->weight.value : 0;
    if (*what.weight > now)
      if (auto ok = has_room(0, *what.weight - now); !ok) return done(command, std::move(ok));
  }
  const auto changed = state_.update(what.id, what.endpoint, what.weight, at_.wall);
  if (!changed) return done(command, changed.error());
  if (*changed > 0) note_changed(what.id, what.force);
  force_ = what.force;
  done(command, {});
}

void Gossip::run(std::uint64_t command, const RemoveCommand& what) {
  if (auto error = not_now(what.force)) return done(command, *error);
  if (std::ranges::find(what.ids, self()) != what.ids.end())
    return done(command,
                Error(Errc::invalid_argument, "Node '" + self().str() + "' cannot remove itself: use leave"));
  for (const auto& id : what.ids) {
    if (state_.remove(id, at_.wall) == 0) continue;
    note_changed(id, what.force);
    send(id, RingUpdate{ring_, state_.statement(id), 0, what.force});  // it shall know, too
  }
  force_ = what.force;
  done(command, {});
}

void Gossip::run(std::uint64_t command, const DrainCommand& what) {
  if (auto error = not_now()) return done(command, *error);
  if (what.time > Duration::zero())
    if (auto ok = check_clock(); !ok) return done(command, std::move(ok));
  drains_until_.reset();
  if (what.time > Duration::zero()) drains_until_ = saturated_add(at_.now, what.time);
  done(command, {});
}

// --- what every input ends with ---

void Gossip::begin(Moment at) {
  at.now = std::max(at.now, at_.now);
  at_ = at;
  from_ = {};
  force_ = false;
}

Actions Gossip::finish() {
  if (!ring_.empty()) heed_own_presence();
  if (!ring_.empty()) heed_own_weight();
  push_own_edits();
  settle_connections();
  if (state_.version() != version_heeded_) {
    version_heeded_ = state_.version();
    hurry_rounds();
  }
  return std::exchange(out_, {});
}

/// Whether this node is a member is for others to decide, too.
void Gossip::heed_own_presence() {
  const auto& own = state_.find(self())->presence;
  if (own.removed && !leave_) {
    begin_leave({}, own.editor);
  } else if (!own.removed && leave_ && !leave_->command) {
    leave_.reset();  // removed, and inserted again before it was out
  } else if (!own.removed && leave_ && leave_->command) {
    state_.remove(self(), at_.wall);  // inserted by somebody who did not know that it leaves
    begin_leave(leave_->command, {});
  }
}

/// It is 0 while this node drains, and then only: one found otherwise was left by an earlier process of it.
/// An edit that others would not take waits until the clock is right: their rings and this one stay the same.
void Gossip::heed_own_weight() {
  const auto& own = *state_.find(self());
  if (own.presence.removed) return;
  if (own.weight.value != 0) weight_ = own.weight;
  const auto wanted = drains_until_ ? 0 : weight_ ? weight_->value : config_.self.weight;
  if (own.weight.value == wanted || !check_clock()) return;
  static_cast<void>(state_.update(self(), {}, wanted, at_.wall));
  note_changed(self(), false);
}

void Gossip::push_own_edits() {
  const auto issued = state_.issued();
  if (issued <= pushed_) return;
  if (!ring_.empty())
    for (const auto& delta : state_.own_edits_since(pushed_))
      push(delta, push_rounds(state_.present_count()));
  pushed_ = issued;
}

/// `rounds` counts this one.
void Gossip::push(const RingDelta& delta, std::uint8_t rounds) {
  if (rounds == 0) return;
  for (const auto& peer : random_peers(config_.fanout, from_))
    send(peer, RingUpdate{ring_, delta, static_cast<std::uint8_t>(rounds - 1), force_});
}

void Gossip::note_changed(const NodeId& member, bool force) {
  auto& forced = changed_[member];
  forced = forced || force;
}

void Gossip::settle_connections() {
  if (changed_.empty()) return;
  plan_links();
  bool same_members = true;
  std::vector<NodeId> ids;
  for (const auto& [id, force] : changed_) {
    ids.push_back(id);
    if (id == self()) continue;
    const auto told = connected_.find(id);
    same_members = same_members && told != connected_.end() && state_.present(id);
    if (ring_.empty() || !state_.present(id)) {
      if (told == connected_.end()) continue;
      connected_.erase(told);
      out_.emplace_back(std::in_place_type<Disconnect>, Disconnect{id, force});
    } else if (const Told now{state_.find(id)->endpoint.value, links_.keeps(self(), id)};
               told == connected_.end() || told->second != now) {
      connected_.insert_or_assign(id, now);
      out_.emplace_back(std::in_place_type<Connect>, Connect{id, now.endpoint, force, now.standing});
    }
  }
  changed_.clear();
  if (!same_members) count_links();
  event(RingChanged{std::move(ids)});
}

/// A ring of another size may keep other links, to members that did not change, too.
void Gossip::plan_links() {
  const LinkPlan plan(state_.present_count(), config_.mesh_max);
  if (plan == links_) return;
  links_ = plan;
  for (auto& [id, told] : connected_) {
    if (told.standing == links_.keeps(self(), id) || changed_.contains(id)) continue;
    told.standing = !told.standing;
    out_.emplace_back(std::in_place_type<Connect>, Connect{id, told.endpoint, false, told.standing});
  }
}

/// Of a ring that crashed, a few members may come back first, and their standing links all lead to others. A
/// node that has just started is given a period for those.
void Gossip::count_links() {
  if (ring_.empty() || links_.keeps_all()) return search_.reset();
  const auto linked = std::ranges::count_if(up_, [this](const NodeId& id) { return state_.present(id); });
  if (static_cast<std::size_t>(linked) >= links_enough(state_.present_count())) return search_.reset();
  if (search_) return;
  search_ =
      Search{.next = at_.now + config_.period, .interval = std::min(config_.period_min, config_.period)};
}

/// A digest opens a link. Once it has asked about as many as there are, the node asks ever less often: those
/// that start later look for it.
void Gossip::seek_links() {
  const auto count = std::clamp(state_.present_count() / kSoughtShare, kSoughtMin, kSoughtMax);
  for (const auto& peer : draw_peers(count, {}, false))
    if (!std::ranges::binary_search(up_, peer)) send_digest(peer);
  search_->asked += count;
  if (search_->asked >= state_.present_count()) {
    search_->interval = std::min(2 * search_->interval, std::max(config_.period, config_.period_max));
    search_->asked = 0;
  }
  search_->next = at_.now + search_->interval;
}

void Gossip::start_rounds() {
  schedule_round(config_.period);
  next_to_any_ = at_.now + kPeriodsAmongLinks * config_.period;
  version_heeded_ = state_.version();
}

void Gossip::schedule_round(Duration interval) {
  interval_ = interval;
  const auto spread = static_cast<std::int64_t>(static_cast<double>(interval.count()) * config_.jitter);
  next_round_ = at_.now + interval + Duration(rng_.between(-spread, spread));
}

/// Something is new, or differs elsewhere.
void Gossip::hurry_rounds() {
  const auto least = std::min(config_.period_min, config_.period);
  if (interval_ <= least) return;
  const auto due = next_round_;
  schedule_round(least);
  next_round_ = std::min(next_round_, due);
}

/// Other present members, no one twice: those with a link, or all if there are none. Members that nobody can
/// reach take nothing from the others' share.
std::vector<NodeId> Gossip::random_peers(std::size_t count, const NodeId& but) {
  auto peers = draw_peers(count, but, true);
  return peers.empty() ? draw_peers(count, but, false) : peers;
}

/// In a ring of thousands a few draws do; where few peers fit, all are listed.
std::vector<NodeId> Gossip::draw_peers(std::size_t count, const NodeId& but, bool linked) {
  std::vector<NodeId> peers;
  const auto fits = [&](const NodeId& id) { return id != self() && id != but && state_.present(id); };
  const auto population = linked ? up_.size() : state_.present_count();
  if (population > kPeersListed) {
    for (auto draws = kDrawsEach * count; draws > 0 && peers.size() < count; --draws) {
      const auto& id =
          linked ? up_[static_cast<std::size_t>(rng_.below(population))] : state_.random_member(rng_);
      if (fits(id) && std::ranges::find(peers, id) == peers.end()) peers.push_back(id);
    }
    if (peers.size() == count) return peers;
    peers.clear();
  }
  if (linked)
    std::ranges::copy_if(up_, std::back_inserter(peers), fits);
  else
    for (const auto& member : state_.members())
      if (fits(member.id)) peers.push_back(member.id);
  const auto drawn = std::min(count, peers.size());
  for (std::size_t i = 0; i < drawn; ++i)
    std::swap(peers[i], peers[i + static_cast<std::size_t>(rng_.below(peers.size() - i))]);
  peers.resize(drawn);
  return peers;
}

void Gossip::refuse(Error why) {
  ++counters_.refused;
  event(MessageRefused{from_, std::move(why)});
}

}  // namespace cluster::proto
