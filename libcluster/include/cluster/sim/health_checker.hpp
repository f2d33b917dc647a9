#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/sim/ring_cluster.hpp"

namespace cluster::sim {

/// Compares what the failure detectors say with what is so. The driver tells it what it does to whom.
class HealthChecker : public Witness {
 public:
  /// A disturbed node is not counted as falsely accused until so long after: news of it may still be under
  /// way.
  static constexpr Duration kGrace = 10s;

  explicit HealthChecker(RingCluster& cluster) : cluster_(cluster) {}

  void on_health(std::size_t place, const proto::StateChanged& change) override;

  /// The process at `place` is about to be killed.
  void on_kill(std::size_t place);
  void on_restart(std::size_t place);
  /// From now on `place` is disturbed (paused, slow, cut off), or no longer.
  void disturb(std::size_t place, bool begins);

  /// Times from a crash until one of the others held the dead for unreachable: one entry for each of them
  /// that was fit to know.
  [[nodiscard]] const std::vector<Duration>& detections() const noexcept { return detections_; }
  /// The shortest of these, per crash that was detected.
  [[nodiscard]] std::vector<Duration> first_detections() const;
  [[nodiscard]] std::vector<Duration> last_detections() const;
  /// How often a healthy member was declared unreachable at some node, and at a healthy one.
  [[nodiscard]] std::uint64_t false_positives() const noexcept { return false_positives_; }
  [[nodiscard]] std::uint64_t false_positives_at_healthy() const noexcept { return at_healthy_; }
  /// Declarations of members that ran, healthy or not.
  [[nodiscard]] std::uint64_t accusations() const noexcept { return accusations_; }

  /// Whether every running member holds every other running one for alive, and no dead one for alive or
  /// suspect. Gives up to `most` that are not so, described; empty: all is well.
  [[nodiscard]] std::vector<std::string> wrong_views(std::size_t most) const;

 private:
  struct Crash {
    Instant at{};
    Duration first = Duration::max();
    Duration last{};
    std::size_t told = 0;
  };
  struct Subject {
    int disturbances = 0;
    Instant calm_since = Instant::min();
    bool dead = false;
    std::size_t crash = 0;
  };
  [[nodiscard]] bool healthy(std::size_t place) const;
  Subject& subject(std::size_t place);

  RingCluster& cluster_;
  std::vector<Subject> subjects_{};
  std::vector<Crash> crashes_{};
  std::vector<Duration> detections_{};
  std::uint64_t false_positives_ = 0;
  std::uint64_t at_healthy_ = 0;
  std::uint64_t accusations_ = 0;
};

}  // namespace cluster::sim
