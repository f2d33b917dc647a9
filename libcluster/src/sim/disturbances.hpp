#pragma once
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/sim/edit_checker.hpp"
#include "cluster/sim/health_checker.hpp"
#include "cluster/sim/planted_bugs.hpp"
#include "cluster/sim/scenario.hpp"
#include "cluster/sim/storm_checker.hpp"

namespace cluster::sim {

/// Until the next of events that come `per_s` times a second, at random.
[[nodiscard]] inline Duration next_after(Rng& rng, double per_s) {
  return Duration(static_cast<std::int64_t>(-std::log(1 - rng.uniform()) / per_s * 1e9));
}

/// What a scenario does to the nodes of its cluster and to their network, faults and churn, and what undoes
/// it. Tells the checkers.
class Disturbances {
 public:
  struct Told {
    EditChecker& edits;
    HealthChecker& health;
    StormChecker& storm;
    PlantedBug* bug;  ///< null: none
    const std::vector<Observer*>& observers;
    std::function<void(std::string what)> violation;
  };
  Disturbances(const Scenario& scenario, RingCluster& cluster, Told told);

  void schedule_faults();
  void schedule_churn();
  /// Faults without an end last to the end of the run, which is now.
  void calm_down();
  /// Whether an edit at `place` is one of this ring: not so at a node that is on its own after it was
  /// removed.
  [[nodiscard]] bool in_ring(std::size_t place) const;

 private:
  void apply(const Fault& fault, bool begins);
  void apply(const Fault& fault, std::size_t place, bool begins);
  void down(std::size_t place, Fault::Kind how);
  void up(std::size_t place);
  void churn();
  void come_back(std::size_t place);
  /// Another node than that at `place`, if any is fit.
  [[nodiscard]] std::optional<std::size_t> other_in_ring(std::size_t place) const;
  void meet(std::size_t place, std::size_t other);

  const Scenario& scenario_;
  RingCluster& cluster_;
  Told told_;
  Rng churn_rng_;
  std::vector<int> held_down_;  // by place: how many faults keep it down
  std::vector<int> paused_;
  std::vector<Duration> slowness_;  // of all faults together
  std::vector<bool> wiped_;
  std::vector<bool> killed_;            // by churn
  std::vector<std::size_t> churned_{};  // not back yet
  std::map<const Fault*, std::uint64_t> cuts_{};
  std::vector<const Fault*> ended_{};
};

}  // namespace cluster::sim
