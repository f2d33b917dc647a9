// Kv: what this node holds as a replica.
#include <algorithm>

#include "cluster/proto/kv.hpp"

namespace cluster::proto {
namespace {

constexpr std::size_t kBuildKeys = 1024;  // put into the trees in one step

}  // namespace

/// Whether this node has all that it ever was to hold of the key, as far as others could tell it.
bool Kv::counts_for(const KvKey& key) const {
  if (settled_) return true;
  const auto& rule = bucket(key.bucket);
  if (!verified_ && too_many_silent(ring_.nodes_from(key, std::size_t{2} * rule.n), rule.w)) return false;
  return !bases_.empty() &&
         std::ranges::all_of(bases_, [&](const auto& base) { return base->is_replica(self(), key, rule); });
}

void Kv::on(const NodeId& from, KvRead& m) {
  if (broken_ || replicas(m.key).view != m.view) {
    counters_.views += broken_ ? 0 : 1;
    return send(from, KvReadReply{.id = m.id, .status = broken_ ? KvStatus::failed : KvStatus::view});
  }
  ++counters_.reads;
  Deferred reply{.kind = Deferred::Kind::read_reply, .to = from, .id = m.id, .key = m.key};
  reply.whole = m.whole;
  defer(std::move(reply), m.key);
}

void Kv::on(const NodeId& from, KvWrite& m) {
  if (broken_ || replicas(m.key).view != m.view) {
    counters_.views += broken_ ? 0 : 1;
    return send(from, KvWriteReply{m.id, broken_ ? KvStatus::failed : KvStatus::view, false});
  }
  ++counters_.writes;
  if (!apply(m.key, m.record)) return send(from, KvWriteReply{m.id, KvStatus::failed, false});
  defer({.kind = Deferred::Kind::write_reply, .to = from, .id = m.id, .key = m.key}, m.key);
}

Result<void> Kv::apply(const KvKey& key, const KvRecord& record) {
  auto outline = storage_.outline(key);
  if (!outline) return outline.error();
  const auto before = fingerprint(key, outline->record);
  Result<KvRecord> held = std::move(outline->record);
  if (!held->merge(record)) return {};
  prune(bucket(key.bucket), *held);
  if (outline->lacks(*held)) {
    held = storage_.read(key);
    if (!held) return held.error();
    held->merge(record);
    prune(bucket(key.bucket), *held);
  }
  if (held->siblings.size() > kKvSiblingsMax || bytes_of(*held) > kKvRecordBytesMax)
    return Error(Errc::too_large, "the key has too many siblings");
  return hold(key, *held, before);
}

Result<void> Kv::hold(const KvKey& key, const KvRecord& record, std::uint64_t before) {
  if (broken_) return Error(Errc::io, "this node's store has failed");
  const auto position = kv_position(key);
  const auto after = fingerprint(key, record);
  if (auto written = storage_.write({position, key, after}, record); !written) {
    if (const auto fault = storage_.fault(); !fault.empty()) end_part(fault);
    return written;
  }
  if (ticket_ == ticket_asked_) ++ticket_;
  auto& last = undurable_[key];
  if (last != ticket_) {
    last = ticket_;
    pending_[ticket_].keys.push_back(key);
  }
  const auto nodes = replicas(key);
  if (!nodes.has(self())) {
    foreign_ = true;
    foreign_found_ = true;
    upkeep_at_ = std::min(upkeep_at_, now_ + config_.upkeep_interval);
  }
  if (trees_built_ || position < trees_from_) {
    for (const auto& node : nodes.nodes)
      if (node != self()) trees_.change(node, position, before, after);
    if (!nodes.has(self())) foreign_keys_ = foreign_keys_ + (after != 0 ? 1 : 0) - (before != 0 ? 1 : 0);
  }
  out_.emplace_back(KvChanged{key});
  return {};
}

Result<KvRecord> Kv::whole(const KvKey& key, KvOutline outline) const {
  if (outline.left_out.empty()) return std::move(outline.record);
  return storage_.read(key);
}

Result<KvReadReply> Kv::look_up(const Deferred& read) const {
  auto outline = storage_.outline(read.key);
  if (!outline) return outline.error();
  KvReadReply reply{.id = read.id, .ready = counts_for(read.key)};
  if (!read.whole && outline->bytes > config_.large_bytes) {
    reply.status = KvStatus::large;
    reply.hash = fingerprint(read.key, outline->record);
    reply.bytes = outline->bytes;
    return reply;
  }
  auto record = whole(read.key, std::move(*outline));
  if (!record) return record.error();
  reply.record = std::move(record).value();
  return reply;
}

/// Runs at once, or when what is held of the key now is durable.
void Kv::defer(Deferred deferred, const KvKey& key) {
  const auto at = undurable_.find(key);
  if (at == undurable_.end()) return run(deferred, !broken_);
  if (deferred.kind == Deferred::Kind::read_reply || deferred.kind == Deferred::Kind::own_read)
    if (auto held = look_up(deferred)) {
      const auto bytes = bytes_of(held->record);
      if (deferred_bytes() + bytes > config_.operation_bytes_max) return;  // who asked will ask again
      pending_[at->second].read_bytes += bytes;
      deferred.read = std::move(held).value();
    }
  pending_[at->second].waiting.push_back(std::move(deferred));
}

std::size_t Kv::deferred_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [ticket, pending] : pending_) bytes += pending.read_bytes;
  return bytes;
}

void Kv::run(const Deferred& deferred, bool succeeded) {
  const auto status = succeeded ? KvStatus::ok : KvStatus::failed;
  switch (deferred.kind) {
    case Deferred::Kind::write_reply:
      return send(deferred.to, KvWriteReply{deferred.id, status, counts_for(deferred.key)});
    case Deferred::Kind::taken:
      if (succeeded) send(deferred.to, KvSyncTaken{deferred.id, deferred.leaf});
      return;
    case Deferred::Kind::session:
      if (session_ && session_->id == deferred.id) {
        if (!succeeded) return end_session(false);
        --session_->open;
        page_done();
      }
      return;
    case Deferred::Kind::own_write: {
      const auto at = operations_.find(deferred.id);
      if (at != operations_.end()) answer_phase(at, self(), status, counts_for(deferred.key));
      return;
    }
    case Deferred::Kind::read_reply:
    case Deferred::Kind::own_read:
      break;
  }
  KvReadReply reply{.id = deferred.id, .status = KvStatus::failed};
  if (succeeded)
    if (auto held = deferred.read ? Result<KvReadReply>(*deferred.read) : look_up(deferred))
      reply = std::move(held).value();
  if (deferred.kind == Deferred::Kind::read_reply) return send(deferred.to, std::move(reply));
  const auto at = operations_.find(deferred.id);
  if (at != operations_.end()) answer_read(at, self(), reply);
}

/// One portion of what is held goes into the hash trees.
void Kv::build_trees() {
  if (ring_.empty()) return;
  const auto entries = storage_.scan(trees_from_, kBuildKeys);
  if (!entries) {
    end_part(entries.error().message());
    trees_built_ = true;
    return;
  }
  for (const auto& entry : *entries) {
    const auto nodes = replicas(entry.key);
    for (const auto& node : nodes.nodes)
      if (node != self()) trees_.change(node, entry.position, 0, entry.hash);
    if (!nodes.has(self())) ++foreign_keys_;
  }
  trees_built_ = entries->size() < kBuildKeys || entries->back().position == ~std::uint64_t{0};
  trees_from_ = entries->empty() ? ~std::uint64_t{0} : entries->back().position + 1;
}

}  // namespace cluster::proto
