// Kv: reads that this node coordinates, those that a condition needs too.
#include <algorithm>
#include <utility>

#include "cluster/proto/kv.hpp"

namespace cluster::proto {

void Kv::begin_read(Operations::iterator at) {
  auto& operation = at->second;
  operation.phase = Phase::reading;
  operation.answered.clear();
  operation.record = {};
  const auto& nodes = operation.replicas.nodes;
  const auto present = std::ranges::count_if(nodes, [this](const NodeId& id) { return can_serve(id); });
  if (nodes.empty() || static_cast<std::size_t>(present) < operation.replicas.r)
    return await_ring(at, broken_ ? Errc::io : Errc::unreachable,
                      broken_ ? "this node's store has failed, and too few others can be reached for a read"
                              : "too few replicas of the key can be reached for a read");
  send_phase(at);
}

void Kv::on(const NodeId& from, KvReadReply& m) {
  if (const auto at = operations_.find(m.id); at != operations_.end()) answer_read(at, from, m);
}

void Kv::answer_read(Operations::iterator at, const NodeId& from, const KvReadReply& m) {
  auto& operation = at->second;
  if (!operation.replicas.has(from)) return;
  if (m.status == KvStatus::view) {
    if (!operation.done) operation.retry_at = std::min(operation.retry_at, now_ + config_.view_interval);
    return;
  }
  if (operation.phase != Phase::reading) return answer_late_read(at, from, m);
  const bool is_large = m.status == KvStatus::large;
  const bool is_there = is_large || m.status == KvStatus::ok;
  if (from == operation.fetching) {
    if (is_large) return;  // to the first question
    operation.fetching = {};
  }
  operation.answered[from] = {is_there ? KvStatus::ok : m.status, m.ready && is_there,
                              is_large ? m.hash : fingerprint(operation.request.key, m.record), is_large};
  if (is_large) operation.large_bytes = std::max<std::size_t>(operation.large_bytes, m.bytes);
  if (m.status == KvStatus::ok) {
    operation.record.merge(m.record);
    const auto bytes = 2 * bytes_of(operation.record);  // it, and the answer that is made of it
    if (bytes > kShortBytes && bytes > operation.room && !take_room(operation, bytes))
      return fail(at, Errc::overloaded, "too many bytes are being read");
  }
  if (ready_answers(operation) < operation.replicas.r || !operation.fetching.empty()) return;
  if (holder_of_missing(operation))
    fetch(at);
  else
    end_read(at);
}

/// Of a replica that answered after R others had: if it is behind, it is told.
void Kv::answer_late_read(Operations::iterator at, const NodeId& from, const KvReadReply& m) {
  auto& operation = at->second;
  const bool is_large = m.status == KvStatus::large;
  if ((!is_large && m.status != KvStatus::ok) || operation.is_write() || operation.answered.contains(from))
    return;
  const auto& key = operation.request.key;
  operation.answered[from] = {KvStatus::ok, m.ready, operation.hash};
  if ((is_large ? m.hash : fingerprint(key, m.record)) != operation.hash) {
    ++counters_.repairs;
    auto known = m.record;
    known.merge(operation.record);
    prune(bucket(key.bucket), known);
    operation.answered.erase(from);
    if (from != self()) {
      send(from, KvWrite{at->first, key, operation.replicas.view, std::move(known)});
    } else if (apply(key, known)) {
      defer({.kind = Deferred::Kind::own_write, .id = at->first, .key = key}, key);
      return;  // the operation may be over
    }
  }
  end_phase_if_complete(at);
}

/// Room for `bytes` of what all reads together may hold. One alone always has it.
bool Kv::take_room(Operation& operation, std::size_t bytes) {
  const auto others = read_bytes_ - operation.room;
  if (others != 0 && others + bytes > config_.operation_bytes_max) return false;
  read_bytes_ = others + bytes;
  operation.room = bytes;
  return true;
}

/// Of reads that wait for each other's room the oldest goes on; the others begin anew.
void Kv::give_room(Operations::iterator at) {
  auto& operation = at->second;
  const auto oldest = std::ranges::find_if(operations_, [](const auto& other) {
    return other.second.phase == Phase::reading && other.second.room != 0;
  });
  if (operation.room == 0 || oldest == at) return;
  read_bytes_ -= std::exchange(operation.room, 0);
  operation.record = {};
  operation.answered.clear();
}

/// Who holds a record that was counted, and of which only the hash is known; this node if it can.
std::optional<NodeId> Kv::holder_of_missing(const Operation& operation) const {
  std::optional<NodeId> holder;
  for (const auto& [node, answer] : operation.answered) {
    if (!answer.large) continue;
    const bool held = std::ranges::any_of(operation.answered, [&](const auto& other) {
      return !other.second.large && other.second.status == KvStatus::ok && other.second.hash == answer.hash;
    });
    if (!held && (!holder || node == self())) holder = node;
  }
  return holder;
}

/// Large records are sent for one at a time, and only when there is room for them: till then the read waits.
void Kv::fetch(Operations::iterator at) {
  auto& operation = at->second;
  const auto from = holder_of_missing(operation);
  operation.retry_at = now_ + config_.view_interval;
  const auto bytes = 2 * (bytes_of(operation.record) + operation.large_bytes);
  if (!take_room(operation, std::max(operation.room, bytes))) return give_room(at);
  operation.fetching = *from;
  operation.retry_at = now_ + config_.retry_interval + time_for(bytes);
  const auto& key = operation.request.key;
  if (*from != self()) return send(*from, KvRead{at->first, key, operation.replicas.view, true});
  Deferred own{.kind = Deferred::Kind::own_read, .id = at->first, .key = key};
  own.whole = true;
  defer(std::move(own), key);
}

void Kv::end_read(Operations::iterator at) {
  auto& operation = at->second;
  const auto& key = operation.request.key;
  if (operation.is_write()) {
    if (!operation.granted) {  // what is held when it is will be judged
      operation.retry_at = now_ + config_.retry_interval;
      return;
    }
    if (auto taken = apply(key, operation.record); !taken) return give_up_here(at, taken.error());
    const auto held = storage_.outline(key);
    if (!held) return give_up_here(at, held.error());
    const auto condition = operation.request.condition;
    if (!fulfils(operation, held->record))
      return fail(at, condition == KvCondition::absent ? Errc::already_exists : Errc::refused,
                  condition == KvCondition::absent    ? "the key has a value"
                  : condition == KvCondition::present ? "the key has no value"
                                                      : "the value has changed meanwhile");
    if (condition == KvCondition::replace || condition == KvCondition::present)
      operation.request.context.merge(held->record.context);
    return begin_write(at);
  }
  prune(bucket(key.bucket), operation.record);
  operation.hash = fingerprint(key, operation.record);
  operation.answer = answer_of(bucket(key.bucket), operation.record);
  // What is returned must be found by all later reads: the replicas that were counted have it first.
  operation.phase = Phase::settling;
  std::erase_if(operation.answered, [&](const auto& answer) {
    const bool behind = answer.second.hash != operation.hash;
    counters_.repairs += behind && answer.second.status == KvStatus::ok ? 1 : 0;
    return behind;
  });
  if (ready_answers(operation) < operation.replicas.r) return send_phase(at);
  end_phase_if_complete(at);
}

bool Kv::fulfils(const Operation& operation, const KvRecord& record) const {
  const auto condition = operation.request.condition;
  if (condition == KvCondition::none || condition == KvCondition::replace) return true;
  if (condition == KvCondition::absent) return is_dead(record, wall_);
  if (condition == KvCondition::present) return !is_dead(record, wall_);
  return !is_dead(record, wall_) &&
         std::ranges::all_of(record.siblings, [&](const KvRecord::Sibling& sibling) {
           return operation.request.context.covers(sibling.dot);
         });
}

KvAnswer Kv::answer_of(const KvBucket& rule, const KvRecord& record) const {
  KvAnswer answer{.context = record.context};
  for (const auto& sibling : record.siblings)
    if (!sibling.value.is_dead(wall_)) answer.values.push_back(sibling.value.data);
  if (const auto expires = expires_last(record, wall_); expires != WallTime{})
    answer.ttl_ms =
        static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(expires - wall_).count());
  if (rule.resolve != KvResolve::merge) return answer;
  while (answer.values.size() > 1) {
    answer.values.front() = rule.merge(answer.values.front(), answer.values.back());
    answer.values.pop_back();
  }
  return answer;
}

}  // namespace cluster::proto
