#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/node/event_log.hpp"
#include "cluster/node/member_board.hpp"
#include "cluster/node/member_news.hpp"
#include "cluster/node/ring_board.hpp"
#include "cluster/proto/detector.hpp"
#include "cluster/proto/partition_policy.hpp"
#include "cluster/runtime/actor_system.hpp"

namespace cluster {

/// One message of the failure detector of the node `from`, which is not written: it is the connection's.
struct SwimMessage {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "swim";
  static constexpr bool of_node = true;

  proto::DetectorMessage message{};
  NodeId from{};
};

/// The board has a new view of the ring.
struct RingPosted {
  static constexpr bool local = true;
};

/// A link to a peer came up, or ended.
struct PeerLink {
  static constexpr bool local = true;

  NodeId peer{};
  Boot boot{};
  bool up = false;
  proto::PeerEnd end = proto::PeerEnd::closed;
};

/// What the failure detector knows of itself, and what the partition policy made of it, for `status`.
struct DetectorInfo {
  struct Answer {
    std::uint64_t incarnation = 0;
    std::uint32_t health = 0;  ///< Lifeguard's local health multiplier: 0 is good
    proto::DetectorCounters counters{};
    std::string policy{};  ///< the partition policy's name
    proto::Quorum quorum{};
  };
  using reply = Answer;
};

/// The server named `detector`: drives the failure detector with this node's clock, timer and network, tells
/// the actor system whom not to wait for, and leaves what it holds of the members on the board. Applies the
/// partition policy to that: tells the ring whether there is a quorum, and removes who was silent too long.
/// Runs even while user code blocks all workers, so that nobody takes a busy node for a dead one.
class FailureDetector : public GenServer<FailureDetector, SwimMessage, RingPosted, PeerLink, DetectorInfo> {
 public:
  static constexpr bool system = true;
  static constexpr std::string_view kName = "detector";

  FailureDetector(proto::DetectorConfig config, proto::PartitionPolicyConfig policy, ActorSystem* system,
                  std::shared_ptr<RingBoard> ring, std::shared_ptr<MemberBoard> members,
                  std::shared_ptr<EventLog> events);

  Result<void> init() override;
  void handle_cast(const SwimMessage& message);
  void handle_cast(const RingPosted&);
  void handle_cast(const PeerLink& link);
  DetectorInfo::Answer handle_call(const DetectorInfo&);

  struct Tick {};
  void handle_info(const Tick&);

 private:
  /// Carries out what the state machine asks, publishes what changed, judges it, and sets the timer anew.
  void perform(proto::DetectorActions actions, bool ring_changed = false);
  void perform(proto::DetectorSend& send);
  void perform(proto::StateChanged& change);
  void perform(proto::DetectorRefused& refused);
  void perform(const proto::QuorumChanged& change);
  void perform(const proto::RemoveSilent& removal);
  /// Writes the change into the log and among the events.
  void write_down(const MemberNews::News& news);
  void publish();
  /// Puts the members before the partition policy.
  void judge();
  void carry_out(const proto::PolicyActions& actions);
  template <class Message>
  void tell_ring(Message message);

  Boot boot_;
  ActorSystem* system_;
  std::shared_ptr<RingBoard> ring_;
  std::shared_ptr<MemberBoard> members_;
  std::shared_ptr<EventLog> events_;
  proto::Detector detector_;
  proto::PartitionPolicy policy_;
  MemberNews news_{};
  proto::Quorum quorum_posted_{};
  struct Place {
    Endpoint endpoint{};
    std::string zone{};
  };
  std::map<NodeId, Place> places_{};  // of members, and of those that left as long as they are shown
  std::uint64_t incarnation_posted_ = 0;
  log::Limit refusal_lines_{};
  Alarm tick_{};
};

}  // namespace cluster
