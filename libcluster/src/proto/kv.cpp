#include "cluster/proto/kv.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "cluster/wire/codec.hpp"

namespace cluster::proto {
namespace {

constexpr std::size_t kBytesPerMillisecond = 16'384;
constexpr Duration::rep kMembersPerRest = 16;  // for each so many a ring rests once more

/// What a store remembers of itself.
struct Note {
  static constexpr bool wire_positional = true;

  std::uint32_t version = 1;
  std::string ring{};
  std::vector<KvRing> bases{};
  std::vector<KvRing> entry_bases{};
  std::vector<KvRing> log{};
  bool log_cut = false;
};

bool is_for_a_replica(const KvMessage& message) {
  return std::holds_alternative<KvRead>(message) || std::holds_alternative<KvWrite>(message) ||
         std::holds_alternative<KvForward>(message) || std::holds_alternative<KvSyncAsk>(message) ||
         std::holds_alternative<KvSyncLeaf>(message) || std::holds_alternative<KvForget>(message);
}

}  // namespace

Kv::Kv(KvConfig config, KvStorage& storage, Rng rng)
    : config_(std::move(config)), storage_(storage), rng_(rng) {
  if (config_.self.empty() || config_.retry_interval <= Duration::zero() ||
      config_.view_interval <= Duration::zero() || config_.upkeep_interval <= Duration::zero() ||
      config_.sync_interval <= Duration::zero() || config_.page_bytes == 0 || config_.page_keys == 0)
    throw std::invalid_argument("a key-value store that cannot work");
  if (auto ok = check(config_.bucket); !ok) throw std::invalid_argument(ok.error().message());
  for (const auto& [name, bucket] : config_.buckets) {
    if (!is_bucket_name(name)) throw std::invalid_argument("a bucket's name is out of bounds");
    if (auto ok = check(bucket); !ok) throw std::invalid_argument(ok.error().message());
  }
}

KvActions Kv::on_start(Instant now, WallTime wall) {
  begin(now, wall);
  load_note();
  last_id_ = rng_.next() >> 1;  // what answers an earlier process of this node answers nothing here
  sync_at_ = now + Duration(rng_.between(0, config_.sync_interval.count()));
  dead_at_ = now + config_.sync_interval;
  return finish();
}

KvActions Kv::on_ring(Instant now, const std::string& name, const KvEdition& edition, const CHash& ring,
                      const std::vector<NodeId>& leaving) {
  begin(now);
  const bool joins = name != ring_name_ && ring.node_count() + leaving.size() > 1;
  if (!joins && (ring_.empty() || name != ring_name_)) {
    coming_.reset();
    adopt(name, placement_in(name, edition, ring, leaving));
    return finish();
  }
  if (joins && !ring_.empty()) adopt({}, {});
  // Many nodes that join at once change the ring many times, and each ring that is entered costs a round of
  // greetings and comparisons, and is one more of which all must know: the changes of a moment are entered as
  // one.
  const auto fingerprint = placement_in(name, edition, ring, leaving).fingerprint();
  if (!joins && fingerprint == ring_.fingerprint()) {
    coming_.reset();
    return finish();
  }
  if (coming_ && fingerprint == coming_->fingerprint) return finish();  // an edit that places nothing anew
  // The work of an edition grows with the square of the members: that of fifty that start one after the other
  // would outlast their starts.
  const auto members = static_cast<Duration::rep>(ring.node_count());
  const auto rest = config_.ring_rest * (1 + members / kMembersPerRest);
  const auto rest_max = config_.ring_rest_max * (1 + members / (2 * kMembersPerRest));
  const auto until = coming_ ? coming_->until : now + rest_max;
  coming_ = Coming{name, edition, ring, leaving, fingerprint, std::min(now + rest, until), until};
  enter_coming();
  return finish();
}

void Kv::enter_coming() {
  if (!coming_ || coming_->at > now_) return;
  const auto coming = *std::exchange(coming_, std::nullopt);
  adopt(coming.name, placement_in(coming.name, coming.edition, coming.ring, coming.leaving));
}

KvPlacement Kv::placement_in(const std::string& name, KvEdition edition, const CHash& ring,
                             const std::vector<NodeId>& leaving) const {
  // The time of an edit that the ring has forgotten still counts, or an earlier edition would come back.
  if (name == ring_name_ && !log_.empty()) edition.time = std::max(edition.time, log_.back().edition.time);
  return {ring, edition, leaving};
}

void Kv::adopt(const std::string& name, KvPlacement next) {
  if (name == ring_name_ && next.fingerprint() == ring_.fingerprint()) return;
  // Who comes from elsewhere has not seen what this ring did meanwhile, whatever it holds.
  if (name != ring_name_) {
    bases_.clear();
    log_.clear();
    log_cut_ = false;
    ring_name_ = name;
  }
  enter(std::move(next));
}

void Kv::enter(KvPlacement next) {
  ring_ = std::move(next);
  if (log_.size() == kKvHistoryMax) {
    log_.erase(log_.begin());
    log_cut_ = true;
  }
  log_.push_back(ring_.description());
  // Rings that this node was in, and in which it may not have become complete.
  const auto base = std::ranges::find_if(log_, [&](const KvRing& earlier) {
    return !bases_.empty() && earlier.edition == bases_.front()->edition();
  });
  if (base != log_.end()) learn({base, log_.end() - 1});
  const bool again = log_.size() > 1 && log_[log_.size() - 2] == log_.back();  // started again in it
  if (again) log_.pop_back();
  if (!again || entry_bases_.empty()) entry_bases_ = bases_;
  save_note();  // before any write in this ring
  // Dots by an actor that hands keys over and gets them back would claim writes that it no longer holds.
  actor_ = {config_.boot.number, rng_.next()};
  members_.clear();
  for (const auto& [id, weight] : ring_.ring().weights()) members_.insert(id);
  members_.insert(ring_.leaving().begin(), ring_.leaving().end());
  members_.erase(self());
  hellos_.clear();
  heard_.clear();
  verified_ = false;
  synced_.clear();
  lacking_.clear();
  stretches_ = {};
  settled_ = false;
  session_.reset();
  forgetting_.reset();
  dead_.clear();
  trees_.clear();
  trees_from_ = 0;
  trees_built_ = false;
  foreign_ = true;
  foreign_found_ = false;
  foreign_from_ = 0;
  foreign_keys_ = 0;
  upkeep_at_ = now_;
  settle_at_ = kNever;
  settle_if_complete();
  greet_all(true);
  greet_at_ = now_ + kGreetInterval;
  sync_at_ = now_;
}

KvActions Kv::on_peer(Instant now, const NodeId& peer, bool is_reachable) {
  begin(now);
  if (is_reachable) {
    if (down_.erase(peer) != 0) serves_again(peer);
  } else {
    down_.insert(peer);
    failed_.erase(peer);  // it may come back as a process that has not
    look_soon();
    if (session_ && session_->peer == peer) end_session(false);
    for (auto at = operations_.begin(); at != operations_.end();) {
      const auto operation = at++;
      const bool waits =
          operation->second.phase == Phase::forwarding && operation->second.coordinator == peer;
      if (waits && operation->second.claimed)
        fail(operation, Errc::peer_lost, "the replica that coordinated the request is gone");
      else if (waits)
        check_at_ = operation->second.retry_at = now;  // by another one
      else if (operation->second.fetching == peer)
        check_at_ = operation->second.retry_at = now;  // of another one
    }
  }
  return finish();
}

KvActions Kv::on_message(Instant now, WallTime wall, const NodeId& from, KvMessage message) {
  begin(now, wall);
  auto ok = from == self() || from.empty()
                ? Result<void>(Error(Errc::invalid_argument, "a message from this node to itself"))
                : check(message);
  if (!ok) {
    ++counters_.refused;
    out_.emplace_back(KvRefused{from, std::move(ok).error()});
    return finish();
  }
  if (broken_ && is_for_a_replica(message)) greet(from, false);  // who does not know that yet
  std::visit([&](auto& m) { on(from, m); }, message);
  return finish();
}

KvActions Kv::on_request(Instant now, WallTime wall, std::uint64_t id, KvRequest request) {
  begin(now, wall);
  ++counters_.requests;
  if (auto ok = check(request); !ok) {
    ++counters_.failures;
    out_.emplace_back(KvReply{id, std::move(ok).error()});
    return finish();
  }
  if (!has_room(request)) {
    ++counters_.failures;
    out_.emplace_back(KvReply{id, Error(Errc::overloaded, "too many requests are under way")});
    return finish();
  }
  const auto timeout =
      request.timeout_ms == 0 ? config_.request_timeout : std::chrono::milliseconds(request.timeout_ms);
  const auto at = operations_.emplace(++last_id_, Operation{}).first;
  at->second.client.id = id;
  at->second.request = std::move(request);
  at->second.deadline = saturated_add(now, timeout);
  place(at);
  return finish();
}

KvActions Kv::on_synced(Instant now, std::uint64_t ticket, const Result<void>& synced) {
  begin(now);
  if (!synced) end_part(synced.error().message());
  ticket_synced_ = std::max(ticket_synced_, ticket);
  while (!pending_.empty() && pending_.begin()->first <= ticket) {
    const auto done = std::move(pending_.extract(pending_.begin()).mapped());
    for (const auto& key : done.keys)
      if (const auto at = undurable_.find(key); at != undurable_.end() && at->second <= ticket)
        undurable_.erase(at);
    for (const auto& deferred : done.waiting) run(deferred, !broken_);
  }
  return finish();
}

KvActions Kv::on_time(Instant now, WallTime wall) {
  begin(now, wall);
  enter_coming();
  if (check_at_ <= now) check_operations();
  if (!trees_built_) build_trees();
  if (greet_at_ <= now) {
    greet_at_ = kNever;
    const bool waits = is_leaving() && !unsettled().empty();  // to be told
    if (!broken_ && (!settled_ || heard_.size() < members_.size() || waits)) {
      for (const auto& member : members_)
        if (reachable(member) && (!heard_.contains(member) || !has_settled(member))) greet(member, true);
      greet_at_ = now + kGreetInterval;
      look_soon();
    }
  }
  if (settle_at_ <= now) {
    settle_at_ = kNever;
    settle_if_complete();
  }
  if (session_ && session_->deadline <= now) end_session(false);
  if (broken_) sync_at_ = upkeep_at_ = dead_at_ = kNever;  // there is nothing that it could tell
  if (sync_at_ <= now) begin_session();
  if (upkeep_at_ <= now) {
    upkeep_at_ = kNever;
    drop_late_spreads();
    spread_hints();
    hand_over();
  }
  if (forgetting_ && forgetting_->deadline <= now) forgetting_.reset();
  if (dead_at_ <= now) look_for_dead();
  return finish();
}

KvReplicas Kv::replicas(const KvKey& key) const { return ring_.replicas(key, bucket(key.bucket)); }

KvProgress Kv::progress() const {
  KvProgress progress{.settled = settled_ && !coming_ && !broken_ && !ring_name_.empty(),
                      .to_compare = lacking_.size(),
                      .handing_over = foreign_,
                      .left = foreign_keys_,
                      .leaving = is_leaving(),
                      .drained = has_drained(),
                      .hints = hints_held_,
                      .fault = fault_};
  progress.handed_over =
      foreign_ ? static_cast<double>(foreign_from_) / static_cast<double>(~std::uint64_t{0}) : 1;
  return progress;
}

const KvBucket& Kv::bucket(const std::string& name) const {
  const auto found = config_.buckets.find(name);
  return found == config_.buckets.end() ? config_.bucket : found->second;
}

void Kv::begin(Instant now) {
  now_ = now;
  if (!broken_ && !storage_.fault().empty()) end_part(storage_.fault());
}

void Kv::begin(Instant now, WallTime wall) {
  begin(now);
  wall_ = wall;
}

/// The disk failed: the store takes part in nothing any more. What failed first is why.
void Kv::end_part(const std::string& why) {
  if (std::exchange(broken_, true)) return;
  fault_ = why.empty() ? "the disk failed" : why;
}

KvActions Kv::finish() {
  if (broken_ && !std::exchange(told_broken_, true)) greet_all(false);
  if (ticket_asked_ != ticket_) {
    ticket_asked_ = ticket_;
    out_.emplace_back(KvSync{ticket_});
  }
  if (!operations_.empty() && check_at_ == kNever) check_at_ = now_ + config_.view_interval / 2;
  if (operations_.empty()) check_at_ = kNever;
  due_ = std::min({check_at_, greet_at_, settle_at_, sync_at_, upkeep_at_, dead_at_});
  if (!trees_built_ && !ring_.empty()) due_ = std::min(due_, now_);
  if (coming_) due_ = std::min(due_, coming_->at);
  if (session_) due_ = std::min(due_, session_->deadline);
  if (forgetting_) due_ = std::min(due_, forgetting_->deadline);
  return std::exchange(out_, {});
}

void Kv::send(const NodeId& to, KvMessage message, bool bulk) {
  out_.emplace_back(std::in_place_type<KvSend>, KvSend{to, std::move(message), bulk});
}

Duration Kv::time_for(std::size_t bytes) noexcept {
  return std::chrono::milliseconds(bytes / kBytesPerMillisecond);
}

void Kv::load_note() {
  const auto bytes = storage_.note();
  if (!bytes) return end_part(bytes.error().message());
  if (bytes->empty()) return;
  const auto note = wire::decode<Note>(*bytes);
  if (!note || note->version != 1) return;  // as a new store: all is compared again
  ring_name_ = note->ring;
  for (const auto& ring : note->bases)
    bases_.push_back(std::make_shared<const KvPlacement>(KvPlacement::of(ring)));
  for (const auto& ring : note->entry_bases)
    entry_bases_.push_back(std::make_shared<const KvPlacement>(KvPlacement::of(ring)));
  log_ = note->log;
  log_cut_ = note->log_cut;
}

void Kv::save_note() {
  Note note{.ring = ring_name_, .bases = {}, .entry_bases = {}, .log = log_, .log_cut = log_cut_};
  for (const auto& base : bases_) note.bases.push_back(base->description());
  for (const auto& base : entry_bases_) note.entry_bases.push_back(base->description());
  if (const auto written = storage_.set_note(wire::encode(note)); !written)
    end_part(written.error().message());
  if (ticket_ == ticket_asked_) ++ticket_;
}

}  // namespace cluster::proto
