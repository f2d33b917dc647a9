#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/proto/detector_config.hpp"
#include "cluster/sim/faults.hpp"
#include "cluster/sim/ring_cluster.hpp"

namespace cluster::sim {

/// A cluster, what befalls it, and within what bounds it must be whole again.
struct Scenario {
  /// With more nodes gossip alone is run: the detectors' tables of all others would not fit.
  static constexpr std::size_t kDetectorNodesMax = 2048;

  std::size_t nodes = 5;
  std::uint64_t seed = 1;
  Duration duration = 60s;
  NetworkFaults network{};
  Duration skew{};         ///< wall clocks differ by up to this, either way
  double edits_per_s = 0;  ///< in the whole cluster: inserts, updates, removals
  double churn_per_s = 0;  ///< nodes that are killed, or leave, and come back 5 to 30 s later
  std::vector<Fault> faults{};
  std::size_t mesh_max = 64;  ///< with more members each node keeps few connections: proto::LinkPlan
  std::size_t intruders = 0;  ///< nodes with another cookie, which dial the others all the time
  bool handshake = true;      ///< the real one, with its keys, for each connection
  bool detector = true;
  bool plain_swim = false;  ///< without Lifeguard
  bool join = false;        ///< begin as single nodes that meet the first, not as a ring formed already
  std::string planted{};    ///< a bug in the driver, `planted_bugs()`
  Duration convergence_max = 20s;  ///< after the last fault and edit
  Duration health_max = 60s;       ///< until all detectors are right again

  /// Whether anything but messages between healthy nodes happens in it.
  [[nodiscard]] bool brings_events() const noexcept {
    return !faults.empty() || edits_per_s > 0 || churn_per_s > 0;
  }
  /// The arguments of cluster-sim that give this scenario again.
  [[nodiscard]] std::vector<std::string> arguments() const;
  /// What is wrong with it: a text for people.
  [[nodiscard]] Result<void> check() const;
};

/// Adds faults drawn from the scenario's seed: splits, crashes with and without disk, pauses, clocks that
/// jump, a lossy network, and edits if it has none.
void add_chaos(Scenario& scenario);

struct Percentiles {
  std::size_t count = 0;
  std::int64_t p50 = 0;
  std::int64_t p99 = 0;
  std::int64_t max = 0;
};
/// In milliseconds. Sorts `times`.
[[nodiscard]] Percentiles percentiles_ms(std::vector<Duration> times);

/// What came of it.
struct Report {
  std::size_t nodes = 0;
  std::uint64_t seed = 0;
  bool converged = false;
  std::optional<Duration> converged_after{};  ///< the last fault or edit
  std::uint64_t edits_total = 0;
  std::uint64_t lost_edits = 0;
  std::uint64_t conflicts = 0;  ///< edits made without knowledge of each other, at nodes that noticed
  std::uint64_t full_state_exchanges = 0;
  std::uint64_t accusations = 0;      ///< of running members
  std::uint64_t false_positives = 0;  ///< of healthy ones
  std::uint64_t false_positives_at_healthy = 0;
  Percentiles detection_ms{};        ///< from a crash until one of the others knows
  Percentiles detection_first_ms{};  ///< ... until the first of them knows
  Percentiles detection_last_ms{};   ///< ... until the last knows
  std::optional<Duration> healthy_after{};
  double links_per_node = 0;  ///< the mean, looked at every second
  std::size_t links_max = 0;  ///< of one node
  LinkCounters links{};
  double bytes_per_node_per_s = 0;
  double messages_per_node_per_s = 0;
  std::uint64_t messages_lost = 0;
  std::uint64_t events = 0;
  std::uint64_t trace_hash = 0;
  Duration virtual_time{};
  std::vector<std::string> violations{};  ///< empty: every check passed
};

/// Follows a run: for traces, pictures and progress.
class Observer : public Witness {
 public:
  virtual void on_begin(RingCluster& /*cluster*/) {}
  virtual void on_fault(const Fault& /*fault*/, bool /*begins*/) {}
  virtual void on_edit(std::size_t /*place*/, const std::string& /*what*/) {}
  virtual void on_second() {}
  /// All that was demanded has been seen, or has not.
  virtual void on_end(const Report& /*report*/) {}
};

/// Runs the scenario until its end and then until all is well or a bound has passed. The scenario passes
/// `check`. One seed gives one report on every machine.
[[nodiscard]] Report run(const Scenario& scenario, const std::vector<Observer*>& observers = {});

/// The smallest scenario found that still violates something: fewer faults, fewer nodes, less time, calmer
/// network. Runs at most `runs_max` scenarios. `failing` fails.
[[nodiscard]] Scenario shrink(const Scenario& failing, std::size_t runs_max,
                              const std::function<void(const Scenario&)>& progress = {});

}  // namespace cluster::sim
