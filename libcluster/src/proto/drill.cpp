#include "cluster/proto/drill.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace cluster::proto {
namespace {

// How long who is together says so before it falls silent: the others wait for the word.
constexpr Duration kTogetherMin = 500ms;
constexpr Duration kNoTime{};

std::uint64_t ms_between(Instant from, Instant to) {
  return static_cast<std::uint64_t>(
      std::chrono::floor<std::chrono::milliseconds>(std::max(to - from, kNoTime)).count());
}

}  // namespace

std::string_view name(DrillPhase phase) noexcept {
  constexpr std::array<std::string_view, 4> kNames{"before", "cut", "healed", "done"};
  return kNames[static_cast<std::size_t>(phase)];
}

bool Drill::Numbers::add(std::uint64_t number) {
  const auto word = static_cast<std::size_t>(number / 64);
  const std::uint64_t bit = std::uint64_t{1} << (number % 64);
  if (bits.size() <= word) bits.resize(word + 1);
  const bool is_first = (bits[word] & bit) == 0;
  bits[word] |= bit;
  return is_first;
}

Drill::Drill(Instant now, DrillPlan plan, NodeId self)
    : plan_(std::move(plan)),
      self_(std::move(self)),
      order_(plan_.others(self_)),
      begun_(now),
      entered_(now),
      next_beat_(now) {
  for (const auto& id : order_) {
    auto& link = peers_[id].link;
    link.peer = id;
    link.cut = plan_.cuts(self_, id);
  }
}

Instant Drill::phase_end() const noexcept {
  switch (phase_) {
    case DrillPhase::before:
      return entered_ + std::chrono::milliseconds(plan_.before_ms);
    case DrillPhase::cut:
      return entered_ + std::chrono::milliseconds(plan_.cut_ms);
    case DrillPhase::healed:
      return quiet_at_ != kNever ? quiet_at_ + kLast : entered_ + kHealedMax;
    case DrillPhase::done:
      break;
  }
  return kNever;
}

Instant Drill::next_deadline() const noexcept {
  return quiet_at_ != kNever ? phase_end() : std::min(next_beat_, phase_end());
}

void Drill::enter(Instant now, DrillPhase phase) {
  phase_ = phase;
  entered_ = now;
  if (phase == DrillPhase::cut) cut_at_ = now;
  if (phase == DrillPhase::healed) healed_at_ = now;
}

DrillActions Drill::on_heal(Instant now) {
  if (phase_ > DrillPhase::cut) return {};
  const bool was_cut = phase_ == DrillPhase::cut && !cut_peers().empty();
  enter(now, DrillPhase::healed);
  if (!was_cut) return {};
  return {DrillHeal{}};
}

std::vector<NodeId> Drill::cut_peers() const {
  std::vector<NodeId> cut;
  for (const auto& [id, peer] : peers_)
    if (peer.link.cut) cut.push_back(id);
  return cut;
}

DrillActions Drill::on_time(Instant now, const DrillSight& sight) {
  if (phase_ == DrillPhase::done) return {};
  watch(now, sight);
  if (now >= phase_end()) {
    switch (phase_) {
      case DrillPhase::before: {
        enter(now, DrillPhase::cut);
        next_beat_ = now + kBeat;  // by then it is cut
        DrillCut cut{cut_peers(), std::chrono::milliseconds(plan_.cut_ms)};
        if (cut.peers.empty()) return {};
        return {std::move(cut)};
      }
      case DrillPhase::cut:
        return on_heal(now);
      case DrillPhase::healed:
        if (quiet_at_ == kNever)
          quiet_at_ = now;
        else
          enter(now, DrillPhase::done);
        return {};
      case DrillPhase::done:
        return {};
    }
  }
  DrillActions actions;
  if (quiet_at_ == kNever && now >= next_beat_) {
    next_beat_ += kBeat;
    if (next_beat_ <= now) next_beat_ = now + kBeat;  // beats that were missed are not made up for
    send(actions);
  }
  return actions;
}

