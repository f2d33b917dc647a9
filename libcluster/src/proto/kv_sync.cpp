// Kv: the comparison with other nodes.
#include <algorithm>
#include <iterator>

#include "cluster/proto/kv.hpp"

namespace cluster::proto {

/// Before all is settled: of one that has not told of itself the comparison would not count, and if its
/// store has not begun yet, it would never answer.
bool Kv::can_compare_with(const NodeId& id) const {
  return reachable(id) && (settled_ || hellos_.contains(id));
}

void Kv::begin_session() {
  sync_at_ = now_ + config_.sync_interval;
  if (failed_at_ <= now_) {
    for (const auto& [id, life] : failed_) greet(id, true);  // that word may have been late
    failed_at_ = now_ + config_.sync_interval;
  }
  if (session_ || ring_.empty()) return;
  if (!trees_built_ || (!settled_ && hellos_.empty() && !members_.empty())) {
    sync_at_ = now_ + config_.view_interval;
    return;
  }
  auto wanted = lacking_;
  const auto answers = [this](const NodeId& id) { return can_compare_with(id); };
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
  ++counters_.sessions_completed;
  const auto hello = hellos_.find(peer);  // what it said it has is what it was compared with
  const bool counts = hello != hellos_.end() && hello->second.life == life;
  if (counts) {
    synced_.insert(peer);
    lacking_.erase(peer);  // which is all that changes: who else has what is the same
  } else {
    greet(peer, true);  // what is known of it may be a late word of an earlier process, and then stays
  }
  sync_soon_.erase(peer);
  if (lacking_.empty()) settle_if_complete();
  auto lacking = lacking_;
  // One that has not told of itself is not compared with: others would be, again and again.
  lacking.insert(sync_soon_.begin(), sync_soon_.end());
  const bool more = std::ranges::any_of(lacking, [this](const NodeId& id) { return can_compare_with(id); });
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
      auto outline = storage_.outline(entry.key);
      if (!outline || outline->record.empty()) continue;
      const auto size = outline->bytes + entry.key.key.size() + 64;
      if (bytes > 0 && bytes + size > config_.page_bytes && entry.position > begin) {
        end = entry.position - 1;
        break;
      }
      auto record = whole(entry.key, std::move(*outline));
      if (!record) continue;
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
    // What is held here and cannot be read, nobody reads here either: it does not hold up all the others.
    if (const auto applied = apply(entry.key, entry.record); !applied)
      taken = taken && applied.error().code() == Errc::corrupt;
    if (!is_durable(entry.key)) last = entry.key;
  }
  if (!taken) {
    if (kind == Deferred::Kind::session) end_session(false);
    return;
  }
  // All were written by now, so the latest ticket among them is that of the last that is not durable.
  const Deferred deferred{.kind = kind, .to = from, .id = m.session, .leaf = m.leaf};
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
  session_->wanted.assign(m.wanted.rbegin(), m.wanted.rend());
  session_->wanted_sent = 0;
  send_wanted();
  --session_->open;
  page_done();
}

/// Sends the next portion of what the other wants; it says when that is durable.
void Kv::send_wanted() {
  auto& session = *session_;
  KvSyncRecords records{.session = session.id, .ring = ring_.fingerprint(), .leaf = session.leaves.back()};
  std::size_t bytes = 0;
  for (bool full = false; !session.wanted.empty(); session.wanted.pop_back(), session.wanted_sent = 0) {
    const auto position = session.wanted.back();
    const auto entries = storage_.scan(position, 1);
    if (!entries) continue;
    std::size_t number = 0;  // among the keys of this position
    for (const auto& entry : *entries) {
      if (entry.position != position || !replicas(entry.key).has(session.peer)) continue;
      if (number++ < session.wanted_sent) continue;
      auto outline = storage_.outline(entry.key);
      if (!outline || outline->record.empty()) continue;
      const auto size = outline->bytes + entry.key.key.size() + 64;
      full = bytes > 0 && bytes + size > config_.page_bytes;
      if (full) break;
      auto record = whole(entry.key, std::move(*outline));
      if (!record) continue;
      bytes += size;
      records.entries.push_back({entry.key, std::move(record).value()});
      session.wanted_sent = number;
    }
    if (full) break;  // this one is the first of the next portion
  }
  session.deadline = now_ + config_.session_timeout + time_for(bytes);
  if (records.entries.empty()) return;
  ++session.open;
  send(session.peer, std::move(records));
}

void Kv::on(const NodeId& from, KvSyncTaken& m) {
  if (!session_ || session_->id != m.session || session_->peer != from || session_->open == 0) return;
  --session_->open;
  session_->deadline = now_ + config_.session_timeout;
  if (!session_->wanted.empty()) send_wanted();
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
