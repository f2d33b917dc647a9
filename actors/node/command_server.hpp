#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/node/command_plan.hpp"
#include "cluster/node/data_writer.hpp"
#include "cluster/node/drain_server.hpp"
#include "cluster/node/drill_server.hpp"
#include "cluster/node/failure_detector.hpp"
#include "cluster/node/gossip_ring.hpp"
#include "cluster/node/key_command.hpp"
#include "cluster/node/ring_board.hpp"
#include "cluster/proto/command.hpp"
#include "cluster/runtime/actor_system.hpp"

namespace cluster {

/// The server named `command`: runs what people ask of this node, from the CLI or elsewhere, and answers
/// {"ok": true, "data": ...} or {"ok": false, "error": {...}}. A change is answered after it took effect at
/// this node. Takes other commands while one waits, and runs even while user code blocks all workers.
class CommandServer : public GenServer<CommandServer, proto::CommandRequest> {
 public:
  static constexpr bool system = true;
  static constexpr bool reentrant = true;
  static constexpr std::string_view kName = "command";

  /// The servers that it asks, and what they leave for all to see.
  struct Views {
    Ref<GossipRing> ring;
    std::shared_ptr<RingBoard> board;
    Ref<FailureDetector> detector;
    std::shared_ptr<MemberBoard> members;
    std::shared_ptr<EventLog> events;
    DataWriter* data = nullptr;               ///< null if nothing is saved; outlives the server
    std::optional<Ref<DrillServer>> drill{};  ///< none: drills are not allowed
  };
  CommandServer(ActorSystem* actors, Views views, NodeKeys keys);

  Task<wire::Value> handle_call(proto::CommandRequest request);

 private:
  /// Members that are asked to hand over before they go, over all requests of a client that follows.
  struct Handover {
    std::uint64_t id = 0;
    std::map<NodeId, bool> asked{};  ///< true: had handed over all when it last answered
    Instant until{};                 ///< to be gone on with, while it waits for the client
  };

  // These run inside handle_call, which keeps what they refer to.
  Task<wire::Value> change_ring(const proto::CommandRequest& request, const proto::RingCommand& command,
                                Instant deadline);
  /// Nothing: all of `leavers` that are there have handed over what they held. `handover` says who was asked.
  Task<std::optional<wire::Value>> drain(const proto::CommandRequest& request,
                                         const std::vector<NodeId>& leavers, Instant deadline,
                                         Handover& handover);
  Task<DrainState> ask_to_drain(std::vector<NodeId> leavers, Duration time, Instant deadline,
                                Handover& handover);
  [[nodiscard]] Handover take_handover(std::uint64_t id);
  void keep(Handover handover);
  [[nodiscard]] Ref<DrainServer> drain_server_of(const NodeId& id) const;
  Task<wire::Value> wait_for_all(Instant deadline);
  Task<wire::Value> drill(const proto::CommandRequest& request);
  Task<wire::Value> change_keys(const proto::CommandRequest& request);
  Task<wire::Value> call_server(const proto::CommandRequest& request);
  Task<wire::Value> hand_on(const proto::CommandRequest& request, std::string_view server,
                            std::string_view without);
  Task<wire::Value> describe(const proto::CommandRequest& request);
  Task<wire::Value> status();
  Task<wire::Value> events(const proto::CommandRequest& request);
  /// The members that do not show `own`, and how they differ.
  Task<std::vector<replies::Behind>> behind(const RingInfo::Answer& own, Duration timeout);
  [[nodiscard]] std::string not_on_disk() const;
  [[nodiscard]] wire::Value list_actors() const;
  [[nodiscard]] wire::Value members_status(const std::vector<replies::Behind>& late) const;

  ActorSystem* actors_;
  Ref<GossipRing> ring_;
  std::shared_ptr<RingBoard> board_;
  Ref<FailureDetector> detector_;
  std::shared_ptr<MemberBoard> members_;
  std::shared_ptr<EventLog> events_;
  DataWriter* data_;
  std::optional<Ref<DrillServer>> drill_;
  KeyCommand keys_;
  std::vector<Handover> handovers_{};  // whose clients are to ask again
};

}  // namespace cluster