/// Keeps the books on who is missing, and on whether all are one ring again.
void Drill::watch(Instant now, const DrillSight& sight) {
  ring_ = sight.ring;
  const Instant since = cut_at_ == kNever ? begun_ : cut_at_;
  for (auto& [id, peer] : peers_) {
    const bool is_missing = std::ranges::count(sight.missing, id) != 0;
    if (is_missing == std::exchange(peer.is_missing, is_missing)) continue;
    if (is_missing) {
      ++peer.link.missed;
      if (!peer.link.missed_ms) peer.link.missed_ms = ms_between(since, now);
    } else if (healed_at_ != kNever) {
      peer.link.back_ms = ms_between(healed_at_, now);
    }
  }
  if (phase_ != DrillPhase::healed || quiet_at_ != kNever) return;
  if (cut_at_ == kNever &&
      now - healed_at_ >= kHealedMin) {  // nothing was cut here: there is nothing to heal
    quiet_at_ = now;
    return;
  }
  if (!all_together()) {
    together_at_ = kNever;
    return;
  }
  if (together_at_ == kNever) together_at_ = now;
  const bool all_know = std::ranges::all_of(
      peers_, [](const auto& entry) { return entry.second.left || entry.second.heard->together; });
  if (all_know && now - together_at_ >= kTogetherMin && now - healed_at_ >= kHealedMin) quiet_at_ = now;
}

/// Whether since the healing all others that did not leave were heard, are alive, and have the same ring.
bool Drill::all_together() const {
  return std::ranges::all_of(peers_, [this](const auto& entry) {
    const Peer& peer = entry.second;
    return peer.left || (!peer.is_missing && peer.heard && peer.heard->ring == ring_);
  });
}

void Drill::send(DrillActions& actions) {
  const bool calls = beats_++ % kBeatsPerCall == 0;
  for (std::size_t i = 0; i < std::min(order_.size(), kCastsPerBeatMax); ++i) {
    const auto& to = order_[turn_++ % order_.size()];
    auto& link = peers_[to].link;
    if (link.casts == kNumberMax) continue;
    DrillProbe probe{plan_.id, ++link.casts, phase_, together_at_ != kNever, ring_};
    if (calls) {
      probe.number = ++link.calls;
      actions.emplace_back(DrillCall{to, probe});
      probe.number = link.casts;
    }
    actions.emplace_back(DrillCast{to, std::move(probe)});
  }
}

void Drill::on_cast_refused(const NodeId& to) {
  if (const auto peer = peers_.find(to); peer != peers_.end()) ++peer->second.link.refused;
}

void Drill::on_answer(const NodeId& to, DrillAnswer answer) {
  const auto found = peers_.find(to);
  if (found == peers_.end()) return;
  auto& link = found->second.link;
  switch (answer) {
    case DrillAnswer::answered:
      ++link.answered;
      return;
    case DrillAnswer::failed:
      ++link.failed;
      return;
    case DrillAnswer::unknown:
      ++link.unknown;
      return;
    case DrillAnswer::left:
      ++link.failed;
      found->second.left = true;
      return;
  }
}

DrillActions Drill::on_cast(Instant now, const NodeId& from, const DrillProbe& probe) {
  const auto found = peers_.find(from);
  if (found == peers_.end() || probe.drill != plan_.id || probe.number == 0 || probe.number > kNumberMax)
    return {};
  auto& [link, casts, calls, heard, missing, left] = found->second;
  if (!casts.add(probe.number)) {
    ++link.doubled;
  } else {
    ++link.delivered;
    if (link.cut && probe.phase == DrillPhase::cut) ++link.late;
    if (probe.number < casts.last) ++link.disordered;
  }
  casts.last = std::max(casts.last, probe.number);
  if (probe.phase != DrillPhase::healed) return {};
  auto actions = on_heal(now);
  if (probe.number == casts.last) heard = probe;
  return actions;
}

void Drill::on_call(const NodeId& from, const DrillProbe& probe) {
  const auto found = peers_.find(from);
  if (found == peers_.end() || probe.drill != plan_.id || probe.number == 0 || probe.number > kNumberMax)
    return;
  if (!found->second.calls.add(probe.number)) ++found->second.link.doubled;
}

DrillAccount Drill::account(Instant now) const {
  DrillAccount account{.phase = phase_, .elapsed_ms = ms_between(entered_, now)};
  if (cut_at_ != kNever) account.cut_ms = ms_between(cut_at_, std::min(now, healed_at_));
  if (together_at_ != kNever) account.together_ms = ms_between(healed_at_, together_at_);
  for (const auto& [id, peer] : peers_) account.links.push_back(peer.link);
  return account;
}

}  // namespace cluster::proto
