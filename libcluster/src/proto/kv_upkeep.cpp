// Kv: what others missed, keys that belong elsewhere, and deleted keys.
#include <algorithm>

#include "cluster/proto/kv.hpp"

namespace cluster::proto {
namespace {

constexpr std::size_t kSpreadsMax = 64;  // under way at once
constexpr Duration kSpreadTimeout = 3s;
constexpr Duration kPassInterval = 1s;  // between two looks for keys that belong elsewhere
constexpr Duration kForgetTimeout = 5s;
constexpr std::size_t kDeadKeys = 256;  // looked at in one step
constexpr Duration kDeadStep = 20ms;

}  // namespace

void Kv::hint(const NodeId& to, const KvKey& key) {
  if (hints_held_ >= config_.hints_max) return;
  if (hints_[to].insert(key).second) ++hints_held_;
  upkeep_at_ = std::min(upkeep_at_, now_ + config_.upkeep_interval);
}

void Kv::spread_hints() {
  for (auto at = hints_.begin(); at != hints_.end();) {
    auto& [node, keys] = *at;
    if (!members_.contains(node) || ring_.ring().weight(node.str()) == 0) {
      hints_held_ -= keys.size();
      at = hints_.erase(at);
      continue;
    }
    while (reachable(node) && !keys.empty() && can_spread()) {
      spread(*keys.begin(), {node}, false);
      keys.erase(keys.begin());
      --hints_held_;
    }
    at = keys.empty() ? hints_.erase(at) : std::next(at);
  }
}

/// What is under way is bounded; a record greater than that goes alone.
bool Kv::can_spread() const noexcept {
  return spreads_.size() < kSpreadsMax && spread_bytes_ < config_.spread_bytes_max;
}

void Kv::spread(const KvKey& key, std::set<NodeId> to, bool hands_over) {
  if (to.empty()) return;
  auto record = storage_.read(key);
  if (!record || record->empty()) return;
  const auto placed = replicas(key);
  const auto id = ++last_id_;
  const auto bytes = bytes_of(*record);
  const auto sent_bytes = bytes * to.size();
  for (const auto& node : to) send(node, KvWrite{id, key, placed.view, *record}, true);
  spread_bytes_ += sent_bytes;
  spreads_.emplace(id, Spread{key, fingerprint(key, *record), std::move(to), hands_over,
                              now_ + kSpreadTimeout + time_for(spread_bytes_), bytes, sent_bytes});
  upkeep_at_ = std::min(upkeep_at_, now_ + config_.upkeep_interval);
}

bool Kv::take_spread_reply(const NodeId& from, const KvWriteReply& m) {
  const auto at = spreads_.find(m.id);
  if (at == spreads_.end()) return false;
  auto& spread = at->second;
  if (m.status == KvStatus::view && spread.hands_over) {  // tried again once that node is in this ring
    spread.deadline = now_;
    upkeep_at_ = std::min(upkeep_at_, now_ + config_.upkeep_interval);
  }
  if (m.status != KvStatus::ok) return true;
  spread.pending.erase(from);
  if (!spread.pending.empty()) return true;
  if (!spread.hands_over) {
    ++counters_.hinted;
  } else {
    // All that took it have it on their disks.
    const auto position = kv_position(spread.key);
    const auto held = storage_.hash_of(position, spread.key);
    if (held && *held == spread.hash && !replicas(spread.key).has(self()) && hold(spread.key, {}, *held)) {
      ++counters_.handed_over;
      counters_.handed_over_bytes += spread.bytes;
    }
  }
  spread_bytes_ -= spread.sent_bytes;
  spreads_.erase(at);
  upkeep_at_ = std::min(upkeep_at_, now_ + config_.upkeep_interval);
  return true;
}

/// A hint that was not taken is one again; keys to hand over are found in the next pass.
void Kv::drop_late_spreads() {
  for (auto next = spreads_.begin(); next != spreads_.end();) {
    const auto at = next++;
    if (at->second.deadline > now_) continue;
    const auto late = std::move(spreads_.extract(at).mapped());
    spread_bytes_ -= late.sent_bytes;
    if (!late.hands_over)
      for (const auto& node : late.pending) hint(node, late.key);
  }
  if (!spreads_.empty() || (foreign_ && !ring_.empty()))
    upkeep_at_ = std::min(upkeep_at_, now_ + config_.upkeep_interval);
}

/// Who is sent a key that this node is to drop: all its replicas, in the same ring by now. Of a node that is
/// leaving those that can be reached, if they are enough for a write: its copy goes in any case.
std::set<NodeId> Kv::takers(const KvReplicas& placed) const {
  std::set<NodeId> nodes;
  for (const auto& id : placed.nodes)
    if (reachable(id) && hellos_.contains(id))
      nodes.insert(id);
    else if (reachable(id) || !is_leaving())
      return {};
  return nodes.size() < placed.w ? std::set<NodeId>() : nodes;
}

/// One portion of the keys that this node holds and is no replica of.
void Kv::hand_over() {
  if (!foreign_ || ring_.empty() || !can_spread()) return;
  const auto entries = storage_.scan(foreign_from_, config_.page_keys);
  if (!entries) return;
  bool cut = false;
  for (const auto& entry : *entries) {
    const auto placed = replicas(entry.key);
    if (!placed.has(self())) {
      foreign_found_ = true;
      cut = !can_spread();
      if (cut) break;
      spread(entry.key, takers(placed), true);
    }
    foreign_from_ = entry.position + 1;
  }
  const bool at_end =
      !cut && (entries->size() < config_.page_keys || entries->back().position == ~std::uint64_t{0});
  upkeep_at_ = std::min(upkeep_at_, now_ + (at_end ? kPassInterval : config_.upkeep_interval));
  if (!at_end) return;
  foreign_ = foreign_found_;
  foreign_found_ = false;
  foreign_from_ = 0;
}

// Deleted keys. Their records keep older values from coming back, until every member has agreed that it holds
// none: then nobody is left to bring one.

/// One portion of the search for keys of which this node is the owner and nothing has been left for long.
void Kv::look_for_dead() {
  dead_at_ = now_ + (settled_ && !forgetting_ ? kDeadStep : kPassInterval);
  if (!settled_ || forgetting_) return;
  const auto entries = storage_.scan(dead_from_, kDeadKeys);
  if (!entries) return;
  std::size_t bytes = 0;
  bool cut = false;
  for (const auto& entry : *entries) {
    cut = bytes > config_.page_bytes && entry.position >= dead_from_;  // keys of one position stay together
    if (cut) break;
    dead_from_ = entry.position + 1;
    auto outline = storage_.outline(entry.key);
    if (!outline) continue;
    auto& record = outline->record;
    bytes += bytes_of(record);
    if (record.empty() || !is_dead(record, wall_)) continue;
    if (outline->bytes != 0) {  // expired: the dots alone are of use, also where a clock is behind
      for (auto& sibling : record.siblings) {
        sibling.value.data.clear();
        sibling.value.deleted = true;
      }
      static_cast<void>(hold(entry.key, record, entry.hash));
    }
    auto since = written_last(record);
    for (const auto& sibling : record.siblings) since = std::max(since, sibling.value.expires);
    const auto nodes = replicas(entry.key).nodes;
    const bool old =
        since + std::chrono::duration_cast<std::chrono::microseconds>(config_.tombstone_age) < wall_;
    if (old && !nodes.empty() && nodes.front() == self() && dead_.size() < kKvForgetMax)
      dead_.push_back({entry.key, entry.hash});
  }
  const bool at_end = !cut && (entries->size() < kDeadKeys || entries->back().position == ~std::uint64_t{0});
  if (at_end) {
    dead_from_ = 0;
    dead_at_ = now_ + std::max<Duration>(config_.sync_interval, config_.tombstone_age / 8);
  }
  if (dead_.size() == kKvForgetMax || (at_end && !dead_.empty())) ask_to_forget();
}

void Kv::ask_to_forget() {
  auto entries = std::exchange(dead_, {});
  if (!std::ranges::all_of(members_, [this](const NodeId& id) { return reachable(id); })) return;
  if (members_.empty()) return forget(entries);
  forgetting_ = Forgetting{++last_id_, std::move(entries), members_, now_ + kForgetTimeout};
  const KvForget ask{forgetting_->id, ring_.fingerprint(), forgetting_->entries, false};
  for (const auto& member : members_) send(member, ask);
}

void Kv::forget(const std::vector<KvForget::Entry>& entries) {
  for (const auto& [key, hash] : entries) {
    const auto held = storage_.hash_of(kv_position(key), key);
    if (held && *held == hash && hold(key, {}, hash)) ++counters_.forgotten;
  }
}

void Kv::on(const NodeId& from, KvForget& m) {
  const bool same = m.ring == ring_.fingerprint() && !broken_ && members_.contains(from);
  if (m.now) {
    if (same) forget(m.entries);
    return;
  }
  KvForgetReply reply{.id = m.id, .status = same ? KvStatus::ok : KvStatus::view};
  for (const auto& [key, hash] : m.entries) {
    const auto held = storage_.hash_of(kv_position(key), key);
    reply.agreed.push_back(same && held && (*held == 0 || *held == hash));
  }
  send(from, std::move(reply));
}

void Kv::on(const NodeId& from, KvForgetReply& m) {
  if (!forgetting_ || forgetting_->id != m.id || !forgetting_->pending.contains(from)) return;
  auto& round = *forgetting_;
  if (m.status != KvStatus::ok || m.agreed.size() != round.entries.size()) {
    forgetting_.reset();
    return;
  }
  std::vector<KvForget::Entry> agreed;
  for (std::size_t i = 0; i < round.entries.size(); ++i)
    if (!m.agreed[i]) round.entries[i].hash = 0;  // kept; its place in the answers stays
  round.pending.erase(from);
  if (!round.pending.empty()) return;
  for (auto& entry : round.entries)
    if (entry.hash != 0) agreed.push_back(std::move(entry));
  forgetting_.reset();
  if (agreed.empty()) return;
  for (const auto& member : members_) send(member, KvForget{0, ring_.fingerprint(), agreed, true});
  forget(agreed);
}

}  // namespace cluster::proto
