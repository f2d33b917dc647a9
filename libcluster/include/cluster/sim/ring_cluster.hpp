#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/proto/detector.hpp"
#include "cluster/proto/gossip.hpp"
#include "cluster/proto/ring_file.hpp"
#include "cluster/sim/host.hpp"
#include "cluster/sim/links.hpp"
#include "cluster/sim/network.hpp"
#include "cluster/sim/packet.hpp"
#include "cluster/sim/simulator.hpp"

namespace cluster::sim {

/// How a process is started.
struct ProcessStart {
  NodeId id{};
  std::uint32_t weight = 128;
  std::string ring = "ring";
  Duration clock_skew{};  ///< of its wall clock
  std::string cookie = "the cookie of this simulated cluster";
};

/// What a cluster is made of.
struct ClusterConfig {
  std::uint64_t seed = 1;
  NetworkFaults faults{};
  bool detector = false;  ///< a proto::Detector beside each proto::Gossip
  bool keep_events = true;
  LinkConfig links{};
  std::size_t mesh_max = ~std::size_t{0};  ///< of gossip and detectors: see proto::LinkPlan
  proto::GossipConfig gossip{};            ///< `self` and `ring` are each process's own
  proto::DetectorConfig detection{};       ///< so are `self` and `boot`
};

/// Sees all that happens, and may change it: checkers and planted bugs.
class Witness {
 public:
  Witness() = default;
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  virtual ~Witness() = default;
  virtual void on_event(std::size_t /*place*/, const proto::GossipEvent& /*event*/) {}
  virtual void on_health(std::size_t /*place*/, const proto::StateChanged& /*change*/) {}
  /// The process at `place` has a proven connection to the one at `peer`.
  virtual void on_link(std::size_t /*place*/, std::size_t /*peer*/) {}
  /// False: the message is not sent.
  virtual bool on_send(std::size_t /*from*/, Packet::Message& /*message*/) { return true; }
  /// May change what the process at `to` is about to see; false: it sees nothing.
  virtual bool on_receive(std::size_t /*to*/, Packet::Message& /*message*/) { return true; }
  /// Whether `on_receive` is to be asked: a message that may be changed is copied.
  [[nodiscard]] virtual bool changes_what_arrives() const { return false; }
  /// May change a message before a replica with the state `held` merges it.
  virtual void on_merge(const proto::RingState& /*held*/, proto::GossipMessage& /*message*/) {}
};

/// Processes that run the protocols as a node does, each at a place of its own: `localhost` with port
/// 10000 + place. Every message is encoded, carried by the network, and decoded. A place can stop and start
/// again with or without the state it had, and under any id.
class RingCluster : private LinkUser {
 public:
  explicit RingCluster(ClusterConfig config);
  RingCluster(std::uint64_t seed, NetworkFaults faults) : RingCluster({.seed = seed, .faults = faults}) {}

  [[nodiscard]] Simulator& simulator() noexcept { return simulator_; }
  [[nodiscard]] Network& network() noexcept { return network_; }
  [[nodiscard]] Links& links() noexcept { return links_; }
  [[nodiscard]] const Links& links() const noexcept { return links_; }
  /// `witness` lives as long as this cluster runs.
  void add_witness(Witness& witness) { witnesses_.push_back(&witness); }

  /// A new place with a process. Gives the place.
  std::size_t add(ProcessStart start);
  /// Places with processes that are one ring already: each knows all of them, and has the connections that
  /// such a ring keeps.
  /// Needs a cluster without processes. All have one ring id.
  void form(const std::vector<ProcessStart>& starts);

  /// Kills the process. Others notice the broken connections, unless they are cut off.
  void stop(std::size_t place) { end(place, proto::PeerEnd::lost); }
  /// Stops it as SIGTERM does: it says goodbye and stays a member.
  void stop_gently(std::size_t place) { end(place, proto::PeerEnd::goodbye); }
  /// The same node again. `keep_state`: with the state it had when it stopped.
  void restart(std::size_t place, bool keep_state, std::optional<Duration> clock_skew = {});
  /// As SIGSTOP and SIGCONT do: connections stay, and what arrives waits.
  void pause(std::size_t place) { processes_.at(place).host.pause(); }
  void resume(std::size_t place) { processes_.at(place).host.resume(); }
  /// How long after its arrival the process handles a message; zero: at once.
  void slow_down(std::size_t place, Duration lag) { processes_.at(place).host.set_lag(lag); }
  void set_clock(std::size_t place, Duration skew) { processes_.at(place).start.clock_skew = skew; }
  /// What a restart with state reads: another ring file than the one of when it stopped.
  void replace_disk(std::size_t place, Bytes ring_file) { processes_.at(place).disk = std::move(ring_file); }
  /// What a restart knows of its last boot: without it the wall clock alone makes the next.
  void forget_boot(std::size_t place) { processes_.at(place).boot.number = 0; }

