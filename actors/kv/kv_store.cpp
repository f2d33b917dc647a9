#include "cluster/kv/kv_store.hpp"

#include <algorithm>
#include <limits>

#include "cluster/crypto/random.hpp"
#include "cluster/kv/kv_command.hpp"
#include "cluster/wire/codec.hpp"

namespace cluster {
namespace {

// The server gives up first, and says what it knows.
constexpr Duration kAnswerTime = 500ms;

std::uint64_t whole_ms(Duration time) {
  const auto count = std::chrono::ceil<std::chrono::milliseconds>(time).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
}

std::uint32_t timeout_ms(Duration time) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::min(whole_ms(time), kMost));
}

}  // namespace

Result<KvStore> KvStore::start(Node& node, KvStoreConfig config) {
  // First of all: who is removed, or leaves, while the folder is opened holds keys too.
  if (auto done = node.drain_first(std::string(KvServer::kName)); !done) return std::move(done).error();
  std::shared_ptr<KvFolder> folder;
  if (!config.folder.empty()) {
    auto opened = KvFolder::open(config.folder);
    if (!opened) return std::move(opened).error();
    folder = std::move(opened).value();
  }
  auto& system = node.actors();
  config.kv.self = node.id();
  config.kv.boot = {static_cast<std::uint64_t>(micros(wall_now()) / 1000), crypto::random_u64()};
  auto server = node.spawn<KvServer>(
      {.name = std::string(KvServer::kName)},
      KvServer::Options{std::move(config.kv), std::move(config.folder), config.sync_rest}, std::move(folder),
      &system, node.ring_board(), crypto::random_u64());
  if (!server) return std::move(server).error();
  auto watcher = node.spawn<KvWatcher>({.name = std::string(KvWatcher::kName)}, node.ring_board());
  if (!watcher) return std::move(watcher).error();
  auto command = node.spawn<KvCommand>({.name = std::string(KvCommand::kName)}, node.id(), *server, *watcher,
                                       node.ring_board());
  if (!command) return std::move(command).error();

  const auto tell = [&system, to = *server](const NodeId& id, bool reachable) {
    static_cast<void>(system.cast(to, KvReachable{id, reachable}));
  };
  system.listen_to_peers([tell](const PeerEvent& event) {
    if (event.peer.role != net::Role::node) return;
    if (event.kind == PeerEvent::Kind::up) tell(event.peer.id, true);
    const bool gone = event.kind == PeerEvent::Kind::down && (event.reason == net::PeerDownReason::lost ||
                                                              event.reason == net::PeerDownReason::stopping);
    if (gone) tell(event.peer.id, false);
  });
  node.listen_to_members([tell](const MemberEvent& event) {
    if (event.kind == MemberEvent::Kind::node_up) tell(event.id, true);
    if (event.kind == MemberEvent::Kind::node_down) tell(event.id, false);
  });
  return KvStore(&system, std::move(server).value(), std::move(watcher).value());
}

Result<proto::KvAnswer> KvStore::ask(proto::KvRequest request, Duration timeout) const {
  request.timeout_ms = timeout_ms(timeout);
  auto outcome = system_->call(server_, KvAsk{std::move(request)}, timeout + kAnswerTime);
  if (!outcome) return std::move(outcome).error();
  return std::move(outcome).value().result();
}

Result<proto::KvAnswer> KvStore::get(std::string_view key, std::string_view bucket, Duration timeout) const {
  return ask({.verb = proto::KvVerb::get, .key = {std::string(bucket), std::string(key)}}, timeout);
}

Result<proto::KvAnswer> KvStore::put(std::string_view key, ByteView value, const KvWriteOptions& how) const {
  return ask({.verb = proto::KvVerb::put,
              .key = {how.bucket, std::string(key)},
              .value = Bytes(value.begin(), value.end()),
              .context = how.context,
              .condition = how.condition,
              .ttl_ms = whole_ms(how.ttl)},
             how.timeout);
}

Result<proto::KvAnswer> KvStore::remove(std::string_view key, const KvWriteOptions& how) const {
  return ask({.verb = proto::KvVerb::del,
              .key = {how.bucket, std::string(key)},
              .context = how.context,
              .condition = how.condition},
             how.timeout);
}

Result<std::vector<KvOutcome>> KvStore::batch(std::vector<proto::KvRequest> requests,
                                              Duration timeout) const {
  for (auto& request : requests) request.timeout_ms = timeout_ms(timeout);
  return system_->call(server_, KvBatch{std::move(requests)}, timeout + kAnswerTime);
}

Result<KvScan::Answer> KvStore::scan(KvScan range) const { return system_->call(server_, std::move(range)); }

Result<KvChanges::Answer> KvStore::changes(KvChanges since) const {
  const Duration wait = std::chrono::milliseconds(since.wait_ms);
  return system_->call(server_, std::move(since), wait + kCallTimeout);
}

Result<KvWatch::Answer> KvStore::watch(KvWatch watch) const {
  const Duration wait = std::chrono::milliseconds(watch.wait_ms);
  return system_->call(watcher_, std::move(watch), wait + kCallTimeout);
}

Result<KvInfo::Answer> KvStore::info() const { return system_->call(server_, KvInfo{}); }

std::string to_text(const VersionVector& context) { return base64(wire::encode(context)); }

Result<VersionVector> context_from_text(std::string_view text) {
  const auto bytes = from_base64(text);
  if (!bytes) return Error(Errc::invalid_argument, "a context is the base64 text that a read gave");
  auto context = wire::decode<VersionVector>(*bytes);
  if (!context) return Error(Errc::invalid_argument, "this is no context of a key");
  return context;
}

}  // namespace cluster
