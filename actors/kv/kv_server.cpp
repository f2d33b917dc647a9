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
constexpr std::uint32_t kScanMax = 10'000;
constexpr std::size_t kScanPage = 256;
constexpr std::size_t kBatchMax = 1024;

/// Comparison and hand-over stay behind what people wait for.
net::Lane lane_of(const proto::KvMessage& message) {
  const bool bulk = std::holds_alternative<proto::KvSyncRecords>(message) ||
                    std::holds_alternative<proto::KvSyncLeaf>(message);
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
      kv_(std::move(options.config),
          folder_ ? static_cast<proto::KvStorage&>(*folder_) : static_cast<proto::KvStorage&>(*memory_),
          Rng(seed)) {}

KvServer::~KvServer() = default;

Result<void> KvServer::init() {
  if (folder_)
    syncer_ =
        std::make_unique<KvSyncer>(*folder_, [system = system_, to = self()](auto ticket, bool succeeded) {
          static_cast<void>(system->cast(to, KvSynced{ticket, succeeded}));
        });
  perform(kv_.on_start(now(), wall_now()));
  look_at_ring();
  send_every(kLookInterval, Look{});
  return {};
}

void KvServer::terminate(const runtime::ExitReason&) {
  if (syncer_) syncer_->stop();
  for (auto& [id, done] : std::exchange(asked_, {}))
    done({{}, proto::KvFailure{Errc::stopped, "the store is stopping", Executed::unknown}});
}

void KvServer::handle_cast(const KvPeerMessage& message) {
  perform(kv_.on_message(now(), wall_now(), message.from, message.message));
}

void KvServer::handle_call(const KvAsk& ask, From<KvOutcome> from) {
  auto kept = std::make_shared<From<KvOutcome>>(std::move(from));
  this->ask(ask.request, [kept](KvOutcome outcome) { kept->reply(std::move(outcome)); });
}

void KvServer::handle_call(const KvBatch& batch, From<std::vector<KvOutcome>> from) {
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
    ask(batch.requests[i], [open, i](KvOutcome outcome) {
      open->outcomes[i] = std::move(outcome);
      if (--open->left == 0) open->from.reply(std::move(open->outcomes));
    });
}

void KvServer::ask(const proto::KvRequest& request, std::function<void(KvOutcome)> done) {
  const auto id = ++asked_last_;
  asked_.emplace(id, std::move(done));
  perform(kv_.on_request(now(), wall_now(), id, request));
}

Result<std::vector<std::string>> KvServer::handle_call(const KvScan& scan) {
  if (!proto::is_bucket_name(scan.bucket))
    return Error(Errc::invalid_argument, "a bucket's name is 1 to 64 letters, digits, '.', '_' and '-'");
  const proto::KvStorage& storage = folder_ ? static_cast<proto::KvStorage&>(*folder_) : *memory_;
  std::vector<std::string> found;
  const auto limit = std::min(scan.limit, kScanMax);
  std::string from = std::max(scan.from, scan.prefix);
  const auto wall = wall_now();
  while (found.size() < limit) {
    const std::size_t wanted = std::min<std::size_t>(kScanPage, limit - found.size());
    const auto page = storage.keys(scan.bucket, from, wanted);  // reads the values of these keys, too
    if (!page) return page.error();
    for (const auto& key : *page) {
      if (!key.key.starts_with(scan.prefix)) return found;
      const auto record = storage.read(key);
      if (record && !record->empty() && !proto::is_dead(*record, wall)) found.push_back(key.key);
      if (found.size() == limit) return found;
    }
    if (page->size() < wanted) break;
    from = page->back().key + '\0';
  }
  return found;
}

std::vector<KvChanges::Change> KvServer::handle_call(const KvChanges& changes) {
  std::vector<KvChanges::Change> found;
  const auto since = changes.since > changes_last_ ? 0 : changes.since;  // else of an earlier process
  for (const auto& [number, key] : changes_)
    if (number > since && key.bucket == changes.bucket && key.key.starts_with(changes.prefix))
      found.push_back({number, key.key});
  return found;
}

KvInfo::Answer KvServer::handle_call(const KvInfo&) {
  return {kv_.progress(), kv_.counters(), folder_ != nullptr, buckets_};
}

void KvServer::handle_cast(const KvReachable& change) {
  look_at_ring();
  perform(kv_.on_peer(now(), change.node, change.reachable));
}

void KvServer::handle_cast(const KvSynced& synced) {
  if (!synced.succeeded) log::error("kv", "the disk failed: this node's store answers nothing any more");
  perform(kv_.on_synced(now(), synced.ticket, synced.succeeded));
}

void KvServer::handle_info(const Tick&) {
  tick_at_ = kNever;
  perform(kv_.on_time(now(), wall_now()));
}

void KvServer::handle_info(const Look&) { look_at_ring(); }

/// Until the ring server has left its first view nobody is a member.
void KvServer::look_at_ring() {
  auto ring = board_->read();
  if (ring == ring_seen_ || ring->hash.empty()) return;
  ring_seen_ = std::move(ring);
  perform(kv_.on_ring(now(), ring_seen_->ring, ring_seen_->edition, ring_seen_->hash));
}

void KvServer::perform(proto::KvActions actions) {
  while (true) {
    for (auto& action : actions) std::visit([this](auto& what) { perform(what); }, action);
    if (memory_ticket_ == 0) break;
    actions = kv_.on_synced(now(), std::exchange(memory_ticket_, 0), true);
  }
  set_tick();
}

void KvServer::perform(proto::KvSend& send) {
  const auto lane = lane_of(send.message);
  Bytes bytes;
  wire::begin_cast(bytes, {.to = kName, .from = 0, .event = KvPeerMessage::event});
  wire::encode_to(bytes, KvPeerMessage{kv_.self(), std::move(send.message)});
  static_cast<void>(system_->kernel().send(send.to, std::move(bytes), {.lane = lane, .wait_max = kSendWait}));
}

void KvServer::perform(proto::KvReply& reply) {
  auto asked = asked_.extract(reply.id);
  if (!asked) return;
  KvOutcome outcome;
  if (reply.answer)
    outcome.answer = std::move(reply.answer).value();
  else
    outcome.failure = proto::KvFailure{reply.answer.error().code(), reply.answer.error().message(),
                                       reply.answer.error().executed()};
  asked.mapped()(std::move(outcome));
}

void KvServer::perform(proto::KvSync& sync) {
  if (syncer_)
    syncer_->want(sync.ticket);
  else
    memory_ticket_ = sync.ticket;
}

void KvServer::perform(proto::KvChanged& changed) {
  changes_.emplace_back(++changes_last_, std::move(changed.key));
  if (changes_.size() > kChangesMax) changes_.pop_front();
}

void KvServer::perform(proto::KvRefused& refused) {
  log::limited(refusal_lines_, log::Level::warn, "kv", "a message of '", refused.from.str(),
               "' was refused: ", refused.why.message());
}

void KvServer::set_tick() {
  const Instant due = kv_.next_deadline();
  if (due == tick_at_) return;
  if (tick_at_ != kNever) cancel(tick_);
  tick_at_ = due;
  if (due != kNever) tick_ = send_after(std::max(Duration::zero(), due - now()), Tick{});
}

}  // namespace cluster
