#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/sim/kv_cluster.hpp"

namespace cluster::sim {

/// Clients read, write and delete a few keys while the seed chooses what fails: processes (with their disks
/// kept and lost, one or all at once), the network, the time; and nodes join, leave (dead, or alive and one
/// or several at once) and change their weights. With zones, whole ones fail, too, and nodes change theirs.
/// Disks are lost one at a time: the next only when all have again what they are to hold.
struct KvScenario {
  std::uint64_t seed = 1;
  std::size_t nodes = 5;
  std::size_t clients = 4;
  std::size_t keys = 6;
  std::size_t zones = 0;  ///< over which the nodes are spread in turn; 0: they have none
  Duration duration = 60s;
  bool ring_changes = true;
  bool disks_lost = true;
  bool one_copy = false;     ///< N = 1: nobody leaves dead
  bool disks_alone = false;  ///< nothing else fails, but each disk as soon as the last one is made good
  KvBug bug = KvBug::none;
};

struct KvVerdict {
  std::vector<std::string> violations{};
  std::size_t acknowledged = 0;  ///< writes, or read by somebody
  std::size_t unknown = 0;
  std::size_t refused = 0;  ///< requests
  std::size_t reads = 0;
  std::size_t siblings = 0;    ///< reads with more than one value
  std::size_t conditions = 0;  ///< writes whose condition was fulfilled
  std::size_t replaced = 0;    ///< writes that replaced whatever could be read
  std::size_t forgotten = 0;   ///< deleted keys
  std::size_t left = 0;        ///< members that left alive
  Duration converged{};        ///< after the last fault
  std::uint64_t trace = 0;
};

[[nodiscard]] KvVerdict run(const KvScenario& scenario);

}  // namespace cluster::sim
