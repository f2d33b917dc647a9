// Who is probed, by whom, and what the answers mean.
#include <algorithm>

#include "cluster/proto/detector.hpp"

namespace cluster::proto {
namespace {

/// Probes for others that are open at once; a node is asked for a few a second.
constexpr std::size_t kRelaysMax = 128;

/// When a relay tells that it has no answer: early enough to be in time (Lifeguard section IV-A).
constexpr Duration nack_wait(const DetectorConfig& config) { return config.probe_timeout * 4 / 5; }

}  // namespace

void Detector::begin_period() {
  const auto interval = scaled(config_.probe_interval, health_);
  const auto spread = static_cast<std::int64_t>(static_cast<double>(interval.count()) * config_.probe_jitter);
  period_ends_ = now_ + interval + Duration(rng_.between(-spread, spread));
  const auto target = next_target();
  if (!target) {
    change_health(-1);  // nobody to fail to answer
    return;
  }
  ++counters_.probes;
  probe_ = OpenProbe{.target = *target,
                     .sequence = ++sequence_,
                     .ask_others_at = now_ + scaled(config_.probe_timeout, health_)};
  auto claims = claims_for(*target);
  add_dead(claims);
  add_questions(claims);
  send(*target, SwimPing{sequence_, std::move(claims)});
}

/// The interval is over. An answered probe is closed already.
void Detector::end_probe() {
  if (!probe_) return;
  const auto probe = std::move(*std::exchange(probe_, {}));
  const auto missed = probe.asked.size() - probe.nacks.size();
  ++counters_.probes_failed;
  counters_.nacks_missed += missed;
  // Whoever hears the nacks of all is not the one with the bad connection. The paper counts one more for the
  // failed probe itself; memberlist, and we, only if nobody could be asked.
  change_health(probe.asked.empty() ? 1 : static_cast<std::int64_t>(missed));
  accuse(probe.target);
}

/// The target did not answer: perhaps it is only this node that it cannot reach.
void Detector::ask_others() {
  probe_->ask_others_at = kNever;
  probe_->asked = random_members(config_.indirect_probes, MemberState::alive, probe_->target);
  counters_.indirect_probes += probe_->asked.size();
  for (const auto& member : probe_->asked)
    send(member, SwimPingReq{probe_->sequence, probe_->target, !config_.plain_swim, claims_for(member)});
}

/// Unreachable members are not probed. If one is there after all, it has to learn what is said of it.
void Detector::remind_one() {
  remind_at_ = now_ + config_.remind_interval;
  auto left = rng_.below(count_[static_cast<std::size_t>(MemberState::unreachable)]);
  for (const auto& [id, member] : members_)
    if (member.state == MemberState::unreachable && left-- == 0) return tell(id, member.held);
}

void Detector::end_relays() {
  for (auto it = relays_.begin(); it != relays_.end();) {
    auto& relay = it->second;
    if (now_ >= relay.nack_at) {
      relay.nack_at = kNever;
      send(relay.asker, SwimNack{relay.sequence, claims_for(relay.asker)});
    }
    it = now_ >= relay.ends ? relays_.erase(it) : std::next(it);
  }
}

/// Each member once a round, in an order drawn anew for each (SWIM section 4.3): so the time to its first
/// probe is bounded.
std::optional<NodeId> Detector::next_target() {
  const auto probed = [](const Member& member) { return member.state <= MemberState::suspect; };
  for (int pass = 0; pass < 2; ++pass) {
    while (round_at_ < round_.size()) {
      const auto& id = round_[round_at_++];
      if (const auto* member = find(id); member != nullptr && probed(*member)) return id;
    }
    round_.clear();
    round_at_ = 0;
    for (auto& [id, member] : members_) {
      member.in_round = probed(member) && links_.keeps(self(), id);
      if (member.in_round) round_.push_back(id);
    }
    if (!links_.keeps_all()) add_one_without_link();
    rng_.shuffle(round_);
  }
  return {};
}

/// So that nobody depends on the links that are kept alone.
void Detector::add_one_without_link() {
  std::uint64_t seen = 0;
  NodeId chosen;
  for (const auto& [id, member] : members_)
    if (!member.in_round && member.state <= MemberState::suspect && rng_.below(++seen) == 0) chosen = id;
  if (seen > 0) round_.push_back(chosen);
}

void Detector::enter_round(const NodeId& id, Member& member) {
  if (member.in_round || !links_.keeps(self(), id)) return;
  member.in_round = true;
  const auto at = static_cast<std::size_t>(rng_.below(round_.size() + 1));
  round_.insert(round_.begin() + static_cast<std::ptrdiff_t>(at), id);
  if (at < round_at_) ++round_at_;
}

/// Up to `count` different ones; if there are hardly more, perhaps one less.
std::vector<NodeId> Detector::random_members(std::size_t count, MemberState worst, const NodeId& but) {
  std::vector<NodeId> picked;
  const auto tries = round_.empty() ? 0 : 8 * count;
  for (std::size_t i = 0; i < tries && picked.size() < count; ++i) {
    const auto& id = round_[static_cast<std::size_t>(rng_.below(round_.size()))];
    if (id == but || std::ranges::find(picked, id) != picked.end()) continue;
    if (state_of(id) <= worst) picked.push_back(id);
  }
  return picked;
}

void Detector::on(const SwimPing& m) { send(from_, SwimAck{m.sequence, claims_for(from_)}); }

void Detector::on(const SwimPingReq& m) {
  if (m.target == self()) return send(from_, SwimAck{m.sequence, claims_for(from_)});
  const auto* target = find(m.target);
  if (target == nullptr || target->state == MemberState::left) return;
  if (relays_.size() >= kRelaysMax) relays_.erase(relays_.begin());
  relays_.emplace(++sequence_, Relay{.asker = from_,
                                     .sequence = m.sequence,
                                     .target = m.target,
                                     .nack_at = m.nack ? now_ + nack_wait(config_) : kNever,
                                     .ends = now_ + config_.probe_interval});
  send(m.target, SwimPing{sequence_, claims_for(m.target)});
}

void Detector::on(const SwimAck& m) {
  if (probe_ && probe_->sequence == m.sequence &&
      (from_ == probe_->target || std::ranges::find(probe_->asked, from_) != probe_->asked.end())) {
    probe_.reset();
    return change_health(-1);
  }
  const auto relay = relays_.find(m.sequence);
  if (relay == relays_.end() || relay->second.target != from_) return;
  send(relay->second.asker, SwimAck{relay->second.sequence, claims_for(relay->second.asker)});
  relays_.erase(relay);
}

void Detector::on(const SwimNack& m) {
  if (probe_ && probe_->sequence == m.sequence &&
      std::ranges::find(probe_->asked, from_) != probe_->asked.end())
    probe_->nacks.insert(from_);
}

/// Lifeguard section IV-A. A node in bad health gives others more time.
void Detector::change_health(std::int64_t by) noexcept {
  if (config_.plain_swim) return;
  health_ = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(std::int64_t{health_} + by, 0, std::int64_t{config_.health_max}));
}

}  // namespace cluster::proto
