#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/net/net_kernel.hpp"
#include "cluster/node/data_writer.hpp"
#include "cluster/node/ring_board.hpp"
#include "cluster/node/ring_store.hpp"
#include "cluster/proto/gossip.hpp"
#include "cluster/runtime/actor_system.hpp"

namespace cluster {

/// One gossip message of the node `from`, which is not written: it is the connection's. What it says of third
/// nodes cannot be checked: the cookie is full authority.
struct RingGossip {
  static constexpr bool wire_positional = true;
  static constexpr bool of_node = true;

  proto::GossipMessage message{};
  NodeId from{};
};

/// An edit of the ring, or a meet, join or leave. Answered when it took effect at this node and, if that has
/// a data directory, was written there (or could not be, which `status` tells).
struct ChangeRing {
  static constexpr bool local = true;

  proto::RingCommand command{};
};

/// What the ring server knows, for `status` and for waiting until all nodes know the same.
struct RingInfo {
  bool with_clock = false;
  struct Answer {
    std::string ring{};
    std::string state{};  ///< hex of the state hash
    std::uint64_t members = 0;
    proto::GossipCounters gossip{};
    std::vector<proto::ClockEntry> clock{};  ///< by editor, if it was asked for
  };
  using reply = Answer;
};

/// A link to a peer came up or went down.
struct PeerChanged {
  static constexpr bool local = true;

  NodeId peer{};
  bool up = false;
};

/// A dial that the ring asked for has ended. `code` 0: `peer` answered.
struct DialEnded {
  static constexpr bool local = true;

  std::uint64_t command = 0;
  NodeId peer{};
  std::uint16_t code = 0;
  std::string text{};
};

/// What the partition policy finds now.
struct QuorumPosted {
  static constexpr bool local = true;

  proto::Quorum quorum{};
};

/// A write of the ring to this node's disk has ended.
struct RingSaved {
  static constexpr bool local = true;

  bool succeeded = false;
};

/// The server named `ring`: drives the gossip state machine with this node's clocks, timers and network,
/// tells the kernel whom to be connected to, leaves each new view of the ring on the board, and has it
/// written to this node's disk. Runs even while user code blocks all workers.
class GossipRing : public GenServer<GossipRing, RingGossip, ChangeRing, RingInfo, PeerChanged, DialEnded,
                                    QuorumPosted, RingSaved> {
 public:
  static constexpr bool system = true;
  static constexpr std::string_view kName = "ring";

  struct Options {
    proto::GossipConfig gossip{};
    CHashConfig hash{};
    std::function<void(const proto::GossipEvent&)> on_event{};  ///< called in this server's turn
    std::optional<proto::SavedRing> saved{};                    ///< by an earlier process of this node
    DataWriter* data = nullptr;  ///< outlives the server; null: nothing is saved
  };

  GossipRing(Options options, ActorSystem* system, std::shared_ptr<RingBoard> board);

  Result<void> init() override;
  void terminate(const runtime::ExitReason&) override;
  void handle_cast(const RingGossip& gossip);
  void handle_call(const ChangeRing& change, From<> from);
  RingInfo::Answer handle_call(const RingInfo& info);
  void handle_cast(const PeerChanged& change);
  void handle_cast(const DialEnded& ended);
  void handle_cast(const QuorumPosted& posted) { gossip_.on_quorum(posted.quorum); }
  void handle_cast(const RingSaved& saved);

  struct Tick {};
  void handle_info(const Tick&);

 private:
  [[nodiscard]] static proto::Moment moment() noexcept;
  /// Carries out what the state machine asks, publishes what changed and sets the timer anew.
  void perform(const proto::Actions& actions);
  void perform(const proto::Send& send);
  void perform(const proto::Connect& connect);
  void perform(const proto::Disconnect& disconnect);
  void perform(const proto::Dial& dial);
  void perform(const proto::Done& done);
  void perform(const proto::GossipEvent& event);
  void publish();
  void log_event(const proto::GossipEvent& event);
  void note_changes(const proto::Actions& actions);
  void save();
  void set_tick();

  Options options_;
  ActorSystem* system_;
  std::shared_ptr<RingBoard> board_;
  proto::Gossip gossip_;
  std::map<std::uint64_t, From<>> waiting_;
  std::uint64_t command_last_ = 0;
  std::uint64_t version_posted_ = 0;
  std::string ring_posted_;
  WallTime edition_until_ = WallTime::max();  // of the edition posted
  CHash hash_;                                // as posted
  SaveSchedule saves_;
  std::uint64_t version_noted_ = 0;  // for saving, as the next
  std::string ring_noted_;
  std::multimap<std::uint64_t, From<>> waiting_for_disk_;  // by number of the write
  log::Limit conflict_lines_, duplicate_lines_, refusal_lines_;
  Alarm tick_{};
};

}  // namespace cluster
