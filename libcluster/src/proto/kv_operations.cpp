// Kv: requests that this node coordinates, or forwards to a replica that does.
#include <algorithm>

#include "cluster/proto/kv.hpp"
#include "cluster/proto/moment.hpp"

namespace cluster::proto {
namespace {

// A forwarded request that was refused with this was not begun, and is placed anew.
constexpr Errc kPlacedElsewhere = Errc::cancelled;
// How long replicas are waited for once the client has its answer.
constexpr Duration kLinger = 1s;
constexpr std::size_t kForwardsMax = 4096;  // remembered
// Greater counts that somebody claims to have seen leave room for honest ones.
constexpr std::uint64_t kSeenCountMax = std::uint64_t{1} << 62;
constexpr const char* kBroken = "this node's store has failed";

/// Another replica may well do what this error kept one from.
bool is_of_disk(Errc code) noexcept { return code == Errc::io || code == Errc::corrupt; }

/// The writes that both have seen.
VersionVector common(const VersionVector& a, const VersionVector& b) {
  VersionVector both;
  for (auto dot : a.entries) {
    const auto at = std::ranges::lower_bound(b.entries, dot.actor, {}, &Dot::actor);
    if (at == b.entries.end() || at->actor != dot.actor) continue;
    dot.count = std::min(dot.count, at->count);
    both.entries.push_back(dot);
  }
  return both;
}

/// Where the last write wins it has to be later than what it replaces: who writes it must have seen that.
bool has_missed_some(const KvStorage& storage, const KvBucket& rule, const KvRequest& request) {
  if (rule.resolve != KvResolve::last || request.context.entries.empty()) return false;
  const auto held = storage.outline(request.key);
  return held && !held->record.context.descends(request.context);
}

/// What a writer has seen after the write `own`.
VersionVector seen_after(VersionVector seen, const Dot& own) {
  seen.add(own);
  while (seen.entries.size() > KvRecord::kContextMax)
    seen.entries.erase(std::ranges::min_element(seen.entries, {}, &Dot::count));
  return seen;
}

}  // namespace

/// Their number and their values are bounded; short ones always find room for their bytes.
bool Kv::has_room(const KvRequest& request) const {
  if (operations_.size() >= config_.operations_max) return false;
  if (request.value.size() <= kShortBytes) return true;
  std::size_t bytes = request.value.size();
  for (const auto& [id, operation] : operations_)
    bytes += operation.request.value.size() + (operation.placed ? bytes_of(operation.record) : 0);
  return bytes <= config_.operation_bytes_max;
}

void Kv::place(Operations::iterator at) {
  auto& operation = at->second;
  // Alone it would answer from what it happens to hold, and take writes that the ring it joins never heard
  // of.
  if (ring_name_.empty()) return await_ring(at, Errc::unreachable, "this node is in no ring");
  claim(at);
  operation.replicas = replicas(operation.request.key);
  const auto& nodes = operation.replicas.nodes;
  if (!operation.is_write()) return begin_read(at);
  // A replica writes by itself; where a condition is to be judged, all go through the same one.
  const bool mine = operation.replicas.has(self());
  const bool is_handed_on = !operation.client.node.empty();
  if (is_handed_on && !mine) return fail(at, kPlacedElsewhere, "this node is no replica of the key");
  if (is_handed_on && broken_) return fail(at, Errc::io, kBroken);
  NodeId coordinator = self();
  const bool able = mine && !broken_ && !operation.tried.contains(self());
  if (!is_handed_on && (!able || operation.request.condition != KvCondition::none)) {
    const auto is_next = [&](const NodeId& id) { return can_serve(id) && !operation.tried.contains(id); };
    auto first = std::ranges::find_if(nodes, is_next);
    if (first == nodes.end() && !operation.tried.empty()) {
      operation.tried.clear();
      first = std::ranges::find_if(nodes, is_next);
    }
    if (first == nodes.end())
      return await_ring(at, broken_ ? Errc::io : Errc::unreachable,
                        broken_
                            ? "this node's store has failed, and no other replica of the key can be reached"
                            : "no replica of the key can be reached");
    coordinator = *first;
  }
  if (coordinator != self()) {
    operation.coordinator = coordinator;
    return forward(at);
  }
  const bool has_missed = has_missed_some(storage_, bucket(operation.request.key.bucket), operation.request);
  if (operation.request.condition != KvCondition::none || has_missed) return begin_read(at);
  if (operation.granted) return begin_write(at);
  operation.phase = Phase::claiming;
  operation.retry_at = now_ + config_.retry_interval;
}

/// As if nothing had been begun.
void Kv::place_anew(Operation& operation, Instant when) {
  read_bytes_ -= std::exchange(operation.room, 0);
  operation.record = {};
  operation.answered.clear();
  operation.answer = {};
  operation.fetching = {};
  operation.phase = Phase::waiting;
  operation.retry_at = when;
}

/// It cannot be done in this ring. If the next one is coming it waits for that: who is gone may be no replica
/// of the key there, nor this node without a ring.
void Kv::await_ring(Operations::iterator at, Errc code, std::string text) {
  if (!coming_) return fail(at, code, std::move(text));
  place_anew(at->second, coming_->at);
}

/// Has a replica coordinate that was not tried yet, if there is one: nothing was begun at `failed`.
bool Kv::place_elsewhere(Operation& operation, const NodeId& failed) {
  operation.tried.insert(failed);
  const auto is_next = [&](const NodeId& id) { return can_serve(id) && !operation.tried.contains(id); };
  if (std::ranges::none_of(operation.replicas.nodes, is_next)) return false;
  place_anew(operation, now_);
  check_at_ = now_;
  return true;
}

/// A write of which the storage here would have nothing: who has it done by others goes on to the next.
void Kv::give_up_here(Operations::iterator at, const Error& why) {
  auto& operation = at->second;
  const bool can_go_on = is_of_disk(why.code()) && !operation.placed && operation.client.node.empty();
  if (can_go_on && place_elsewhere(operation, self())) return;
  fail(at, why.code(), why.message());
}

/// Who does not claim it in time never will: a write must not be done twice, nor long after its writer was
/// answered.
void Kv::forward(Operations::iterator at) {
  auto& operation = at->second;
  operation.phase = Phase::forwarding;
  operation.claimed = false;
  operation.retry_at = now_ + config_.retry_interval +
                       time_for(operation.request.value.size()) * (1 << std::min(operation.forwards++, 6));
  KvForward forward{at->first, operation.request};
  // No longer than its writer waits.
  const auto left = std::clamp<Duration>(operation.deadline - now_, 1ms, std::chrono::hours(24));
  forward.request.timeout_ms = static_cast<std::uint32_t>(left / 1ms);
  send(operation.coordinator, std::move(forward));
}

void Kv::claim(Operations::const_iterator at) {
  const auto& client = at->second.client;
  if (!at->second.granted) send(client.node, KvClaim{client.id, at->first});
}

void Kv::begin_write(Operations::iterator at) {
  auto& operation = at->second;
  operation.phase = Phase::writing;
  operation.answered.clear();
  const auto& key = operation.request.key;
  const auto present =
      std::ranges::count_if(operation.replicas.nodes, [this](const NodeId& id) { return reachable(id); });
  if (static_cast<std::size_t>(present) < operation.replicas.w)
    return await_ring(at, Errc::unreachable, "too few replicas of the key can be reached for a write");
  std::uint64_t before = 0;
  Dot own;
  auto record = written(operation, before, own);
  if (!record) return give_up_here(at, record.error());
  operation.record = std::move(record).value();
  operation.hash = fingerprint(key, operation.record);
  // Others' values, beside its own or merged with it, the writer has not seen.
  const auto& siblings = operation.record.siblings;
  operation.answer.context = siblings.size() == 1 && siblings.front().dot == own
                                 ? operation.record.context
                                 : seen_after(operation.request.context, own);
  // A disk that failed of it may hold some of it: the write goes on with the other replicas.
  const bool was_broken = broken_;
  auto held = hold(key, operation.record, before);
  operation.placed = held || broken_ != was_broken;
  if (!operation.placed) return give_up_here(at, held.error());
  for (const auto& node : operation.replicas.nodes)
    if (!reachable(node)) hint(node, key);
  send_phase(at);
}

/// The record after this write, the fingerprint of the one before, and the write's number.
Result<KvRecord> Kv::written(const Operation& operation, std::uint64_t& before, Dot& own) {
  const auto& request = operation.request;
  auto outline = storage_.outline(request.key);
  if (!outline) return outline.error();
  before = fingerprint(request.key, outline->record);
  const auto& rule = bucket(request.key.bucket);
  // Not less than the clock says: who lost its disk has seen nothing.
  const auto last = std::max({outline->record.context.last(), request.context.last(), millis(wall_)});
  count_ = std::max(count_, std::min(last, kSeenCountMax)) + 1;
  own = {actor_for(outline->record, request.context), count_};
  const auto put_in = [&](KvRecord& into) {
    KvValue value{.deleted = request.verb == KvVerb::del, .written = wall_};
    if (!value.deleted) value.data = request.value;
    if (rule.resolve == KvResolve::last)  // later than what it replaces, whatever the clocks say
      for (const auto& sibling : into.siblings)
        value.written = std::max(value.written, sibling.value.written + std::chrono::microseconds(1));
    if (request.ttl_ms != 0) value.expires = wall_ + std::chrono::milliseconds(request.ttl_ms);
    auto seen = request.context;
    if (rule.resolve == KvResolve::last) seen = common(seen, into.context);
    into.put(seen, own, std::move(value));
    prune(rule, into);
  };
  Result<KvRecord> held = std::move(outline->record);
  put_in(*held);
  if (outline->lacks(*held)) {
    held = storage_.read(request.key);
    if (!held) return held;
    put_in(*held);
  }
  auto& record = *held;
  if (rule.resolve == KvResolve::merge && record.siblings.size() > 1) {
    const auto merged = answer_of(rule, record);
    if (merged.values.size() == 1) {
      if (merged.values.front().size() > kKvValueBytesMax)
        return Error(Errc::too_large, "the values of the key would be merged to more than 64 MiB");
      KvValue one{.data = merged.values.front(), .written = wall_, .expires = expires_last(record, wall_)};
      record.put(VersionVector(record.context), {actor_, ++count_}, std::move(one));
    }
  }
  if (record.siblings.size() > kKvSiblingsMax)
    return Error(Errc::overloaded, "the key has 64 siblings already: read it, and write with the context");
  if (bytes_of(record) > kKvRecordBytesMax)
    return Error(Errc::too_large, "the values of the key would be more than 65 MiB");
  return held;
}

/// The first actor of this process of whose writes the writer has missed none that can be read: a context can
/// tell of his write then without telling of theirs.
Boot Kv::actor_for(const KvRecord& record, const VersionVector& seen) const {
  auto actor = actor_;
  const auto is_missed = [&](const KvRecord::Sibling& sibling) {
    return sibling.dot.actor == actor && !seen.covers(sibling.dot);
  };
  while (std::ranges::any_of(record.siblings, is_missed)) ++actor.nonce;
  return actor;
}

/// Asks all replicas whose answers do not count in this phase.
void Kv::send_phase(Operations::iterator at) {
  auto& operation = at->second;
  // Who was not ready then may be by now.
  std::erase_if(operation.answered, [](const auto& answer) { return !answer.second.ready; });
  if (operation.phase == Phase::reading) {
    // Who was to send the whole did not, or will not: another one may.
    if (!operation.fetching.empty()) operation.answered.erase(std::exchange(operation.fetching, NodeId()));
    std::erase_if(operation.answered,
                  [this](const auto& answer) { return answer.second.large && !reachable(answer.first); });
    if (ready_answers(operation) >= operation.replicas.r)
      return holder_of_missing(operation) ? fetch(at) : end_read(at);
  }
  operation.retry_at = now_ + config_.retry_interval + time_for(bytes_of(operation.record));
  const auto key = operation.request.key;
  bool own = false;
  for (const auto& node : operation.replicas.nodes) {
    if (operation.answered.contains(node) || !reachable(node)) continue;
    if (node == self())
      own = true;
    else if (operation.phase == Phase::reading)
      send(node, KvRead{at->first, key, operation.replicas.view});
    else
      send(node, KvWrite{at->first, key, operation.replicas.view, operation.record});
  }
  if (!own) return;
  if (operation.phase == Phase::settling)
    if (auto taken = apply(key, operation.record); !taken) {
      if (!is_of_disk(taken.error().code())) return fail(at, taken.error().code(), taken.error().message());
      return answer_phase(at, self(), KvStatus::failed, false);
    }
  const auto kind = operation.phase == Phase::reading ? Deferred::Kind::own_read : Deferred::Kind::own_write;
  defer({.kind = kind, .id = at->first, .key = key}, key);
}

void Kv::on(const NodeId& from, KvForward& m) {
  if (!forwards_.emplace(from, m.id).second) return;  // come twice
  forwards_in_order_.emplace_back(from, m.id);
  if (forwards_in_order_.size() > kForwardsMax) {
    forwards_.erase(forwards_in_order_.front());
    forwards_in_order_.pop_front();
  }
  const auto refuse = [&](Errc code, const char* why) {
    send(from, KvForwarded{.id = m.id, .answer = {}, .failure = KvFailure{code, why}});
  };
  if (broken_) return refuse(Errc::io, kBroken);
  if (!has_room(m.request)) return refuse(Errc::overloaded, "too many requests are under way");
  const auto at = operations_.emplace(++last_id_, Operation{}).first;
  at->second.client = {from, m.id};
  at->second.request = std::move(m.request);
  const auto timeout = at->second.request.timeout_ms == 0
                           ? config_.request_timeout
                           : std::chrono::milliseconds(at->second.request.timeout_ms);
  at->second.deadline = saturated_add(now_, timeout);
  at->second.granted = false;
  place(at);
}

void Kv::on(const NodeId& from, KvClaim& m) {
  const auto at = operations_.find(m.id);
  const bool granted =
      at != operations_.end() && at->second.phase == Phase::forwarding && at->second.coordinator == from;
  if (granted) {
    at->second.claimed = true;
    at->second.retry_at = kNever;
  }
  send(from, KvGrant{m.operation, granted});
}

void Kv::on(const NodeId& from, KvGrant& m) {
  const auto at = operations_.find(m.operation);
  if (at == operations_.end() || at->second.client.node != from || at->second.granted) return;
  if (!m.granted) return end(at);
  auto& operation = at->second;
  if (operation.deadline <= now_)
    return fail(at, Errc::timeout, "its time was over before it could be written");
  operation.granted = true;
  if (operation.phase == Phase::claiming) return place(at);
  const bool is_read = operation.phase == Phase::reading && operation.fetching.empty() &&
                       ready_answers(operation) >= operation.replicas.r && !holder_of_missing(operation);
  if (is_read) end_read(at);
}

void Kv::on(const NodeId& from, KvForwarded& m) {
  const auto at = operations_.find(m.id);
  if (at == operations_.end() || at->second.phase != Phase::forwarding || at->second.coordinator != from)
    return;
  auto& operation = at->second;
  if (!m.failure) {
    reply(operation, std::move(m.answer));
    operations_.erase(at);
  } else if (m.failure->code == kPlacedElsewhere) {
    place_anew(operation, now_ + config_.view_interval);
  } else if (is_of_disk(m.failure->code) && m.failure->executed == Executed::no &&
             place_elsewhere(operation, from)) {
    return;
  } else {
    reply(operation, Error(m.failure->code, std::move(m.failure->text), m.failure->executed));
    operations_.erase(at);
  }
}

void Kv::on(const NodeId& from, KvWriteReply& m) {
  if (take_spread_reply(from, m)) return;
  if (const auto at = operations_.find(m.id); at != operations_.end())
    answer_phase(at, from, m.status, m.ready);
}

/// To a write.
void Kv::answer_phase(Operations::iterator at, const NodeId& from, KvStatus status, bool ready) {
  auto& operation = at->second;
  if (!operation.replicas.has(from)) return;
  if (status == KvStatus::view) {
    if (!operation.done) operation.retry_at = std::min(operation.retry_at, now_ + config_.view_interval);
    return;
  }
  if (operation.phase != Phase::writing && operation.phase != Phase::settling) return;
  operation.answered[from] = {status, ready, operation.hash};
  end_phase_if_complete(at);
}

std::size_t Kv::ready_answers(const Operation& operation) const {
  return static_cast<std::size_t>(std::ranges::count_if(operation.answered, [](const auto& answer) {
    return answer.second.ready && answer.second.status == KvStatus::ok;
  }));
}

void Kv::end_phase_if_complete(Operations::iterator at) {
  auto& operation = at->second;
  const auto needed = operation.phase == Phase::writing ? operation.replicas.w : operation.replicas.r;
  if (!operation.done && ready_answers(operation) >= needed) {
    reply(operation, std::move(operation.answer));
    operation.deadline = std::min(operation.deadline, saturated_add(now_, kLinger));
  }
  const auto is_over = [&](const NodeId& node) {
    return operation.answered.contains(node) || !reachable(node);
  };
  if (operation.done && std::ranges::all_of(operation.replicas.nodes, is_over)) end(at);
}

/// Who has not taken the write by now is told later.
void Kv::end(Operations::iterator at) {
  const auto& operation = at->second;
  if (operation.phase == Phase::writing)
    for (const auto& node : operation.replicas.nodes)
      if (!operation.answered.contains(node) && node != self()) hint(node, operation.request.key);
  read_bytes_ -= operation.room;
  operations_.erase(at);
}

void Kv::reply(Operation& operation, Result<KvAnswer> answer) {
  operation.done = true;
  if (!answer) ++counters_.failures;
  if (operation.client.node.empty()) {
    out_.emplace_back(KvReply{operation.client.id, std::move(answer)});
    return;
  }
  KvForwarded reply{.id = operation.client.id};
  if (answer)
    reply.answer = std::move(answer).value();
  else
    reply.failure = KvFailure{answer.error().code(), answer.error().message(), answer.error().executed()};
  send(operation.client.node, std::move(reply));
}

/// A write that was begun may take effect; one that another node coordinates may have been.
void Kv::fail(Operations::iterator at, Errc code, std::string text) {
  auto& operation = at->second;
  const bool maybe = operation.placed || (operation.phase == Phase::forwarding && operation.claimed);
  const auto executed = operation.is_write() && maybe ? Executed::unknown : Executed::no;
  if (!operation.done) reply(operation, Error(code, std::move(text), executed));
  end(at);
}

/// Asks again, and gives up.
void Kv::check_operations() {
  check_at_ = kNever;
  for (auto next = operations_.begin(); next != operations_.end();) {
    const auto at = next++;
    auto& operation = at->second;
    if (operation.deadline <= now_) {
      const bool is_crowded = operation.phase == Phase::reading && operation.fetching.empty() &&
                              ready_answers(operation) >= operation.replicas.r;
      if (is_crowded)
        fail(at, Errc::overloaded, "too many bytes are being read");
      else
        fail(at, Errc::timeout, "not enough replicas answered in time");
    } else if (operation.retry_at <= now_ && !operation.done) {
      const bool unclaimed = operation.phase == Phase::forwarding;
      if (unclaimed) operation.tried.insert(operation.coordinator);
      // Under a new number: with the old one it is refused as come twice, nor can it be claimed.
      if (unclaimed || operation.phase == Phase::waiting) {
        auto again = operations_.extract(at);
        again.key() = ++last_id_;
        place(operations_.insert(std::move(again)).position);
        continue;
      }
      claim(at);
      if (operation.phase == Phase::claiming) {
        operation.retry_at = now_ + config_.retry_interval;
        continue;
      }
      if (ring_name_.empty()) {  // it would count itself alone
        fail(at, Errc::unreachable, "this node left its ring meanwhile");
        continue;
      }
      auto now = replicas(operation.request.key);
      if (now.view == operation.replicas.view) {
        send_phase(at);
        continue;
      }
      if (operation.placed && !now.has(self())) {
        fail(at, Errc::timeout, "the key moved to other nodes while it was written");
        continue;
      }
      // Under a new number, so that answers of the old ring do not count in this one.
      auto moved = operations_.extract(at);
      moved.key() = ++last_id_;
      moved.mapped().replicas = std::move(now);
      moved.mapped().answered.clear();
      if (moved.mapped().phase == Phase::reading) moved.mapped().record = {};
      moved.mapped().fetching = {};
      const auto placed = operations_.insert(std::move(moved)).position;
      claim(placed);
      send_phase(placed);
    }
  }
}

}  // namespace cluster::proto
