// Kv: whether this node has all that it is to hold, and the comparison with other nodes.
#include <algorithm>
#include <iterator>
#include <tuple>

#include "cluster/proto/kv.hpp"

namespace cluster::proto {
namespace {

// A look at what all have told takes about 1 us for each point of the ring: less than a fifth of the time.
constexpr Duration kSettleInterval = 10ms;
constexpr Duration kSettleIntervalPerPoint = 5us;
// Of this node's clock: nodes 1 h apart refuse each other.
constexpr std::chrono::hours kEditionAheadMax{2};
// Of all rings that one message tells of; the first whatever the own ring is.
constexpr std::size_t kPointsMin = 1u << 18;
constexpr std::size_t kPointsMax = 1u << 21;

}  // namespace

// Readiness. A replica counts for a key if it has all that was acknowledged of it. It knows that if it was
// one of the key's replicas in every ring since it last knew; which rings there were, while it was away or
// not listening, the others tell. Else it compares itself with those that held the key: the members that say
// so, in the order of the ring; a member that says nothing is taken for one that did.

void Kv::greet(const NodeId& to, bool asks, bool tells) {
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

void Kv::on(const NodeId& from, KvHello& m) {
  if (m.asks) greet(from, false, true);
  // The same edits, and it remembers one that this node's ring has forgotten, or never heard of.
  const auto& edition = ring_.edition();
  if (m.edition.hash == edition.hash && m.edition.time > edition.time && members_.contains(from) &&
      m.edition.time <= static_cast<std::uint64_t>(micros(wall_ + kEditionAheadMax)))
    enter(KvPlacement(ring_.ring(), m.edition));
  if (m.ring != ring_.fingerprint() || !members_.contains(from)) return;
  auto& hello = hellos_[from];
  const bool is_more =
      m.life != hello.life || (m.settled && !hello.settled) || (m.verified && !hello.verified);
  if (is_more) synced_.erase(from);  // what was compared may have been incomplete
  hello = {m.life, m.verified, m.settled, {}};
  std::size_t points = 0;
  for (const auto& base : m.bases) {
    hello.bases.push_back(placement_of(base, points));
    if (hello.bases.back()) continue;
    hello.bases.clear();  // it is taken for one that has nothing for certain
    break;
  }
  if (m.asks || m.tells) hear(from, m);
  if (!settled_) {
    const auto points = static_cast<Duration::rep>(ring_.ring().size());
    settle_at_ = std::min(settle_at_, now_ + kSettleInterval + kSettleIntervalPerPoint * points);
    sync_at_ = std::min(sync_at_, settle_at_);
  }
  trim_log();
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
  // All that settled in the oldest ring that it tells of have later bases; to who did not, it cannot tell
  // all.
  if (m.gap && (m.history.empty() || base.time < m.history.front().edition.time)) return bases_.clear();
  std::vector<KvRing> later;
  std::ranges::copy_if(m.history, std::back_inserter(later),
                       [&](const KvRing& ring) { return ring.edition.time > base.time; });
  learn(later);
}

/// There were these rings, too, since this node's base.
void Kv::learn(std::span<const KvRing> rings) {
  std::size_t points = 0;
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
  const auto silent = std::ranges::count_if(
      nodes, [this](const CHash::Node* node) { return node->id != self() && !heard_.contains(node->id); });
  return static_cast<std::size_t>(silent) >= std::max<std::size_t>(1, std::min(w, ring_.ring().node_count()));
}

/// False if this node has what it is to hold; else with whom it is to be compared first (nobody, if it does
/// not know that yet).
bool Kv::lacks_any(std::set<NodeId>& lacking) const {
  const auto& ring = ring_.ring();
  std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> rules;
  const auto add_rule = [&](const KvBucket& rule) { rules.insert({rule.n, rule.r, rule.w}); };
  add_rule(config_.bucket);
  for (const auto& [name, rule] : config_.buckets) add_rule(rule);

  // Between two neighbours of these positions nobody's replicas change, in any of the rings.
  std::vector<Position> edges;
  std::set<std::uint64_t> seen;
  const auto add_edges = [&](const KvPlacement& placement) {
    if (!seen.insert(placement.fingerprint()).second) return;
    for (std::size_t i = 0; i < placement.ring().size(); ++i) edges.push_back(placement.ring().position(i));
  };
  add_edges(ring_);
  for (const auto& base : bases_) add_edges(*base);
  for (const auto& [id, hello] : hellos_)
    for (const auto& base : hello.bases) add_edges(*base);
  std::ranges::sort(edges);
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());

  const auto held_in = [](const Bases& bases, const Position& at, std::size_t n, const NodeId& id) {
    return !bases.empty() && std::ranges::all_of(bases, [&](const auto& base) {
      const auto nodes = base->ring().replicas_at(at, n);
      return std::ranges::any_of(nodes, [&](const CHash::Node* node) { return node->id == id; });
    });
  };
  bool lacks = false;
  for (const auto& [n, r, w] : rules)
    for (const auto& edge : edges) {
      const auto nodes = ring.replicas_at(edge, std::size_t{2} * n);
      const auto replicas = std::span(nodes).first(std::min<std::size_t>(n, nodes.size()));
      if (std::ranges::none_of(replicas, [this](const CHash::Node* node) { return node->id == self(); }))
        continue;
      if (too_many_silent(nodes, w)) {
        lacks = true;
        continue;
      }
      if (held_in(bases_, edge, n, self())) continue;
      lacks = true;
      // So many of the key's earlier replicas that none of its quorums is left out; all of them but one in
      // any case, so that who coordinates a write is among them.
      const auto needed = std::max(n - 1, n - std::min(r, w) + 1);
      std::uint32_t held_by = 0;
      std::uint32_t place = 0;
      std::vector<NodeId> others;  // that may have some of it
      for (const auto* node : ring.replicas_at(edge, ring.node_count())) {
        const bool is_replica = place++ < n;
        const auto& id = node->id;
        if (id == self()) continue;
        const auto hello = hellos_.find(id);
        const bool known = hello != hellos_.end() && hello->second.verified;
        const bool held =
            !known || (hello->second.settled && is_replica) || held_in(hello->second.bases, edge, n, id);
        const bool done = known && synced_.contains(id);
        if (held && held_by++ < needed && !done) lacking.insert(id);
        if (!held && !done && is_replica && reachable(id))
          lacking.insert(id);
        else if (!held && !done)
          others.push_back(id);
        if (place >= n && held_by >= needed) break;
      }
      // With fewer of them left (several were replaced at once) what they had may be anywhere.
      if (held_by >= needed) continue;
      const auto away = std::ranges::count_if(others, [this](const NodeId& id) { return !reachable(id); });
      for (auto& id : others)
        if (reachable(id) || static_cast<std::size_t>(away) >= w) lacking.insert(std::move(id));
    }
  return lacks;
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
  std::set<NodeId> lacking;
  const bool lacks = lacks_any(lacking);
  if (!lacking.empty()) return;
  // Nobody to compare with, and yet not complete: too few have told which rings there were.
  if (lacks && !verified_) return;
  settle();
}

void Kv::settle() {
  settled_ = true;
  verified_ = true;
  bases_ = {std::make_shared<const KvPlacement>(ring_)};
  save_note();
  greet_all(false);
  trim_log();
}

/// Once all members have settled here nobody has an older base to ask about.
void Kv::trim_log() {
  if (!settled_ || log_.size() < 2) return;
  if (!std::ranges::all_of(members_, [this](const NodeId& id) { return has_settled(id); })) return;
  log_.erase(log_.begin(), log_.end() - 1);
  log_cut_ = true;
  save_note();
}

// Comparison.

void Kv::begin_session() {
  sync_at_ = now_ + config_.sync_interval;
  if (session_ || ring_.empty()) return;
  if (!trees_built_ || (!settled_ && hellos_.empty() && !members_.empty())) {
    sync_at_ = now_ + config_.view_interval;
    return;
  }
  std::set<NodeId> wanted;
  if (!settled_) static_cast<void>(lacks_any(wanted));
  // Before all is settled: of one that has not told of itself the comparison would not count, and if its
  // store has not begun yet, it would never answer.
  const auto answers = [this](const NodeId& id) {
    return reachable(id) && (settled_ || hellos_.contains(id));
  };
  std::erase_if(wanted, [&](const NodeId& id) { return !answers(id); });
  if (wanted.empty()) {
    std::erase_if(sync_soon_, [this](const NodeId& id) { return !members_.contains(id) || !reachable(id); });
    wanted = sync_soon_;
    std::erase_if(wanted, [&](const NodeId& id) { return !answers(id); });
  }
  if (wanted.empty())
    for (const auto& id : members_)
      if (answers(id)) wanted.insert(id);
  if (wanted.empty()) return;
  const auto after = wanted.upper_bound(last_peer_);
  last_peer_ = after != wanted.end() ? *after : *wanted.begin();
  session_ = Session{.id = ++last_id_, .peer = last_peer_, .deadline = now_ + config_.session_timeout};
  ++counters_.sessions;
  send(last_peer_, KvSyncAsk{session_->id, ring_.fingerprint(), trees_.branches(last_peer_)});
}

void Kv::end_session(bool complete) {
  const auto peer = session_->peer;
  const auto life = session_->life;
  session_.reset();
  if (!complete) {
    ++counters_.sessions_failed;
    sync_at_ = std::min(sync_at_, now_ + config_.view_interval * 4);
    return;
  }
  const auto hello = hellos_.find(peer);  // what it said it has is what it was compared with
  const bool counts = hello != hellos_.end() && hello->second.life == life;
  if (counts) synced_.insert(peer);
  sync_soon_.erase(peer);
  settle_if_complete();
  std::set<NodeId> lacking;
  if (!settled_) static_cast<void>(lacks_any(lacking));
  const bool more =
      !sync_soon_.empty() || std::ranges::any_of(lacking, [this](const NodeId& id) { return reachable(id); });
  if (more) sync_at_ = counts ? now_ : now_ + config_.view_interval;
}

void Kv::on(const NodeId& from, KvSyncAsk& m) {
  KvSyncDiffer differ{.session = m.session, .life = config_.boot.nonce};
  if (m.ring != ring_.fingerprint() || !trees_built_ || broken_) {
    differ.status = KvStatus::view;
  } else {
    const auto own = trees_.branches(from);
    for (std::size_t i = 0; i < kKvBranches; ++i)
      if (own[i] != m.branches[i])
        differ.branches.push_back({static_cast<std::uint16_t>(i), trees_.leaves(from, i)});
  }
  send(from, std::move(differ));
}

void Kv::on(const NodeId& from, KvSyncDiffer& m) {
  if (!session_ || session_->id != m.session || session_->peer != from) return;
  if (m.status != KvStatus::ok) return end_session(false);
  session_->life = m.life;
  for (const auto& branch : m.branches) {
    const auto own = trees_.leaves(from, branch.index);
    for (std::size_t i = 0; i < kKvBranches; ++i)
      if (own[i] != branch.leaves[i])
        session_->leaves.push_back(static_cast<std::uint16_t>(branch.index * kKvBranches + i));
  }
  std::ranges::reverse(session_->leaves);  // the last is the next
  session_->from = session_->leaves.empty() ? 0 : KvTrees::begin_of(session_->leaves.back());
  ask_leaf();
}

/// What is held here of the leaf and one of the two is to hold: a node that is to hold a key also gets it
/// from one that only still has it. `all`: to the end of the leaf.
Result<std::vector<KvStorage::Entry>> Kv::shared_entries(const NodeId& peer, std::uint16_t leaf,
                                                         std::uint64_t from, std::size_t max,
                                                         bool& all) const {
  std::vector<KvStorage::Entry> shared;
  all = true;
  const auto last = KvTrees::last_of(leaf);
  while (true) {
    auto page = storage_.scan(from, config_.page_keys);
    if (!page) return page;
    for (auto& entry : *page) {
      if (entry.position > last) return shared;
      const auto nodes = replicas(entry.key);
      if (!nodes.has(self()) && !nodes.has(peer)) continue;
      if (shared.size() >= max && shared.back().position != entry.position) {
        all = false;
        return shared;
      }
      shared.push_back(std::move(entry));
    }
    if (page->size() < config_.page_keys || page->back().position >= last) return shared;
    from = page->back().position + 1;
  }
}

void Kv::ask_leaf() {
  auto& session = *session_;
  if (session.leaves.empty()) return end_session(true);
  const auto leaf = session.leaves.back();
  KvSyncLeaf ask{.session = session.id, .ring = ring_.fingerprint(), .leaf = leaf, .from = session.from};
  const auto held = shared_entries(session.peer, leaf, session.from, kKvHeldMax / 2, ask.all);
  if (!held || held->size() > kKvHeldMax) return end_session(false);
  for (const auto& entry : *held) ask.held.push_back({entry.position, entry.hash});
  std::ranges::sort(ask.held);
  session.deadline = now_ + config_.session_timeout;
  send(session.peer, std::move(ask));
}

void Kv::on(const NodeId& from, KvSyncLeaf& m) {
  KvSyncRecords records{.session = m.session, .ring = m.ring, .leaf = m.leaf};
  const auto last = m.all || m.held.empty() ? KvTrees::last_of(m.leaf) : m.held.back().position;
  const auto begin = std::max(m.from, KvTrees::begin_of(m.leaf));
  bool all = true;
  auto own = shared_entries(from, m.leaf, begin, config_.page_keys, all);
  if (m.ring != ring_.fingerprint() || broken_ || !own) {
    records.status = KvStatus::view;
    return send(from, std::move(records));
  }
  std::uint64_t end = all ? last : std::min(last, own->back().position);  // this page ends with it
  std::size_t bytes = 0;
  std::vector<KvSyncLeaf::Held> mine;
  for (const auto& entry : *own) {
    if (entry.position > end) break;
    const KvSyncLeaf::Held held{entry.position, entry.hash};
    if (!std::ranges::binary_search(m.held, held) && replicas(entry.key).has(from)) {
      auto record = storage_.read(entry.key);
      if (!record || record->empty()) continue;
      const auto size = bytes_of(*record) + entry.key.key.size() + 64;
      if (bytes > 0 && bytes + size > config_.page_bytes && entry.position > begin) {
        end = entry.position - 1;
        break;
      }
      bytes += size;
      records.entries.push_back({entry.key, std::move(record).value()});
    }
    mine.push_back(held);
  }
  for (const auto& held : m.held)
    if (held.position >= begin && held.position <= end && !std::ranges::binary_search(mine, held))
      records.wanted.push_back(held.position);
  records.end = end >= KvTrees::last_of(m.leaf);
  records.next = records.end ? 0 : end + 1;
  send(from, std::move(records));
}

/// Takes the other's records. `kind` is what is done once they are durable.
void Kv::take(const NodeId& from, const KvSyncRecords& m, Deferred::Kind kind) {
  bool taken = true;
  std::optional<KvKey> last;
  for (const auto& entry : m.entries) {
    const auto nodes = replicas(entry.key);
    if (!nodes.has(self())) continue;
    ++counters_.records_received;
    taken = static_cast<bool>(apply(entry.key, entry.record)) && taken;
    if (!is_durable(entry.key)) last = entry.key;
  }
  if (!taken) {
    if (kind == Deferred::Kind::session) end_session(false);
    return;
  }
  // All were written by now, so the latest ticket among them is that of the last that is not durable.
  const Deferred deferred{kind, from, m.session, {}, m.leaf, {}};
  if (kind == Deferred::Kind::session) ++session_->open;
  if (last)
    defer(deferred, *last);
  else
    run(deferred, !broken_);
}

void Kv::on(const NodeId& from, KvSyncRecords& m) {
  if (m.ring != ring_.fingerprint() && m.status == KvStatus::ok) return;
  const bool own = session_ && session_->id == m.session && session_->peer == from;
  if (!own) {  // what this node wanted of another's session
    if (m.status == KvStatus::ok && m.wanted.empty()) take(from, m, Deferred::Kind::taken);
    return;
  }
  auto& session = *session_;
  if (m.status != KvStatus::ok) return end_session(false);
  if (session.leaves.empty() || session.leaves.back() != m.leaf || session.open != 0) return;
  session.deadline = now_ + config_.session_timeout;
  session.page_end = m.end;
  session.next = m.next;
  ++session.open;  // until all below is on its way
  const auto id = session.id;
  take(from, m, Deferred::Kind::session);
  if (!session_ || session_->id != id) return;
  send_wanted(m.wanted, m.leaf);
  --session_->open;
  page_done();
}

/// Sends what the other wants, in portions; it says when each is durable.
void Kv::send_wanted(const std::vector<std::uint64_t>& positions, std::uint16_t leaf) {
  auto& session = *session_;
  KvSyncRecords records{.session = session.id, .ring = ring_.fingerprint(), .leaf = leaf};
  std::size_t bytes = 0;
  const auto flush = [&] {
    if (records.entries.empty()) return;
    ++session.open;
    send(session.peer, records);
    records.entries.clear();
    bytes = 0;
  };
  for (const auto position : positions) {
    const auto entries = storage_.scan(position, 1);
    if (!entries) continue;
    for (const auto& entry : *entries) {
      if (entry.position != position || !replicas(entry.key).has(session.peer)) continue;
      auto record = storage_.read(entry.key);
      if (!record || record->empty()) continue;
      const auto size = bytes_of(*record) + entry.key.key.size() + 64;
      if (bytes > 0 && bytes + size > config_.page_bytes) flush();
      bytes += size;
      records.entries.push_back({entry.key, std::move(record).value()});
    }
  }
  flush();
}

void Kv::on(const NodeId& from, KvSyncTaken& m) {
  if (!session_ || session_->id != m.session || session_->peer != from || session_->open == 0) return;
  --session_->open;
  session_->deadline = now_ + config_.session_timeout;
  page_done();
}

/// Goes on with the next page once all of this one is durable on both sides.
void Kv::page_done() {
  auto& session = *session_;
  if (session.open != 0) return;
  if (session.page_end) {
    session.leaves.pop_back();
    session.from = session.leaves.empty() ? 0 : KvTrees::begin_of(session.leaves.back());
  } else {
    session.from = session.next;
  }
  ask_leaf();
}

}  // namespace cluster::proto
