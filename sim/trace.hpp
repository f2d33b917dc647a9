#pragma once
#include <fstream>
#include <string>

#include "cluster/sim/scenario.hpp"

namespace cluster::sim {

/// Writes what happens as JSON lines: {"t": seconds, "what": ..., "node": ..., ...}.
class Trace : public Observer {
 public:
  explicit Trace(const std::string& file) : out_(file) {}
  [[nodiscard]] bool good() const { return out_.good(); }

  void on_begin(RingCluster& cluster) override { cluster_ = &cluster; }
  void on_event(std::size_t place, const proto::GossipEvent& event) override;
  void on_health(std::size_t place, const proto::StateChanged& change) override;
  void on_fault(const Fault& fault, bool begins) override;
  void on_edit(std::size_t place, const std::string& what) override;
  void on_end(const Report& report) override;

 private:
  std::ofstream out_;
  RingCluster* cluster_ = nullptr;
};

}  // namespace cluster::sim
