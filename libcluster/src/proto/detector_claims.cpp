// What is held of whom, and how it spreads.
#include <algorithm>

#include "cluster/proto/detector.hpp"
#include "cluster/proto/ring_records.hpp"

namespace cluster::proto {

namespace {

/// The least of all claims: whoever holds anything of the member answers with that.
bool is_question(const SwimClaim& claim) { return claim.boot == Boot{}; }

}  // namespace

void Detector::hear(const SwimClaim& claim) {
  ++counters_.claims_received;
  if (claim.id == self()) return hear_of_self(claim);
  const auto found = members_.find(claim.id);
  if (found == members_.end() || found->second.state == MemberState::left) return;
  auto& member = found->second;
  const bool unknown = member.state == MemberState::unknown;
  if (unknown && is_question(claim)) return;
  // One more than what is held is believed: a member must be able to overrule that, whatever it is.
  if (is_of_future(claim.boot) && (unknown || claim.boot.number > member.held.boot.number + 1))
    return refuse_boot(claim);
  if (unknown) return accept(*found, claim);
  const auto order = compare(claim, member.held);
  if (order > 0) return accept(*found, claim);
  if (order == 0) return confirm(member, claim);
  ++counters_.claims_stale;
  answers_.push_back(member.held);
}

/// What others say of this node. Only it can object: with a greater incarnation (SWIM section 4.2).
void Detector::hear_of_self(const SwimClaim& claim) {
  if (claim.boot > config_.boot) {
    ++counters_.foreign_boots;
    if (claim.state == MemberState::alive || claim.boot.number >= kCountMax) return;
    if (!is_of_future(claim.boot)) return overrule(claim.boot);
    // Somebody lies, or held it when its clock was wrong: told so, it believes; others would not.
    answers_.push_back({self(), {claim.boot.number + 1, config_.boot.nonce}, 0, MemberState::alive, self()});
    return refuse_boot(claim);
  }
  if (claim.boot == config_.boot && claim.incarnation >= incarnation_) {
    if (claim.state == MemberState::alive) {
      incarnation_ = claim.incarnation;
      return;
    }
    ++counters_.refutations;
    change_health(+1);
    if (claim.incarnation >= kCountMax) return overrule(config_.boot);  // no greater one is left
    incarnation_ = claim.incarnation + 1;
    rumors_.add(own_claim());
  }
  answers_.push_back(own_claim());
}

/// A process of this node with a greater boot that is not there any more: an earlier one, whose disk was lost
/// and whose clock ran ahead. Nobody would believe this one before the clock has caught up.
void Detector::overrule(const Boot& dead) {
  config_.boot.number = dead.number + 1;
  incarnation_ = 0;
  rumors_.add(own_claim());
  answers_.push_back(own_claim());
}

/// A boot is the time of a process's start, and a greater one beats all that is said of a lesser: of a lie
/// about the far future a member would never be rid.
bool Detector::is_of_future(const Boot& boot) const noexcept {
  return boot.number > millis(wall_ + kAheadMax);
}

void Detector::refuse_boot(const SwimClaim& claim) {
  refuse(Error(Errc::bad_message,
               "'" + claim.id.str() + "' is said to have the boot " + std::to_string(claim.boot.number) +
                   ", more than 70 min ahead of this node's clock: a clock is or was wrong, or "
                   "somebody lies"));
}

/// `claim` is the greatest heard of this member.
void Detector::accept(Members::value_type& entry, const SwimClaim& claim) {
  auto& [id, member] = entry;
  const bool rebooted = member.state == claim.state && member.held.boot != claim.boot;
  member.held = claim;
  rumors_.add(claim);
  suspicions_.erase(id);
  if (rebooted)
    out_.emplace_back(std::in_place_type<StateChanged>,
                      StateChanged{id, claim.state, claim.state, claim.boot, claim.incarnation, claim.by});
  if (member.state != claim.state) set_state(entry, claim.state);
  if (claim.state <= MemberState::suspect) enter_round(id, member);
  if (claim.state > MemberState::suspect) relinks_.erase(id);
  if (claim.state == MemberState::suspect)
    suspicions_.emplace(id, Suspicion{.since = now_,
                                      .expected = confirmations_expected(participants(), config_),
                                      .accusers = {claim.by}});
}

/// This node's own finding: it suspects the member, or confirms that others do.
void Detector::accuse(const NodeId& id) {
  const auto found = members_.find(id);
  if (found == members_.end() || found->second.state > MemberState::suspect) return;
  ++counters_.suspicions;
  auto claim = found->second.held;
  claim.by = self();
  if (std::exchange(claim.state, MemberState::suspect) == MemberState::alive)
    accept(*found, claim);
  else
    confirm(found->second, claim);
  if (!config_.plain_swim) tell(id, claim);
}

/// What is held already. Of a suspicion, the first K further accusers count, and are passed on (Lifeguard
/// section IV-B).
void Detector::confirm(Member& member, const SwimClaim& claim) {
  if (member.state != MemberState::suspect) return;
  auto& suspicion = suspicions_.at(claim.id);
  if (suspicion.accusers.size() > suspicion.expected) return;
  if (claim.by != self() && state_of(claim.by) == MemberState::left) return;
  if (suspicion.accusers.insert(claim.by).second) rumors_.add_confirmation(claim);
}

void Detector::set_state(Members::value_type& entry, MemberState to) {
  auto& [id, member] = entry;
  --count_[static_cast<std::size_t>(member.state)];
  ++count_[static_cast<std::size_t>(to)];
  const auto from = std::exchange(member.state, to);
  member.since = now_;
  const auto& by = to <= MemberState::stopped ? member.held.by : self();
  out_.emplace_back(std::in_place_type<StateChanged>,
                    StateChanged{id, from, to, member.held.boot, member.held.incarnation, by});
}

void Detector::end_suspicions() {
  std::vector<NodeId> ended;
  for (const auto& [id, suspicion] : suspicions_)
    if (now_ >= suspicion_ends(suspicion)) ended.push_back(id);
  for (const auto& id : ended) {
    auto& entry = *members_.find(id);
    auto claim = entry.second.held;
    claim.state = MemberState::unreachable;
    claim.by = self();
    accept(entry, claim);
  }
}

void Detector::end_relinks() {
  std::vector<NodeId> ended;
  for (const auto& [id, when] : relinks_)
    if (now_ >= when) ended.push_back(id);
  for (const auto& id : ended) {
    relinks_.erase(id);
    accuse(id);
  }
}

void Detector::gossip() {
  gossip_at_ = now_ + config_.gossip_interval;
  for (const auto& member : random_members(config_.gossip_fanout, MemberState::suspect)) {
    auto claims = claims_for(member);
    if (!claims.empty()) send(member, SwimGossip{std::move(claims)});
  }
}

void Detector::tell(const NodeId& to, const SwimClaim& claim) { send(to, SwimGossip{{claim}}); }

/// What a message to `to` carries: what is held against it first, so that it can object (Lifeguard section
/// IV-C), then news.
SwimClaims Detector::claims_for(const NodeId& to) {
  SwimClaims claims;
  if (const auto* member = find(to); member != nullptr && !config_.plain_swim &&
                                     member->state > MemberState::alive &&
                                     member->state <= MemberState::stopped)
    claims.push_back(member->held);
  rumors_.take(claims, config_.claims_per_message - claims.size(), retransmit_limit(participants(), config_));
  return claims;
}

/// News may have missed somebody. Of the members held for dead each probe names one: who knows better says
/// so, and who did not know it hears of it.
void Detector::add_dead(SwimClaims& claims) {
  const auto is_dead = [](MemberState state) {
    return state == MemberState::unreachable || state == MemberState::stopped;
  };
  const auto dead = count_[static_cast<std::size_t>(MemberState::unreachable)] +
                    count_[static_cast<std::size_t>(MemberState::stopped)];
  if (config_.plain_swim || dead == 0 || claims.size() >= config_.claims_per_message) return;
  auto at = members_.upper_bound(named_last_);
  while (at == members_.end() || !is_dead(at->second.state))
    at = at == members_.end() ? members_.begin() : std::next(at);
  claims.push_back(at->second.held);
  named_last_ = at->first;
}

/// Without a link to a member nothing is known of it but what others tell; and of those that were there
/// before this node, nobody tells unasked.
void Detector::add_questions(SwimClaims& claims) {
  if (links_.keeps_all() || count_[static_cast<std::size_t>(MemberState::unknown)] == 0) return;
  auto at = members_.upper_bound(asked_last_);
  for (auto left = members_.size(); left > 0 && claims.size() < config_.claims_per_message; --left, ++at) {
    if (at == members_.end()) at = members_.begin();
    if (at->second.state != MemberState::unknown) continue;
    claims.push_back({at->first, {}, 0, MemberState::alive, self()});
    asked_last_ = at->first;
  }
}

SwimClaim Detector::own_claim() const {
  return {self(), config_.boot, incarnation_, MemberState::alive, self()};
}

Instant Detector::suspicion_ends(const Suspicion& suspicion) const noexcept {
  const auto confirmations = static_cast<std::uint32_t>(suspicion.accusers.size() - 1);
  return suspicion.since + suspicion_timeout(confirmations, suspicion.expected, config_);
}

}  // namespace cluster::proto
