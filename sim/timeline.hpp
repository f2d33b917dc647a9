#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cluster/sim/scenario.hpp"

namespace cluster::sim {

/// Collects what a picture of the run needs: how the nodes are seen, when faults act, when all agree.
class Timeline : public Observer {
 public:
  explicit Timeline(const Scenario& scenario);

  void on_begin(RingCluster& cluster) override { cluster_ = &cluster; }
  void on_fault(const Fault& fault, bool begins) override;
  void on_edit(std::size_t place, const std::string& what) override;
  void on_second() override;

  [[nodiscard]] std::string svg(const Report& report) const;

 private:
  /// Of a row's nodes the worst, as others see it.
  struct Cell {
    float suspect = 0;  // share of those asked
    float unreachable = 0;
    bool down = false;  // in truth
  };
  struct Sample {
    Duration at{};
    bool converged = false;
    std::vector<Cell> rows{};
  };
  struct Band {
    std::string text;
    Duration from{};
    std::optional<Duration> until{};
    const Fault* fault = nullptr;
  };
  [[nodiscard]] Duration now() const { return cluster_->simulator().now().time_since_epoch(); }

  RingCluster* cluster_ = nullptr;
  std::size_t nodes_;
  std::size_t rows_;
  Duration step_;
  std::vector<Sample> samples_{};
  std::vector<Band> bands_{};
  std::vector<Duration> edits_{};
};

}  // namespace cluster::sim
