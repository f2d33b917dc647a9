#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/proto/gossip.hpp"
#include "cluster/sim/network.hpp"
#include "cluster/sim/simulator.hpp"

namespace cluster::sim {

/// How a process is started.
struct ProcessStart {
  NodeId id{};
  std::uint32_t weight = 128;
  std::string ring = "ring";
  Duration clock_skew{};  ///< of its wall clock
};

/// Processes that run proto::Gossip and nothing else, each at a place of its own: `localhost` with port
/// 10000 + place. Every message is encoded, carried by the network, and decoded. A place can stop and start
/// again with or without the state it had, and under any id.
class RingCluster {
 public:
  RingCluster(std::uint64_t seed, NetworkFaults faults);

  [[nodiscard]] Simulator& simulator() noexcept { return simulator_; }
  [[nodiscard]] Network& network() noexcept { return network_; }

  /// A new place with a process. Gives the place.
  std::size_t add(ProcessStart start);
  void stop(std::size_t place);
  /// The same node again. `keep_state`: with the state it had when it stopped.
  void restart(std::size_t place, bool keep_state, std::optional<Duration> clock_skew = {});
  [[nodiscard]] bool running(std::size_t place) const { return processes_.at(place).gossip != nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return processes_.size(); }
  [[nodiscard]] const proto::Gossip& at(std::size_t place) const { return *processes_.at(place).gossip; }
  [[nodiscard]] static Endpoint endpoint_of(std::size_t place);
  [[nodiscard]] WallTime wall(std::size_t place) const;

  /// Gives a command to the process at `place`. Gives its number.
  std::uint64_t command(std::size_t place, const proto::RingCommand& what);
  /// Its outcome, or nothing if it is still open.
  [[nodiscard]] std::optional<Result<void>> outcome(std::uint64_t command) const;
  /// Runs until the command is done (at most 60 s) and gives its outcome.
  Result<void> run(std::size_t place, const proto::RingCommand& what);

  /// Events of the process at `place`, oldest first, since it was first started.
  [[nodiscard]] const std::vector<proto::GossipEvent>& events(std::size_t place) const {
    return processes_.at(place).events;
  }
  template <class Event>
  [[nodiscard]] std::size_t count_events(std::size_t place) const {
    std::size_t count = 0;
    for (const auto& event : events(place)) count += std::holds_alternative<Event>(event) ? 1 : 0;
    return count;
  }
  /// What the last Connect told of each peer, as NetKernel would have it.
  [[nodiscard]] const std::map<NodeId, Endpoint>& connections(std::size_t place) const {
    return processes_.at(place).connections;
  }

  /// The state with the most members among the rings of this name; null if there is none.
  [[nodiscard]] const proto::RingState* greatest(const std::string& ring = "ring") const;
  /// Whether all running members of that ring hold its state, and no other process believes to be a member.
  [[nodiscard]] bool converged(const std::string& ring = "ring") const;
  /// Runs until `converged`, at most `limit`. Gives how long it took; nothing if it did not.
  std::optional<Duration> run_until_converged(Duration limit, const std::string& ring = "ring");

 private:
  struct Process {
    ProcessStart start{};
    std::unique_ptr<proto::Gossip> gossip{};
    std::optional<proto::RingState> stored{};
    std::uint64_t life = 0;  // counts starts, so that nothing meant for an earlier one arrives
    std::uint64_t boot = 0;
    Instant timer = kNever;
    std::map<NodeId, Endpoint> connections{};
    std::map<NodeId, std::size_t> heard_from{};  // the connections that others opened
    std::vector<proto::GossipEvent> events{};
  };

  void begin(std::size_t place, bool keep_state);
  void perform(std::size_t place, proto::Actions actions);
  void set_timer(std::size_t place);
  void deliver(std::size_t from, std::size_t to, const Bytes& message);
  void dial(std::size_t place, const proto::Dial& dial);
  void tell_of_peer(std::size_t place, const NodeId& peer, bool up);
  [[nodiscard]] std::optional<std::size_t> place_of(const Process& from, const NodeId& to) const;
  [[nodiscard]] std::optional<std::size_t> listening_at(const Endpoint& endpoint) const;
  [[nodiscard]] proto::Moment moment(std::size_t place) const { return {simulator_.now(), wall(place)}; }

  Simulator simulator_;
  Network network_;
  std::vector<Process> processes_{};
  std::map<std::uint64_t, std::optional<Result<void>>> outcomes_{};
  std::uint64_t commands_ = 0;
};

}  // namespace cluster::sim
