#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "cluster/sim/ring_cluster.hpp"

namespace cluster::sim {

/// A bug in the layer that drives the protocols, to prove that the checkers would see it there.
class PlantedBug : public Witness {
 public:
  /// Before the process at `place`, which is stopped, starts again with its disk.
  virtual void on_restart(std::size_t /*place*/) {}
  /// Every second.
  virtual void on_second() {}
};

struct PlantedBugName {
  std::string_view name;
  std::string_view what;
  std::uint64_t seeds;  ///< of `--chaos`: within so many it is found
};
/// All that can be planted.
[[nodiscard]] std::span<const PlantedBugName> planted_bugs() noexcept;

/// Null for an unknown name.
[[nodiscard]] std::unique_ptr<PlantedBug> plant(std::string_view name, RingCluster& cluster);

}  // namespace cluster::sim
