#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/node/drill_report.hpp"
#include "cluster/node/event_log.hpp"
#include "cluster/node/member_board.hpp"
#include "cluster/node/ring_board.hpp"
#include "cluster/proto/command.hpp"
#include "cluster/proto/drill.hpp"
#include "cluster/runtime/actor_system.hpp"

namespace cluster {

/// A checked `drill` command, and the time for its answer.
struct RunDrill {
  static constexpr bool local = true;

  proto::CommandRequest request{};
  Duration time{};
  using reply = wire::Value;
};

/// Asks a member to be ready for this drill. Who refuses says why.
struct DrillOffer {
  static constexpr bool of_node = true;

  NodeId from{};
  proto::DrillPlan plan{};
};
/// It will not begin: somebody refused it.
struct DrillWithdraw {
  static constexpr bool of_node = true;

  NodeId from{};
  std::string drill{};
};
/// The drill that was offered begins.
struct DrillBegin {
  static constexpr bool of_node = true;

  NodeId from{};
  std::string drill{};
};
/// A probe that is not answered, and one that is.
struct DrillPing {
  static constexpr bool wire_positional = true;
  static constexpr bool of_node = true;

  NodeId from{};
  proto::DrillProbe probe{};
};
struct DrillAsk {
  static constexpr bool wire_positional = true;
  static constexpr bool of_node = true;

  NodeId from{};
  proto::DrillProbe probe{};
};
/// What a member has to tell of this drill.
struct DrillTell {
  std::string drill{};
  using reply = DrillTold;
};

/// The server named `drill`, on nodes that allow drills: rehearses a partition of the network. Any node's
/// can be asked; it has all members agree before anything is cut. Each then cuts and heals its own links by
/// its own timer (NetKernel::cut), sends numbered probes to the others all the while, and keeps the books.
class DrillServer : public GenServer<DrillServer, RunDrill, DrillOffer, DrillWithdraw, DrillBegin, DrillPing,
                                     DrillAsk, DrillTell> {
 public:
  static constexpr bool system = true;
  static constexpr bool reentrant = true;
  static constexpr std::string_view kName = "drill";

  struct Views {
    std::shared_ptr<RingBoard> ring;
    std::shared_ptr<MemberBoard> members;
    std::shared_ptr<EventLog> events;
  };
  DrillServer(ActorSystem* system, Views views) : system_(system), views_(std::move(views)) {}

  void terminate(const runtime::ExitReason&) override;
  Task<wire::Value> handle_call(RunDrill command);
  Result<void> handle_call(const DrillOffer& offer);
  void handle_cast(const DrillWithdraw& withdraw);
  Result<void> handle_call(const DrillBegin& begin);
  void handle_cast(const DrillPing& ping);
  Result<void> handle_call(const DrillAsk& ask);
  Result<DrillTold> handle_call(const DrillTell& tell);

  struct Tick {};
  void handle_info(const Tick&);
  struct CallOut {
    NodeId to;
    proto::DrillProbe probe;
  };
  Task<> handle_info(CallOut out);

 private:
  Task<wire::Value> partition(const proto::CommandRequest& request);
  Task<Result<void>> ask_all(const proto::DrillPlan& plan);
  Task<Result<void>> begin_all(const proto::DrillPlan& plan);
  Task<wire::Value> report(bool wait, Duration time);
  Task<std::vector<DrillStory>> stories(Duration time);
  [[nodiscard]] wire::Value heal();
  [[nodiscard]] Result<proto::DrillPlan> plan_for(const proto::CommandRequest& request) const;
  [[nodiscard]] bool begin_offered(const std::string& drill);
  [[nodiscard]] bool is_running() const noexcept;
  [[nodiscard]] Ref<DrillServer> at(const NodeId& node) const;
  [[nodiscard]] proto::DrillSight sight() const;
  [[nodiscard]] DrillTold told();
  void perform(const proto::DrillActions& actions);
  void note_events();
  void set_tick();

  ActorSystem* system_;
  Views views_;
  std::optional<proto::Drill> drill_{};  // the last
  DrillEvents seen_{};
  std::uint64_t event_last_ = 0;  // that was looked at
  std::optional<proto::DrillPlan> offered_{};
  NodeId offered_by_{};
  Instant offer_ends_{};
  Alarm tick_{};
};

}  // namespace cluster
