#include "cluster/proto/detector.hpp"

#include <algorithm>
#include <stdexcept>

#include "cluster/base/assert.hpp"

namespace cluster::proto {
namespace {

constexpr std::size_t kLeftMax = 256;

}  // namespace

Detector::Detector(DetectorConfig config, Rng rng) : config_(std::move(config)), rng_(rng) {
  if (config_.self.empty() || config_.probe_interval <= Duration::zero() ||
      config_.gossip_interval <= Duration::zero() || config_.claims_per_message == 0 ||
      config_.claims_per_message > kSwimClaimsMax)
    throw std::invalid_argument("a failure detector that cannot work");
}

DetectorActions Detector::on_start(Instant now) {
  now_ = now;
  gossip_at_ = now;
  remind_at_ = now + config_.remind_interval;
  // Nodes started together do not probe together.
  period_ends_ = now + Duration(rng_.between(0, config_.probe_interval.count()));
  return finish();
}

DetectorActions Detector::on_message(Moment at, const NodeId& from, const DetectorMessage& message) {
  begin(at.now);
  wall_ = at.wall;
  from_ = from;
  if (from.empty() || from == self()) {
    refuse(Error(Errc::invalid_argument, "a message from this node to itself"));
    return finish();
  }
  if (auto ok = check(message); !ok) {
    refuse(std::move(ok).error());
    return finish();
  }
  std::visit(
      [this](const auto& m) {
        for (const auto& claim : m.claims) hear(claim);
        on(m);
      },
      message);
  // Whoever speaks is there, whatever is held of it: tell it, so that it objects (Lifeguard IV-C). Not each
  // time: two nodes that hold each other for dead would have no end of telling.
  if (auto* member = find(from); member != nullptr && !config_.plain_swim && out_.empty() &&
                                 member->state > MemberState::alive &&
                                 member->state <= MemberState::stopped && now_ >= member->tell_next) {
    member->tell_next = now_ + config_.gossip_interval;
    tell(from, member->held);
  }
  if (!answers_.empty()) send(from, SwimGossip{std::exchange(answers_, {})});
  return finish();
}

DetectorActions Detector::on_members(Instant now, std::span<const NodeId> members) {
  begin(now);
  CLUSTER_ASSERT(std::ranges::is_sorted(members));
  links_ = LinkPlan(members.size(), config_.mesh_max);
  auto known = members_.begin();
  const auto leave_until = [&](const NodeId* id) {
    for (; known != members_.end() && (id == nullptr || known->first < *id); ++known) {
      if (known->second.state == MemberState::left) continue;
      suspicions_.erase(known->first);
      relinks_.erase(known->first);
      rumors_.forget(known->first);
      set_state(*known, MemberState::left);
    }
  };
  for (const auto& id : members) {
    if (id == self()) continue;
    leave_until(&id);
    if (known == members_.end() || known->first != id) {
      known = members_.emplace_hint(known, id, Member{.since = now_});
      ++count_[static_cast<std::size_t>(MemberState::unknown)];
    } else if (known->second.state == MemberState::left) {
      set_state(*known, MemberState::unknown);
    }
    auto& entry = *known++;
    if (entry.second.state != MemberState::unknown) continue;
    entry.second.held = {};
    if (const auto up = up_.find(id); up != up_.end())
      accept(entry, {id, up->second, 0, MemberState::alive, self()});
  }
  leave_until(nullptr);
  drop_oldest_left();
  return finish();
}

void Detector::assume_alive(Instant now, std::span<const std::pair<NodeId, Boot>> members) {
  begin(now);
  links_ = LinkPlan(members.size(), config_.mesh_max);
  for (const auto& [id, boot] : members) {
    if (id == self()) continue;
    const auto [entry, added] = members_.emplace(id, Member{.held = {id, boot, 0, MemberState::alive, self()},
                                                            .state = MemberState::alive,
                                                            .since = now_});
    if (!added) continue;
    ++count_[static_cast<std::size_t>(MemberState::alive)];
    enter_round(id, entry->second);
  }
}

DetectorActions Detector::on_peer_up(Instant now, const NodeId& peer, Boot boot) {
  begin(now);
  if (peer == self()) return finish();
  if (boot.number > kBootMax) {
    from_ = peer;
    refuse(Error(Errc::bad_message, "a connection of a process with a boot out of bounds"));
    return finish();
  }
  up_.insert_or_assign(peer, boot);
  relinks_.erase(peer);
  if (const auto found = members_.find(peer);
      found != members_.end() && found->second.state != MemberState::left) {
    if (found->second.state == MemberState::unknown || found->second.held.boot < boot)
      accept(*found, {peer, boot, 0, MemberState::alive, self()});
    else if (found->second.state != MemberState::alive)
      tell(peer, found->second.held);
  }
  return finish();
}

DetectorActions Detector::on_peer_down(Instant now, const NodeId& peer, PeerEnd end) {
  begin(now);
  up_.erase(peer);
  const auto found = members_.find(peer);
  if (found == members_.end() || found->second.state > MemberState::unreachable) return finish();
  if (end == PeerEnd::goodbye) {
    auto claim = found->second.held;
    claim.state = MemberState::stopped;
    claim.by = self();
    accept(*found, claim);
  } else if (end == PeerEnd::lost && found->second.state != MemberState::unreachable) {
    relinks_.insert_or_assign(peer, now_ + config_.relink_timeout);
  }
  return finish();
}

DetectorActions Detector::on_time(Instant now) {
  begin(now);
  if (probe_ && now_ >= probe_->ask_others_at) ask_others();
  if (now_ >= period_ends_) {
    end_probe();
    begin_period();
  }
  if (now_ >= remind_at_) remind_one();
  end_relays();
  end_relinks();
  end_suspicions();
  if (now_ >= gossip_at_ && !rumors_.empty()) gossip();
  return finish();
}

std::vector<MemberHealth> Detector::members() const {
  std::vector<MemberHealth> all;
  all.reserve(members_.size());
  for (const auto& [id, member] : members_)
    all.push_back(
        {id, member.state, member.held.boot, member.held.incarnation, member.held.by, member.since});
  return all;
}

MemberState Detector::state_of(const NodeId& id) const {
  const auto found = members_.find(id);
  return found == members_.end() ? MemberState::left : found->second.state;
}

// --- what every input begins and ends with ---

void Detector::begin(Instant now) {
  now_ = std::max(now, now_);
  from_ = {};
  if (config_.plain_swim) return;
  if (due_ < now_ && now_ - due_ > config_.late_max) stood_still(now_ - due_);
}

DetectorActions Detector::finish() {
  auto next = period_ends_;
  if (probe_) next = std::min(next, probe_->ask_others_at);
  if (count_[static_cast<std::size_t>(MemberState::unreachable)] > 0) next = std::min(next, remind_at_);
  if (!rumors_.empty()) next = std::min(next, gossip_at_);
  for (const auto& [id, when] : relinks_) next = std::min(next, when);
  for (const auto& [id, suspicion] : suspicions_) next = std::min(next, suspicion_ends(suspicion));
  for (const auto& [sequence, relay] : relays_) next = std::min({next, relay.nack_at, relay.ends});
  due_ = std::max(next, now_);
  return std::exchange(out_, {});
}

/// This process did not run for a time. Nothing that others did not answer meanwhile says anything of them,
/// and what they said is still in this node's sockets.
void Detector::stood_still(Duration gap) {
  if (probe_) ++counters_.probes_voided;
  probe_.reset();
  relays_.clear();
  change_health(+1);
  period_ends_ = std::max(period_ends_, now_);
  for (auto& [id, when] : relinks_) when += gap;
  for (auto& [id, suspicion] : suspicions_) suspicion.since += gap;
}

void Detector::drop_oldest_left() {
  while (count_[static_cast<std::size_t>(MemberState::left)] > kLeftMax) {
    auto oldest = members_.end();
    for (auto it = members_.begin(); it != members_.end(); ++it)
      if (it->second.state == MemberState::left &&
          (oldest == members_.end() || it->second.since < oldest->second.since))
        oldest = it;
    members_.erase(oldest);
    --count_[static_cast<std::size_t>(MemberState::left)];
  }
}

Detector::Member* Detector::find(const NodeId& id) {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

std::size_t Detector::participants() const noexcept {
  return 1 + count_[static_cast<std::size_t>(MemberState::alive)] +
         count_[static_cast<std::size_t>(MemberState::suspect)];
}

void Detector::refuse(Error why) {
  ++counters_.refused;
  out_.emplace_back(std::in_place_type<DetectorRefused>, DetectorRefused{from_, std::move(why)});
}

}  // namespace cluster::proto
