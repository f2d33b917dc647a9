// Kv: whether this node has all that it is to hold.
#include <algorithm>
#include <iterator>

#include "cluster/proto/kv.hpp"

namespace cluster::proto {
namespace {

// A step of a look takes about 10 ns: who hears of news all the time spends a fortieth of it on looking.
constexpr Duration kSettleInterval = 10ms;
constexpr Duration kSettleIntervalPerStep = 400ns;
// Of this node's clock: nodes 1 h apart refuse each other.
constexpr std::chrono::hours kEditionAheadMax{2};
// Of all rings that others have told of; the first whatever the own ring is.
constexpr std::size_t kPointsMin = 1u << 18;
constexpr std::size_t kPointsMax = 1u << 21;

}  // namespace

// Readiness. A replica counts for a key if it has all that was acknowledged of it. It knows that if it was
// one of the key's replicas in every ring since it last knew; which rings there were, while it was away or
// not listening, the others tell. Else it compares itself with those that held the key: the members that say
// so, in the order of the ring; a member that says nothing is taken for one that did.

void Kv::greet(const NodeId& to, bool asks, bool tells) {
  if (broken_)
    return send(
        to, KvHello{.ring = ring_.fingerprint(), .life = config_.boot.nonce, .bases = {}, .failed = true});
  KvHello hello{.ring = ring_.fingerprint(),
                .life = config_.boot.nonce,
                .verified = verified_,
                .settled = settled_,
                .bases = {},
                .asks = asks,
                .tells = tells,
                .history = {},
                .gap = log_cut_,
                .edition = ring_.edition()};
  for (const auto& base : entry_bases_) hello.bases.push_back(base->description());
  if ((asks || tells) && !log_.empty()) hello.history.assign(log_.begin(), log_.end() - 1);
  send(to, std::move(hello));
}

void Kv::greet_all(bool asks) {
  for (const auto& member : members_) greet(member, asks);
}

/// For this node it is as one that cannot be reached, until another process answers in its name.
void Kv::hear_of_failure(const NodeId& of, std::uint64_t life) {
  if (!failed_.insert_or_assign(of, life).second) return;
  if (session_ && session_->peer == of) end_session(false);
  look_soon();
}

void Kv::serves_again(const NodeId& peer) {
  sync_soon_.insert(peer);
  sync_at_ = std::min(sync_at_, now_ + config_.view_interval);
  upkeep_at_ = now_;
  greet_at_ = std::min(greet_at_, now_ + config_.view_interval);  // it may be one that is waited for
  if (!heard_.contains(peer) && members_.contains(peer)) greet(peer, true);
}

void Kv::on(const NodeId& from, KvHello& m) {
  if (m.asks) greet(from, false, true);
  if (m.failed) return hear_of_failure(from, m.life);
  if (const auto failed = failed_.find(from); failed != failed_.end() && failed->second != m.life) {
    failed_.erase(failed);
    serves_again(from);
  }
  // The same edits, and it remembers one that this node's ring has forgotten, or never heard of.
  const auto& edition = ring_.edition();
  if (m.edition.hash == edition.hash && m.edition.time > edition.time && members_.contains(from) &&
      m.edition.time <= static_cast<std::uint64_t>(micros(wall_ + kEditionAheadMax)))
    enter(KvPlacement(ring_.ring(), m.edition, ring_.leaving()));
  if (m.ring != ring_.fingerprint() || !members_.contains(from)) return;
  auto& hello = hellos_[from];
  const bool is_more =
      m.life != hello.life || (m.settled && !hello.settled) || (m.verified && !hello.verified);
  if (is_more) synced_.erase(from);  // what was compared may have been incomplete
  hello = {m.life, m.verified, m.settled, {}};
  // It may be a late word, of one that has settled meanwhile: who waits for that asks.
  if (is_leaving() && !m.settled) greet_at_ = std::min(greet_at_, now_ + kGreetInterval);
  std::size_t points = points_told();
  for (const auto& base : m.bases) {
    hello.bases.push_back(placement_of(base, points));
    if (hello.bases.back()) continue;
    hello.bases.clear();  // it is taken for one that has nothing for certain
    break;
  }
  if (m.asks || m.tells) hear(from, m);
  look_soon();
  trim_log();
}

/// A look at what this node lacks, soon, after something that it depends on has changed.
void Kv::look_soon() {
  if (settled_) return;
  const auto interval = kSettleInterval + kSettleIntervalPerStep * static_cast<Duration::rep>(look_steps_);
  settle_at_ = std::min(settle_at_, now_ + interval);
  sync_at_ = std::min(sync_at_, settle_at_);
}

/// Of the rings that the others were in.
std::size_t Kv::points_told() const {
  std::set<const KvPlacement*> seen;
  std::size_t points = 0;
  for (const auto& [id, hello] : hellos_)
    for (const auto& base : hello.bases)
      if (seen.insert(base.get()).second) points += base->ring().size();
  return points;
}

/// One that is known is not made again: in a ring of 200 all tell of the same rings. `points` counts those of
/// the others; null if they get too many.
std::shared_ptr<const KvPlacement> Kv::placement_of(const KvRing& ring, std::size_t& points) const {
  for (const auto* known : {&bases_, &entry_bases_})
    for (const auto& base : *known)
      if (base->is(ring)) return base;
  for (const auto& [id, hello] : hellos_)
    for (const auto& base : hello.bases)
      if (base->is(ring)) return base;
  for (const auto& member : ring.members) points += member.weight;
  if (points > std::clamp(64 * ring_.ring().size(), kPointsMin, kPointsMax)) return nullptr;
  return std::make_shared<const KvPlacement>(KvPlacement::of(ring));
}

/// Another node's history may have rings that this one knows nothing of.
void Kv::hear(const NodeId& from, const KvHello& m) {
  heard_.insert(from);
  if (bases_.empty()) return;
  const auto base = bases_.front()->edition();
  if (base == ring_.edition()) return;  // all others were before it
  const auto known = std::ranges::find(m.history, base, &KvRing::edition);
  if (known != m.history.end()) return learn({known + 1, m.history.end()});
  // Else the times tell. A ring as old as the base may be later: a node that joins by itself edits at time 0.
  // All that settled in the oldest ring that it tells of have later bases; to who did not, it cannot tell
  // all.
  if (m.gap && (m.history.empty() || base.time <= m.history.front().edition.time)) return bases_.clear();
  std::vector<KvRing> later;
  std::ranges::copy_if(m.history, std::back_inserter(later),
                       [&](const KvRing& ring) { return ring.edition.time >= base.time; });
  learn(later);
}

/// There were these rings, too, since this node's base.
void Kv::learn(std::span<const KvRing> rings) {
  std::size_t points = 0;
  for (const auto& base : bases_) points += base->ring().size();
  for (const auto& ring : rings) {
    if (bases_.empty()) return;
    auto placement = placement_of(ring, points);
    if (!placement) return bases_.clear();
    const bool known = placement->empty() || std::ranges::any_of(bases_, [&](const auto& base) {
                         return base->fingerprint() == placement->fingerprint();
                       });
    if (known) continue;
    if (bases_.size() == kKvHistoryMax) return bases_.clear();
    bases_.push_back(std::move(placement));
  }
}

bool Kv::has_settled(const NodeId& peer) const {
  const auto hello = hellos_.find(peer);
  return hello != hellos_.end() && hello->second.settled;
}

/// Whether a ring that none of those told of can have had W of `nodes` as replicas.
bool Kv::too_many_silent(std::span<const CHash::Node* const> nodes, std::size_t w) const {
  const auto is_silent = [this](const NodeId& id) { return id != self() && !heard_.contains(id); };
  const auto silent =
      std::ranges::count_if(nodes, [&](const CHash::Node* node) { return is_silent(node->id); }) +
      std::ranges::count_if(ring_.leaving(), is_silent);  // they were anybody's replicas
  return too_many_silent(static_cast<std::size_t>(silent), w);
}

bool Kv::too_many_silent(std::size_t silent, std::size_t w) const {
  return silent >= std::max<std::size_t>(1, std::min(w, ring_.ring().node_count()));
}

void Kv::settle_if_complete() {
  if (settled_ || ring_.empty()) return;
  if (!verified_) {
    std::size_t w = config_.bucket.w;
    for (const auto& [name, rule] : config_.buckets) w = std::min<std::size_t>(w, rule.w);
    std::vector<const CHash::Node*> all = ring_.ring().replicas_at({}, ring_.ring().node_count());
    verified_ = !too_many_silent(all, w);
    if (verified_) {
      entry_bases_ = bases_;
      greet_all(false);
    }
  }
  const bool lacks = Look(*this).run();
  // Nobody to compare with, and yet not complete: too few have told which rings there were.
  if (lacking_.empty() && !(lacks && !verified_)) settle();
}

void Kv::settle() {
  settled_ = true;
  verified_ = true;
  stretches_ = {};
  bases_ = {std::make_shared<const KvPlacement>(ring_)};
  save_note();
  greet_all(false);
  trim_log();
}

bool Kv::is_leaving() const { return std::ranges::binary_search(ring_.leaving(), self()); }

std::vector<NodeId> Kv::failed() const {
  std::vector<NodeId> ids;
  for (const auto& [id, life] : failed_)
    if (members_.contains(id) && !down_.contains(id)) ids.push_back(id);
  return ids;
}

std::vector<NodeId> Kv::unsettled() const {
  std::vector<NodeId> ids;
  for (const auto& [id, weight] : ring_.ring().weights())
    if (id != self() && reachable(id) && !has_settled(id)) ids.push_back(id);
  return ids;
}

/// Each key that it held is on the disks of those that hold it now, and those that were to compare themselves
/// with it have: they count without it.
bool Kv::has_drained() const {
  return is_leaving() && !ring_.empty() && !coming_ && !broken_ && trees_built_ && foreign_keys_ == 0 &&
         spreads_.empty() && settled_ && unsettled().empty();
}

/// Once all members have settled here nobody has an older base to ask about.
void Kv::trim_log() {
  if (!settled_ || log_.size() < 2) return;
  if (!std::ranges::all_of(members_, [this](const NodeId& id) { return has_settled(id); })) return;
  log_.erase(log_.begin(), log_.end() - 1);
  log_cut_ = true;
  save_note();
}

}  // namespace cluster::proto
