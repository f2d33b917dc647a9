#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/sim/simulator.hpp"

namespace cluster::sim {

/// How long a message takes. Never less than zero.
struct Latency {
  enum class Shape : std::uint8_t { uniform, normal, lognormal };

  Shape shape = Shape::uniform;
  Duration low = 1ms;    ///< uniform: the least; normal: the mean; lognormal: the median
  Duration high = 10ms;  ///< uniform: the greatest; normal: the standard deviation
  double sigma = 0;      ///< lognormal: the standard deviation of the logarithm

  [[nodiscard]] static Latency fixed(Duration delay) { return {.low = delay, .high = delay}; }
  [[nodiscard]] static Latency uniform(Duration low, Duration high) { return {.low = low, .high = high}; }
  [[nodiscard]] static Latency normal(Duration mean, Duration deviation) {
    return {.shape = Shape::normal, .low = mean, .high = deviation};
  }
  [[nodiscard]] static Latency lognormal(Duration median, double sigma) {
    return {.shape = Shape::lognormal, .low = median, .sigma = sigma};
  }
  [[nodiscard]] Duration draw(Rng& rng) const;
};

/// What the network does to a message. Each has a delay of its own, so messages overtake each other.
struct NetworkFaults {
  Latency delay{};
  double loss = 0;         ///< probability that a message vanishes
  double duplication = 0;  ///< probability that it arrives twice
  double reordering = 0;   ///< probability that it is held back: up to ten times its delay
};

struct NetworkCounters {
  std::uint64_t sent = 0;
  std::uint64_t bytes = 0;
  std::uint64_t lost = 0;  ///< by chance, or cut off
  std::uint64_t duplicated = 0;
};

/// Carries messages between numbered places: late, out of order, twice, or not at all. It knows nothing of
/// what they are: it is told their size, and calls back.
class Network {
 public:
  using Place = std::size_t;

  Network(Simulator& simulator, NetworkFaults faults)
      : simulator_(simulator), rng_(simulator.rng().split()), faults_(faults) {}

  /// Calls `arrive(from, to)` when the message arrives, as often as it does. It is copied; at most 32 bytes.
  template <class Arrive>
  void send(Place from, Place to, std::size_t bytes, const Arrive& arrive) {
    for (auto copies = fate(from, to, bytes); copies > 0; --copies)
      simulator_.after(draw_delay(), [this, from = static_cast<std::uint32_t>(from),
                                      to = static_cast<std::uint32_t>(to), arrive] {
        if (reaches(from, to))
          arrive(from, to);
        else
          ++counters_.lost;
      });
  }

  void set_faults(NetworkFaults faults) { faults_ = faults; }
  [[nodiscard]] const NetworkFaults& faults() const noexcept { return faults_; }

  /// Messages from group i to group j are lost for i != j, also those under way; one way: only those from the
  /// first group to the second. Who is in no group is not affected. Gives a number to mend it with.
  std::uint64_t cut(const std::vector<std::vector<Place>>& groups, bool one_way = false);
  void mend(std::uint64_t cut) { cuts_.erase(cut); }
  /// Only places in one group reach each other; who is in none is alone. Replaces all cuts.
  void partition(const std::vector<std::vector<Place>>& groups);
  void heal() { cuts_.clear(); }
  [[nodiscard]] bool reaches(Place from, Place to) const;

  [[nodiscard]] Duration draw_delay();
  /// Of a piece of a stream, which is sent until it arrives: `again` after the first loss, later after the
  /// next.
  [[nodiscard]] Duration draw_stream_delay(std::size_t bytes, Duration again);
  [[nodiscard]] const NetworkCounters& counters() const noexcept { return counters_; }

 private:
  struct Cut {
    std::vector<std::uint32_t> group_of;  // 0: in none
    bool one_way = false;
    bool others_alone = false;
    [[nodiscard]] bool blocks(Place from, Place to) const noexcept;
  };
  [[nodiscard]] int fate(Place from, Place to, std::size_t bytes);

  Simulator& simulator_;
  Rng rng_;
  NetworkFaults faults_;
  std::map<std::uint64_t, Cut> cuts_{};
  std::uint64_t cuts_made_ = 0;
  NetworkCounters counters_{};
};

}  // namespace cluster::sim
