#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/kv/kv_meter.hpp"
#include "cluster/kv/kv_syncer.hpp"
#include "cluster/node/drain.hpp"
#include "cluster/node/member_board.hpp"
#include "cluster/node/ring_board.hpp"
#include "cluster/proto/kv.hpp"
#include "cluster/runtime/actor_system.hpp"

namespace cluster {

/// One message of another node's store.
struct KvPeerMessage {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "peer";
  static constexpr bool of_node = true;

  NodeId from{};
  proto::KvMessage message{};
};

/// An answer, or why there is none, and whether the write happened.
struct KvOutcome {
  static constexpr bool wire_positional = true;

  proto::KvAnswer answer{};
  std::optional<proto::KvFailure> failure{};
  [[nodiscard]] Result<proto::KvAnswer> result() &&;
};

/// Reads, writes or deletes one key, at whatever nodes hold it.
struct KvAsk {
  static constexpr std::string_view event = "ask";

  proto::KvRequest request{};
  using reply = KvOutcome;
};

/// Several at once: one outcome each, in their order. Each stands for itself. At most 1,024.
struct KvBatch {
  static constexpr std::string_view event = "batch";

  std::vector<proto::KvRequest> requests{};
  using reply = std::vector<KvOutcome>;
};

/// Keys of a bucket that this node holds and that have a value, in order, from `from` on. One answer looks
/// at a bounded number of keys, deleted ones too, so it may have fewer than there are, or none.
struct KvScan {
  static constexpr std::string_view event = "scan";

  std::string bucket{};
  std::string from{};
  std::string prefix{};
  std::uint32_t limit = 1000;  ///< at most 10,000
  struct Answer {
    std::vector<std::string> keys{};
    std::string next{};  ///< where to go on; empty: there are no more
  };
  using reply = Answer;
};

/// Changes of what this node holds of a bucket: the last 4,096 of all buckets are kept. A key that changed
/// several times is told once, as it is now.
struct KvChanges {
  static constexpr std::string_view event = "changes";

  Boot boot{};  ///< of the answer before: another process counts anew
  /// After this number; none: from now on.
  std::optional<std::uint64_t> since{};
  std::string bucket{};
  std::string prefix{};
  std::uint32_t wait_ms = 0;  ///< an answer without changes may take so long
  struct Change {
    std::uint64_t number = 0;
    std::string key{};
    VersionVector context{};  ///< all writes that this state has seen
    bool deleted = false;     ///< there is no value
    WallTime written{};       ///< by its coordinator's clock
  };
  struct Answer {
    Boot boot{};
    std::uint64_t last = 0;  ///< to go on after
    bool missed = false;     ///< some changes after `since` are forgotten
    std::vector<Change> changes{};
  };
  using reply = Answer;
};

struct KvInfo {
  static constexpr std::string_view event = "info";

  struct Answer {
    proto::KvProgress progress{};
    proto::KvCounters counters{};
    bool durable = false;
    std::vector<KvOperations> operations{};
    std::uint64_t keys = 0;   ///< held here, deleted ones too; on a disk about so many
    std::uint64_t bytes = 0;  ///< of their values; on a disk those of its files, about
    struct Bucket {
      std::string name{};  ///< "*": all that are not named
      std::uint32_t n = 0;
      std::uint32_t r = 0;
      std::uint32_t w = 0;
      std::string resolve{};
    };
    std::vector<Bucket> buckets{};
  };
  using reply = Answer;
};

/// Whether a node can be reached, as its link or the failure detector has it.
struct KvReachable {
  static constexpr bool local = true;
  static constexpr std::string_view event = "reachable";

  NodeId node{};
  bool reachable = false;
};

/// What was written until `ticket` is on the disk, or cannot be.
struct KvSynced {
  static constexpr bool local = true;
  static constexpr std::string_view event = "synced";