  [[nodiscard]] bool running(std::size_t place) const { return processes_.at(place).gossip != nullptr; }
  [[nodiscard]] bool paused(std::size_t place) const { return processes_.at(place).host.paused(); }
  [[nodiscard]] std::size_t size() const noexcept { return processes_.size(); }
  [[nodiscard]] const NodeId& id(std::size_t place) const { return processes_.at(place).start.id; }
  [[nodiscard]] const proto::Gossip& at(std::size_t place) const { return *processes_.at(place).gossip; }
  /// What a stopped process knew; null if it runs.
  [[nodiscard]] const proto::RingState* stored(std::size_t place) const {
    const auto& stopped = processes_.at(place).stopped;
    return stopped ? &*stopped : nullptr;
  }
  /// Null without detectors.
  [[nodiscard]] const proto::Detector* detector(std::size_t place) const {
    return processes_.at(place).detector.get();
  }
  [[nodiscard]] const std::string& cookie(std::size_t place) const {
    return processes_.at(place).start.cookie;
  }
  /// Of the process at `place`, or of the last one there.
  [[nodiscard]] const Boot& boot(std::size_t place) const { return processes_.at(place).boot; }
  [[nodiscard]] Duration clock_skew(std::size_t place) const { return processes_.at(place).start.clock_skew; }
  [[nodiscard]] static Endpoint endpoint_of(std::size_t place);
  [[nodiscard]] WallTime wall(std::size_t place) const;
  /// The place whose process was last started under this id.
  [[nodiscard]] std::optional<std::size_t> home_of(const NodeId& id) const;

  /// Gives a command to the process at `place`. Gives its number.
  std::uint64_t command(std::size_t place, const proto::RingCommand& what);
  /// Its outcome, or nothing if it is still open.
  [[nodiscard]] std::optional<Result<void>> outcome(std::uint64_t command) const;
  /// Sends what the process at `place` has to say to a member.
  void send(std::size_t place, const NodeId& to, Packet::Message message);
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
    Process(Simulator& simulator, ProcessStart how, std::function<void()> tick)
        : start(std::move(how)), host(simulator, std::move(tick)) {}
    ProcessStart start;
    Host host;
    std::unique_ptr<proto::Gossip> gossip{};
    std::unique_ptr<proto::Detector> detector{};
    std::optional<Bytes> disk{};                // the ring file
    std::optional<proto::RingState> stopped{};  // with this state
    std::uint32_t life = 0;  // counts starts, so that nothing meant for an earlier one arrives
    Boot boot{};
    std::map<NodeId, Endpoint> connections{};
    std::vector<proto::GossipEvent> events{};
  };

  Process& make_place(ProcessStart start);
  void begin(std::size_t place, bool keep_state);
  void new_life(Process& process, bool keep_state);
  [[nodiscard]] proto::GossipConfig gossip_config(std::size_t place) const;
  void make_detector(std::size_t place);
  void end(std::size_t place, proto::PeerEnd how);
  void assume_link(std::size_t place, std::size_t peer);
  void perform(std::size_t place, proto::Actions actions);
  void perform(std::size_t place, proto::DetectorActions actions);
  [[nodiscard]] bool changes_members(const Process& process, const proto::GossipEvent& event) const;
  void tell_members(std::size_t place);
  void tick(std::size_t place);
  void set_timer(std::size_t place);

  // What connections need and tell.
  [[nodiscard]] std::uint32_t life(Place place) const override;
  [[nodiscard]] Host& host(Place place) override { return processes_.at(place).host; }
  [[nodiscard]] proto::Identity identity(Place place) const override;
  [[nodiscard]] proto::Keyring keyring(Place place) const override;
  [[nodiscard]] WallTime wall_of(Place place) const override { return wall(place); }
  [[nodiscard]] std::optional<Place> place_at(const Endpoint& endpoint) const override;
  [[nodiscard]] std::optional<Endpoint> endpoint_of(Place place, const NodeId& member) const override;
  void on_link_up(Place place, Place at, const NodeId& peer, Boot boot) override;
  void on_link_down(Place place, const NodeId& peer, proto::PeerEnd how) override;
  void on_packet(Place place, Place from, const Packet& packet) override;
  void on_dialed(Place place, std::uint64_t command, const Result<NodeId>& peer) override;
  void on_id_taken(Place place) override;

  [[nodiscard]] proto::Moment moment(std::size_t place) const { return {simulator_.now(), wall(place)}; }

  ClusterConfig config_;
  Simulator simulator_;
  Network network_;
  Links links_;
  Packer packer_{};
  std::map<std::string, proto::Keyring> keyrings_{};  // by cookie
  std::deque<Process> processes_{};
  std::map<NodeId, std::size_t> home_{};
  std::vector<Witness*> witnesses_{};
  std::map<std::uint64_t, std::optional<Result<void>>> outcomes_{};
  std::uint64_t commands_ = 0;
};

}  // namespace cluster::sim
