#include "cluster/kv/kv_server.hpp"

#include <algorithm>
#include <variant>

#include "cluster/proto/kv_bucket.hpp"
#include "cluster/wire/message.hpp"

namespace cluster {
namespace {

constexpr Duration kLookInterval = 500ms;  // between two looks whether the ring is another
constexpr Duration kSendWait = 2s;         // for a link that is not up
constexpr std::size_t kChangesMax = 4096;
constexpr std::size_t kChangesAtOnce = 1024;  // keys
constexpr std::size_t kWatchersMax = 256;
constexpr Duration kWatchMax = 30s;
constexpr std::uint32_t kScanMax = 10'000;
constexpr std::size_t kScanKeys = 4096;       // looked at in one turn
constexpr std::size_t kScanBytes = 4u << 20;  // read in one turn, and one record more
constexpr std::size_t kBatchMax = 1024;
// Of writes that wait for the log alone no more are answered together: who asks works meanwhile.
constexpr std::size_t kLoggedTogether = 16;

/// Comparison and hand-over stay behind what people wait for.
net::Lane lane_of(const proto::KvSend& send) {
  const bool bulk = send.bulk || std::holds_alternative<proto::KvSyncRecords>(send.message) ||
                    std::holds_alternative<proto::KvSyncLeaf>(send.message);
  return bulk ? net::Lane::bulk : net::Lane::normal;
}

std::vector<KvInfo::Answer::Bucket> shown_buckets(const proto::KvConfig& config) {
  std::vector<KvInfo::Answer::Bucket> shown;
  const auto add = [&](std::string name, const proto::KvBucket& rule) {
    shown.push_back({std::move(name), rule.n, rule.r, rule.w, std::string(proto::resolve_name(rule))});
  };
  add("*", config.bucket);
  for (const auto& [name, rule] : config.buckets) add(name, rule);
  return shown;
}

}  // namespace

Result<proto::KvAnswer> KvOutcome::result() && {
  if (failure) return Error(failure->code, std::move(failure->text), failure->executed);
  return std::move(answer);
}

KvServer::KvServer(Options options, std::shared_ptr<KvFolder> folder, ActorSystem* system,
                   std::shared_ptr<const RingBoard> ring, std::uint64_t seed)
    : system_(system),
      buckets_(shown_buckets(options.config)),
      board_(std::move(ring)),
      folder_(std::move(folder)),
      memory_(folder_ ? nullptr : std::make_unique<proto::KvMemory>()),
      boot_(options.config.boot),
      kv_(std::move(options.config),
          folder_ ? static_cast<proto::KvStorage&>(*folder_) : static_cast<proto::KvStorage&>(*memory_),
          Rng(seed)),
      sync_rest_(options.sync_rest) {}

KvServer::~KvServer() = default;

Result<void> KvServer::init() {
  if (folder_)
    syncer_ = std::make_unique<KvSyncer>(*folder_, sync_rest_,
                                         [system = system_, to = self()](auto ticket, const auto& synced) {
                                           KvSynced told{ticket, std::nullopt};
                                           if (!synced) told.fault = synced.error().message();
                                           static_cast<void>(system->cast(to, std::move(told)));
                                         });
  perform(kv_.on_start(now(), wall_now()));
  look_at_ring();
  send_every(kLookInterval, Look{});
  return {};
}

void KvServer::terminate(const runtime::ExitReason&) {
  if (syncer_ && ticket_wanted_ != 0 && folder_->flush()) syncer_->want(ticket_wanted_);
  if (syncer_) syncer_->stop();
  for (auto& [id, asked] : std::exchange(asked_, {}))
    asked.done({{}, proto::KvFailure{Errc::stopped, "the store is stopping", Executed::unknown}});
  for (auto& watcher : std::exchange(watchers_, {}))
    watcher.from.fail(Error(Errc::stopped, "the store is stopping"));
}

void KvServer::handle_cast(const KvPeerMessage& message) {
  perform(kv_.on_message(now(), wall_now(), message.from, message.message));
}

void KvServer::handle_call(KvAsk ask, From<KvOutcome> from) {
  auto kept = std::make_shared<From<KvOutcome>>(std::move(from));
  this->ask(std::move(ask.request), [kept](KvOutcome outcome) { kept->reply(std::move(outcome)); });
}

void KvServer::handle_call(KvBatch batch, From<std::vector<KvOutcome>> from) {
  if (batch.requests.empty() || batch.requests.size() > kBatchMax)
    return from.fail(Error(Errc::invalid_argument, "a batch has 1 to 1024 requests"));
  struct Open {
    From<std::vector<KvOutcome>> from;
    std::vector<KvOutcome> outcomes;
    std::size_t left;
  };
  const auto size = batch.requests.size();
  auto open = std::make_shared<Open>(Open{std::move(from), std::vector<KvOutcome>(size), size});
  for (std::size_t i = 0; i < size; ++i)
    ask(std::move(batch.requests[i]), [open, i](KvOutcome outcome) {
      open->outcomes[i] = std::move(outcome);
      if (--open->left == 0) open->from.reply(std::move(open->outcomes));
    });
}

void KvServer::ask(proto::KvRequest request, std::function<void(KvOutcome)> done) {
  const auto id = ++asked_last_;
  const Instant begun = now();
  asked_.emplace(id, Asked{std::move(done), request.verb, begun});
  perform(kv_.on_request(begun, wall_now(), id, std::move(request)));
}

Result<KvScan::Answer> KvServer::handle_call(const KvScan& scan) {
  if (!proto::is_bucket_name(scan.bucket))
    return Error(Errc::invalid_argument, "a bucket's name is 1 to 64 letters, digits, '.', '_' and '-'");
  KvScan::Answer answer;
  const auto limit = std::min(scan.limit, kScanMax);
  const auto wall = wall_now();
  std::size_t looked_at = 0;
  std::size_t bytes_read = 0;
  const auto visited = storage().visit(
      scan.bucket, std::max(scan.from, scan.prefix),
      [&](std::string_view key, const proto::KvRecord& outline, std::size_t bytes) {
        if (!key.starts_with(scan.prefix)) return false;
        if (answer.keys.size() >= limit || looked_at >= kScanKeys || bytes_read >= kScanBytes) {
          answer.next = key;
          return false;
        }
        ++looked_at;
        bytes_read += bytes;
        if (!proto::is_dead(outline, wall)) answer.keys.emplace_back(key);
        return true;
      });
  if (!visited) return visited.error();
  return answer;
}

const proto::KvStorage& KvServer::storage() const {
  if (folder_) return *folder_;
  return *memory_;
}

void KvServer::handle_call(const KvChanges& changes, From<KvChanges::Answer> from) {
  auto answer = changes_after(changes);
  const bool waits = changes.since && changes.wait_ms > 0 && answer.changes.empty() && !answer.missed;
  if (!waits) return from.reply(std::move(answer));
  if (watchers_.size() >= kWatchersMax)
    return from.fail(Error(Errc::overloaded, "too many wait for changes at this node"));
  const auto until = now() + std::min<Duration>(std::chrono::milliseconds(changes.wait_ms), kWatchMax);
  watchers_.push_back({changes, std::move(from), until});
  auto& asked = watchers_.back().changes;
  asked.boot = answer.boot;
  asked.since = answer.last;
}

KvChanges::Answer KvServer::changes_after(const KvChanges& changes) const {
  KvChanges::Answer answer{.boot = boot_, .last = changes_last_};
  if (!changes.since) return answer;
  const auto since = changes.boot == boot_ ? *changes.since : 0;
  answer.missed = changes_last_ > since && changes_.front().first > since + 1;
  std::map<std::string_view, std::uint64_t> latest;
  for (const auto& [number, key] : changes_) {
    if (number <= since || key.bucket != changes.bucket || !key.key.starts_with(changes.prefix)) continue;
    if (latest.size() == kChangesAtOnce && !latest.contains(key.key)) {
      answer.last = number - 1;
      break;
    }
    latest[key.key] = number;
  }
  for (const auto& [key, number] : latest) {
    const auto outline = storage().outline({changes.bucket, std::string(key)});
    if (!outline || outline->record.empty()) continue;  // forgotten by all
    const auto& record = outline->record;
    answer.changes.push_back({number, std::string(key), record.context, proto::is_dead(record, wall_now()),
                              proto::written_last(record)});
  }
  std::ranges::sort(answer.changes, {}, &KvChanges::Change::number);
  return answer;
}

void KvServer::tell_watchers() {
  have_news_ = false;
  for (auto& watcher : watchers_)
    if (watcher.has_news || now() >= watcher.until) watcher.from.reply(changes_after(watcher.changes));
  std::erase_if(watchers_, [](const Watcher& watcher) { return !watcher.from.waiting(); });
}

KvInfo::Answer KvServer::handle_call(const KvInfo&) {
  KvInfo::Answer answer{kv_.progress(), kv_.counters(), folder_ != nullptr, meter_.operations()};
  answer.keys = memory_ ? memory_->size() : 0;
  answer.bytes = memory_ ? memory_->bytes() : 0;
  if (folder_) {
    const auto size = folder_->size();
    answer.keys = size.keys;
    answer.bytes = size.bytes;
  }
  answer.buckets = buckets_;
  return answer;
}

DrainState KvServer::handle_call(const AskDrained&) {
  look_at_ring();
  const auto progress = kv_.progress();
  if (!progress.fault.empty()) return {.failed = true, .text = "its store has failed: " + progress.fault};
  DrainState state{.done = progress.drained};
  if (!progress.leaving) {
    state.text = "its keys are to be handed over";
    return state;
  }
  state.left = progress.left;
  if (progress.left != 0) state.text = std::to_string(progress.left) + " keys are left to hand over";
  const auto add = [&](const std::string& what, const std::vector<NodeId>& ids) {
    std::string names;
    for (const auto& id : ids) names += (names.empty() ? "'" : ", '") + id.str() + "'";
    if (!names.empty()) state.text += (state.text.empty() ? "" : ", ") + what + names;
  };
  add("not settled: ", kv_.unsettled());
  if (!state.done) add("with a store that has failed: ", kv_.failed());
  if (state.text.empty()) state.text = "its keys are handed over";
  return state;
}

void KvServer::handle_cast(const KvReachable& change) {
  look_at_ring();
  perform(kv_.on_peer(now(), change.node, change.reachable));
}

void KvServer::handle_cast(const KvSynced& synced) {
  const Result<void> outcome = synced.fault ? Error(Errc::io, *synced.fault) : Result<void>();
  perform(kv_.on_synced(now(), synced.ticket, outcome));
}

void KvServer::handle_cast(const KvSyncNow&) {
  const auto ticket = std::exchange(ticket_wanted_, 0);
  unlogged_ = 0;
  if (ticket == 0) return;
  system_->kernel().flush();  // the other replicas write meanwhile
  if (const auto flushed = folder_->flush(); !flushed) return perform(kv_.on_synced(now(), ticket, flushed));
  if (sync_rest_ > Duration::zero()) {
    syncer_->want(ticket);
    return perform(kv_.on_synced(now(), ticket, {}));
  }
  if (const auto synced = syncer_->sync_if_quick())
    perform(kv_.on_synced(now(), ticket, *synced));
  else
    syncer_->want(ticket);
}

void KvServer::handle_info(const Tick&) {
  tick_.fired();
  perform(kv_.on_time(now(), wall_now()));
}

void KvServer::handle_info(const Look&) {
  look_at_ring();
  if (!watchers_.empty()) tell_watchers();
}

/// Until the ring server has left its first view nobody is a member.
void KvServer::look_at_ring() {
  auto ring = board_->read();
  if (ring == ring_seen_ || ring->hash.empty()) return;
  ring_seen_ = std::move(ring);
  std::vector<NodeId> leaving;
  for (const auto& member : ring_seen_->members)
    if (member.weight == 0) leaving.push_back(member.id);
  perform(kv_.on_ring(now(), ring_seen_->ring, ring_seen_->edition, ring_seen_->hash, leaving));
}

void KvServer::perform(proto::KvActions actions) {
  while (true) {
    for (auto& action : actions) std::visit([this](auto& what) { perform(what); }, action);
    if (ticket_at_once_ == 0) break;
    actions = kv_.on_synced(now(), std::exchange(ticket_at_once_, 0), {});
  }
  if (kv_.is_broken() && !std::exchange(told_fault_, true))
    log::error("kv", kv_.progress().fault,
               ": this node's store takes part in nothing any more, until it is started again");
  if (have_news_) tell_watchers();
  set_alarm(tick_, kv_.next_deadline(), Tick{});
}

void KvServer::perform(proto::KvSend& send) {
  const auto lane = lane_of(send);
  Bytes bytes;
  wire::begin_cast(bytes, {.to = kName, .from = 0, .event = KvPeerMessage::event});
  wire::encode_to(bytes, KvPeerMessage{kv_.self(), std::move(send.message)});
  // Not at once: what this turn says to a node goes there in one frame.
  static_cast<void>(system_->kernel().send(send.to, std::move(bytes),
                                           {.lane = lane, .flush_now = false, .wait_max = kSendWait}));
}

void KvServer::perform(proto::KvReply& reply) {
  auto asked = asked_.extract(reply.id);
  if (!asked) return;
  meter_.count(asked.mapped().verb, reply.answer, now() - asked.mapped().since);
  KvOutcome outcome;
  if (reply.answer)
    outcome.answer = std::move(reply.answer).value();
  else
    outcome.failure = proto::KvFailure{reply.answer.error().code(), reply.answer.error().message(),
                                       reply.answer.error().executed()};
  asked.mapped().done(std::move(outcome));
}

void KvServer::perform(proto::KvSync& sync) {
  if (!folder_) {
    ticket_at_once_ = sync.ticket;
    return;
  }
  const bool will_be = std::exchange(ticket_wanted_, sync.ticket) != 0 || system_->cast(self(), KvSyncNow{});
  const bool enough = ++unlogged_ >= kLoggedTogether && sync_rest_ > Duration::zero();
  if (!will_be || enough) handle_cast(KvSyncNow{});
}

void KvServer::perform(proto::KvChanged& changed) {
  ++changes_last_;
  for (auto& watcher : watchers_)
    if (changed.key.bucket == watcher.changes.bucket && changed.key.key.starts_with(watcher.changes.prefix))
      have_news_ = watcher.has_news = true;
    else if (!watcher.has_news)
      watcher.changes.since = changes_last_;  // it misses nothing if this one is forgotten
  changes_.emplace_back(changes_last_, std::move(changed.key));
  if (changes_.size() > kChangesMax) changes_.pop_front();
}

void KvServer::perform(proto::KvRefused& refused) {
  log::limited(refusal_lines_, log::Level::warn, "kv", "a message of '", refused.from.str(),
               "' was refused: ", refused.why.message());
}

}  // namespace cluster