  std::uint64_t ticket = 0;
  std::optional<std::string> fault{};  ///< why it cannot be
};

/// All that came before it is handled: what was written goes to the log and to the disk together.
struct KvSyncNow {
  static constexpr bool local = true;
  static constexpr std::string_view event = "sync_now";
};

/// The server named `kv`: drives this node's part of the key-value store with its clock, timer, network and
/// disk. Reads the disk in its turn; writes become durable there too while the disk is quick, else on a
/// thread of their own.
class KvServer : public GenServer<KvServer, KvPeerMessage, KvAsk, KvBatch, KvScan, KvChanges, KvInfo,
                                  KvReachable, KvSynced, KvSyncNow, AskDrained> {
 public:
  static constexpr bool tells_outcome = true;
  static constexpr std::string_view kName = "kv";

  struct Options {
    proto::KvConfig config{};  ///< without id and boot
    std::string folder{};      ///< empty: in memory
    Duration sync_rest{};      ///< as KvStoreConfig::sync_rest
  };
  KvServer(Options options, std::shared_ptr<KvFolder> folder, ActorSystem* system,
           std::shared_ptr<const RingBoard> ring, std::uint64_t seed);
  ~KvServer() override;

  Result<void> init() override;
  void terminate(const runtime::ExitReason&) override;
  void handle_cast(const KvPeerMessage& message);
  void handle_call(KvAsk ask, From<KvOutcome> from);
  void handle_call(KvBatch batch, From<std::vector<KvOutcome>> from);
  Result<KvScan::Answer> handle_call(const KvScan& scan);
  void handle_call(const KvChanges& changes, From<KvChanges::Answer> from);
  KvInfo::Answer handle_call(const KvInfo&);
  DrainState handle_call(const AskDrained&);
  void handle_cast(const KvReachable& change);
  void handle_cast(const KvSynced& synced);
  void handle_cast(const KvSyncNow&);

  struct Tick {};
  struct Look {};
  void handle_info(const Tick&);
  void handle_info(const Look&);

 private:
  /// Who waits for changes, and until when.
  struct Watcher {
    KvChanges changes;
    From<KvChanges::Answer> from;
    Instant until;
    bool has_news = false;
  };
  void ask(proto::KvRequest request, std::function<void(KvOutcome)> done);
  void perform(proto::KvActions actions);
  void perform(proto::KvSend& send);
  void perform(proto::KvReply& reply);
  void perform(proto::KvSync& sync);
  void perform(proto::KvChanged& changed);
  void perform(proto::KvRefused& refused);
  [[nodiscard]] const proto::KvStorage& storage() const;
  [[nodiscard]] KvChanges::Answer changes_after(const KvChanges& changes) const;
  void tell_watchers();
  void look_at_ring();

  ActorSystem* system_;
  std::vector<KvInfo::Answer::Bucket> buckets_;
  std::shared_ptr<const RingBoard> board_;
  std::shared_ptr<KvFolder> folder_;
  std::unique_ptr<proto::KvMemory> memory_;
  Boot boot_;
  proto::Kv kv_;
  const Duration sync_rest_;
  std::unique_ptr<KvSyncer> syncer_;
  std::shared_ptr<const RingView> ring_seen_;
  struct Asked {
    std::function<void(KvOutcome)> done;
    proto::KvVerb verb{};
    Instant since{};
  };
  std::map<std::uint64_t, Asked> asked_;
  KvMeter meter_;
  std::uint64_t asked_last_ = 0;
  std::uint64_t ticket_wanted_ = 0;   // to be synced with what comes next; 0: none
  std::size_t unlogged_ = 0;          // turns with writes
  std::uint64_t ticket_at_once_ = 0;  // of what is answered without waiting, for there is no disk
  std::deque<std::pair<std::uint64_t, proto::KvKey>> changes_;
  std::uint64_t changes_last_ = 0;
  std::vector<Watcher> watchers_;
  bool have_news_ = false;  // some of them
  bool told_fault_ = false;
  log::Limit refusal_lines_;
  Alarm tick_{};
};

}  // namespace cluster
