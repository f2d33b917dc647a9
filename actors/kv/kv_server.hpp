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
#include "cluster/kv/kv_syncer.hpp"
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

/// Keys of a bucket that this node holds and that have a value, in order, from `from` on.
struct KvScan {
  static constexpr std::string_view event = "scan";

  std::string bucket{};
  std::string from{};
  std::string prefix{};
  std::uint32_t limit = 1000;  ///< at most 10,000
  using reply = std::vector<std::string>;
};

/// Changes of what this node holds, after number `since`: the last 4,096 are kept.
struct KvChanges {
  static constexpr std::string_view event = "changes";

  std::uint64_t since = 0;
  std::string bucket{};
  std::string prefix{};
  struct Change {
    std::uint64_t number = 0;
    std::string key{};
  };
  using reply = std::vector<Change>;
};

struct KvInfo {
  static constexpr std::string_view event = "info";

  struct Answer {
    proto::KvProgress progress{};
    proto::KvCounters counters{};
    bool durable = false;
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
  bool succeeded = false;
};

/// The server named `kv`: drives this node's part of the key-value store with its clock, timer, network and
/// disk. Reads the disk in its turn; a thread of its own makes writes durable.
class KvServer : public GenServer<KvServer, KvPeerMessage, KvAsk, KvBatch, KvScan, KvChanges, KvInfo,
                                  KvReachable, KvSynced> {
 public:
  static constexpr std::string_view kName = "kv";

  struct Options {
    proto::KvConfig config{};  ///< without id and boot
    std::string folder{};      ///< empty: in memory
  };
  KvServer(Options options, std::shared_ptr<KvFolder> folder, ActorSystem* system,
           std::shared_ptr<const RingBoard> ring, std::uint64_t seed);
  ~KvServer() override;

  Result<void> init() override;
  void terminate(const runtime::ExitReason&) override;
  void handle_cast(const KvPeerMessage& message);
  void handle_call(const KvAsk& ask, From<KvOutcome> from);
  void handle_call(const KvBatch& batch, From<std::vector<KvOutcome>> from);
  Result<std::vector<std::string>> handle_call(const KvScan& scan);
  std::vector<KvChanges::Change> handle_call(const KvChanges& changes);
  KvInfo::Answer handle_call(const KvInfo&);
  void handle_cast(const KvReachable& change);
  void handle_cast(const KvSynced& synced);

  struct Tick {};
  struct Look {};
  void handle_info(const Tick&);
  void handle_info(const Look&);

 private:
  void ask(const proto::KvRequest& request, std::function<void(KvOutcome)> done);
  void perform(proto::KvActions actions);
  void perform(proto::KvSend& send);
  void perform(proto::KvReply& reply);
  void perform(proto::KvSync& sync);
  void perform(proto::KvChanged& changed);
  void perform(proto::KvRefused& refused);
  void look_at_ring();
  void set_tick();

  ActorSystem* system_;
  std::vector<KvInfo::Answer::Bucket> buckets_;
  std::shared_ptr<const RingBoard> board_;
  std::shared_ptr<KvFolder> folder_;
  std::unique_ptr<proto::KvMemory> memory_;
  proto::Kv kv_;
  std::unique_ptr<KvSyncer> syncer_;
  std::shared_ptr<const RingView> ring_seen_;
  std::map<std::uint64_t, std::function<void(KvOutcome)>> asked_;
  std::uint64_t asked_last_ = 0;
  std::uint64_t memory_ticket_ = 0;  // in memory: durable at once
  std::deque<std::pair<std::uint64_t, proto::KvKey>> changes_;
  std::uint64_t changes_last_ = 0;
  log::Limit refusal_lines_;
  TimerId tick_ = 0;
  Instant tick_at_ = kNever;
};

}  // namespace cluster
