#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/sim/simulator.hpp"

namespace cluster::sim {

/// What the network does to a message. Each has a delay of its own, so messages overtake each other.
struct NetworkFaults {
  Duration delay_min = 1ms;
  Duration delay_max = 10ms;
  double loss = 0;         ///< probability that a message vanishes
  double duplication = 0;  ///< probability that it arrives twice
};

struct NetworkCounters {
  std::uint64_t sent = 0;
  std::uint64_t bytes = 0;
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
};

/// Carries messages between numbered places: late, out of order, twice, or not at all.
class Network {
 public:
  using Place = std::size_t;
  using Deliver = std::function<void(Place from, Place to, const Bytes& message)>;

  Network(Simulator& simulator, NetworkFaults faults, Deliver deliver);

  void send(Place from, Place to, Bytes message);
  void set_faults(NetworkFaults faults) { faults_ = faults; }
  /// Only places in one group reach each other; who is in none is alone. Messages under way across are lost.
  void partition(const std::vector<std::vector<Place>>& groups);
  void heal() { group_of_.clear(); }
  [[nodiscard]] bool reaches(Place from, Place to) const;
  [[nodiscard]] Duration draw_delay();
  [[nodiscard]] const NetworkCounters& counters() const noexcept { return counters_; }

 private:
  void deliver_later(Place from, Place to, Bytes message);

  Simulator& simulator_;
  Rng rng_;
  NetworkFaults faults_;
  Deliver deliver_;
  std::vector<std::size_t> group_of_{};  // empty: no partition; 0: alone
  NetworkCounters counters_{};
};

}  // namespace cluster::sim
