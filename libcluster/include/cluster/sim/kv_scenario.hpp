#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/sim/kv_checker.hpp"
#include "cluster/sim/kv_cluster.hpp"

namespace cluster::sim {

/// What may befall the nodes.
enum class KvFault : std::uint8_t {
  crashes,     ///< of one process; its disk is kept, but for what was not synced
  power,       ///< all processes crash at once
  disks,       ///< a process crashes and its disk is gone
  full,        ///< a disk takes no more until its process is started again
  pauses,      ///< as SIGSTOP and SIGCONT
  partitions,  ///< both ways and one way
  network,     ///< delay, loss, duplication, reordering
  clocks,      ///< up to kKvSkewMax ahead or behind
  joins,
  removals,  ///< of members that are dead
  leaves,    ///< of members that are alive, one to three at once
  weights,
  zones,  ///< whole ones fail, and nodes change theirs; if there are zones
};
using KvFaults = std::set<KvFault>;

inline constexpr Duration kKvSkewMax = 2s;

/// `crashes,disks`, `all` or `none`.
[[nodiscard]] Result<KvFaults> parse_kv_faults(std::string_view text);
[[nodiscard]] std::string to_text(const KvFaults& faults);
[[nodiscard]] const KvFaults& all_kv_faults();

/// Clients read, write and delete a few keys while the seed chooses what fails. Disks are lost only when all
/// members have again what they are to hold, so many at once as the scenario says. If nothing else fails, as
/// soon as that is so.
struct KvScenario {
  std::uint64_t seed = 1;
  std::size_t nodes = 5;  ///< in the ring at first; two more may join
  std::size_t clients = 4;
  std::size_t keys = 6;
  std::size_t zones = 0;  ///< over which the nodes are spread in turn; 0: they have none
  Duration duration = 60s;
  proto::KvBucket bucket{};  ///< that merges: with `union`
  double ttl = 0;            ///< the share of values that have a time to live
  double batches = 0;        ///< the share of turns in which a client asks for several things at once
  KvFaults faults = all_kv_faults();
  std::size_t disks_at_once = 1;
  KvBug bug = KvBug::none;

  /// What is wrong with it: a text for people.
  [[nodiscard]] Result<void> check() const;
  /// The arguments of `cluster-sim kv` that give this scenario again.
  [[nodiscard]] std::vector<std::string> arguments() const;
};

/// `siblings`, `last` or `union`.
[[nodiscard]] Result<void> set_rule(std::string_view rule, proto::KvBucket& bucket);

/// How its nodes are set, and what they are held to.
[[nodiscard]] KvClusterConfig config_of(const KvScenario& scenario);
[[nodiscard]] KvPromise promise_of(const KvScenario& scenario);

struct KvVerdict {
  std::vector<std::string> violations{};
  std::size_t acknowledged = 0;  ///< writes, or read by somebody
  std::size_t unknown = 0;       ///< writes of which nobody was told whether they happened
  std::size_t unavailable = 0;   ///< requests that were refused, and not for their condition
  std::size_t reads = 0;
  std::size_t lost = 0;              ///< acknowledged writes that a replica lacked in the end
  std::size_t stale = 0;             ///< reads that lacked one, or showed what had been replaced
  std::size_t siblings = 0;          ///< reads with more than one value
  std::size_t conditions = 0;        ///< writes whose condition was fulfilled
  std::size_t conditions_unmet = 0;  ///< and those where it was not
  std::size_t replaced = 0;          ///< writes that replaced whatever could be read
  std::size_t forgotten = 0;         ///< deleted keys
  std::size_t disks_lost = 0;
  std::size_t left = 0;  ///< members that left alive
  Duration converged{};  ///< after the last fault
  Duration virtual_time{};
  std::uint64_t events = 0;
  std::uint64_t trace = 0;
};

/// The scenario passes `check`. One seed gives one verdict on every machine.
[[nodiscard]] KvVerdict run(const KvScenario& scenario);

/// The smallest scenario found that still violates something: fewer kinds of faults, nodes, clients and keys,
/// less time. Runs at most `runs_max`. `failing` fails.
[[nodiscard]] KvScenario shrink(const KvScenario& failing, std::size_t runs_max,
                                const std::function<void(const KvScenario&)>& progress = {});

struct KvPlantedBug {
  KvBug bug;
  std::string_view name;
  std::string_view what;
  std::uint64_t seeds;  ///< of `scenario_for` it: within so many it is found
};
[[nodiscard]] std::span<const KvPlantedBug> kv_planted_bugs() noexcept;
/// The one in which a planted mistake shows.
[[nodiscard]] KvScenario scenario_for(KvBug bug);

}  // namespace cluster::sim
