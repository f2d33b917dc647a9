#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kv/kv_server.hpp"
#include "cluster/kv/kv_watch.hpp"
#include "cluster/node/node.hpp"

namespace cluster {

/// What a node's limits.message_bytes_max must be for the greatest values.
inline constexpr std::size_t kKvMessageBytesMax = proto::kKvRecordBytesMax + (3u << 20);

struct KvStoreConfig {
  proto::KvConfig kv{};  ///< without id and boot; buckets as on all nodes
  /// Where the records are kept, made if it is missing: best `kv` in the node's data directory. Empty: in
  /// memory, and a node that restarts gets its keys from the others again.
  std::string folder{};
  /// Zero: a write is on the disk before it counts. More: writes count once the system has them, and go to
  /// the disk in the background with so long a rest between; a machine (not a process) that crashes may lose
  /// the last of them.
  Duration sync_rest{};
};

struct KvWriteOptions {
  std::string bucket = "default";
  VersionVector context = {};  ///< of the read before; without one, what is there stays as a sibling
  proto::KvCondition condition = proto::KvCondition::none;
  Duration ttl = {};  ///< in whole milliseconds; zero: for ever
  Duration timeout = kCallTimeout;
};

/// The replicated key-value store of a node's ring; every member must run one. A handle, cheap to copy, of
/// use as long as the node runs. Thread-safe; the calls block, and are refused inside handlers (there, call
/// the server `kv`).
///
///   auto store = cluster::KvStore::start(node, {.folder = data_dir + "/kv"}).value();
///   auto put = store.put("greeting", "hello");            // on the disks of two of three nodes
///   auto got = store.get("greeting").value();             // got.values, got.context
///   store.put("greeting", "hi", {.context = got.context}); // replaces what was read
class KvStore {
 public:
  /// Runs the servers `kv`, `kv_watch` and `kv_command` on the node. Errors: those of the folder,
  /// `already_exists`.
  [[nodiscard]] static Result<KvStore> start(Node& node, KvStoreConfig config);

  /// All values that were written without knowledge of each other; none: there is no such key. A failure
  /// tells whether a write happened: unknown if too few replicas answered in time.
  [[nodiscard]] Result<proto::KvAnswer> get(std::string_view key, std::string_view bucket = "default",
                                            Duration timeout = kCallTimeout) const;
  Result<proto::KvAnswer> put(std::string_view key, ByteView value, const KvWriteOptions& how = {}) const;
  Result<proto::KvAnswer> put(std::string_view key, std::string_view value,
                              const KvWriteOptions& how = {}) const {
    return put(key, as_bytes(value), how);
  }
  Result<proto::KvAnswer> remove(std::string_view key, const KvWriteOptions& how = {}) const;
  [[nodiscard]] Result<std::vector<KvOutcome>> batch(std::vector<proto::KvRequest> requests,
                                                     Duration timeout = kCallTimeout) const;
  /// Keys that this node holds. Ask again from `next` on.
  [[nodiscard]] Result<KvScan::Answer> scan(KvScan range) const;
  /// What has changed of what this node holds, of one bucket.
  [[nodiscard]] Result<KvChanges::Answer> changes(KvChanges since) const;
  /// What has changed in one bucket, wherever its keys lie. Ask again after `last`.
  [[nodiscard]] Result<KvWatch::Answer> watch(KvWatch watch) const;
  [[nodiscard]] Result<KvInfo::Answer> info() const;
  [[nodiscard]] const Ref<KvServer>& server() const noexcept { return server_; }

 private:
  KvStore(ActorSystem* system, Ref<KvServer> server, Ref<KvWatcher> watcher)
      : system_(system), server_(std::move(server)), watcher_(std::move(watcher)) {}
  Result<proto::KvAnswer> ask(proto::KvRequest request, Duration timeout) const;

  ActorSystem* system_;
  Ref<KvServer> server_;
  Ref<KvWatcher> watcher_;
};

/// A context as text, for those who keep it outside: base64.
[[nodiscard]] std::string to_text(const VersionVector& context);
[[nodiscard]] Result<VersionVector> context_from_text(std::string_view text);

}  // namespace cluster
