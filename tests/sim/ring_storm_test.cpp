// A hundred nodes under faults: edits at random nodes, also of the same members, while messages are lost,
// late, doubled and overtaken, nodes restart and the network splits. CLUSTER_SIM_SEEDS=n runs n seeds
// instead.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "cluster/sim/edit_checker.hpp"

using namespace cluster;
using namespace cluster::sim;

namespace {

std::uint64_t seeds(std::uint64_t usual) {
  const char* more = std::getenv("CLUSTER_SIM_SEEDS");
  return more != nullptr ? std::strtoull(more, nullptr, 10) : usual;
}

/// One run of a seed, which picks the faults and the edits.
class Storm {
 public:
  Storm(std::uint64_t seed, std::size_t nodes)
      : cluster_({.seed = seed,
                  .faults = draw_faults(seed),
                  .gossip = {.outlined_min = seed % 2 == 0 ? 4u : 128u}}),
        checker_(cluster_),
        rng_(seed ^ 0x5707),
        nodes_(nodes) {
    for (std::size_t i = 0; i < nodes; ++i)
      cluster_.add({.id = NodeId("node" + std::to_string(i)),
                    .clock_skew = Duration(rng_.between(-2'000'000'000, 2'000'000'000))});
  }

  void meet_all() {
    for (std::size_t i = 1; i < nodes_; ++i)
      cluster_.command(
          i, proto::MeetCommand{.endpoint = RingCluster::endpoint_of(static_cast<std::size_t>(rng_.below(i))),
                                .timeout = 60s});
    REQUIRE(run_until(
        [&] {
          return std::all_of(places().begin(), places().end(), [&](std::size_t place) {
            return cluster_.at(place).state().present_count() == nodes_;
          });
        },
        60s));
    for (const auto place : places())
      for (const auto id : places()) checker_.note(place, name(id));
  }

  void rage(std::size_t edits) {
    for (std::size_t i = 0; i < edits; ++i) {
      cluster_.simulator().run_for(Duration(rng_.between(0, 100'000'000)));
      if (rng_.chance(0.04)) restart_one();
      if (rng_.chance(0.02)) split();
      if (rng_.chance(0.05)) cluster_.network().heal();
      edit();
    }
  }

  /// Calm: no more faults but the usual delays. Gives how long all took to agree.
  std::optional<Duration> settle() {
    cluster_.network().heal();
    cluster_.network().set_faults({});
    for (const auto place : places())
      if (!cluster_.running(place)) cluster_.restart(place, true);
    return cluster_.run_until_converged(60s);
  }

  void judge() {
    REQUIRE(cluster_.greatest() != nullptr);
    for (const auto& lost : checker_.lost_in(*cluster_.greatest())) FAIL_CHECK("lost: " << lost);
  }

  [[nodiscard]] RingCluster& cluster() { return cluster_; }
  [[nodiscard]] std::size_t edits_checked() const { return checker_.size(); }
  [[nodiscard]] const std::vector<std::size_t>& places() {
    if (places_.empty())
      for (std::size_t i = 0; i < nodes_; ++i) places_.push_back(i);
    return places_;
  }
  [[nodiscard]] std::uint64_t whole_states() {
    std::uint64_t sum = 0;
    for (const auto place : places()) sum += cluster_.at(place).counters().whole_states;
    return sum;
  }

 private:
  static NetworkFaults draw_faults(std::uint64_t seed) {
    Rng rng(seed ^ 0xfa);
    return {.delay = Latency::uniform(1ms, std::chrono::milliseconds(rng.between(2, 300))),
            .loss = rng.chance(0.5) ? rng.uniform() * 0.3 : 0.0,
            .duplication = rng.uniform() * 0.1};
  }
  static NodeId name(std::size_t place) { return NodeId("node" + std::to_string(place)); }

  bool run_until(const std::function<bool()>& condition, Duration limit) {
    const auto end = cluster_.simulator().now() + limit;
    while (!condition() && cluster_.simulator().now() < end) cluster_.simulator().run_for(50ms);
    return condition();
  }

  /// Mostly of ten members that nobody runs, so that edits of one member collide; sometimes of real ones.
  NodeId draw_member() {
    if (rng_.chance(0.8)) return NodeId("ghost" + std::to_string(rng_.below(10)));
    return name(static_cast<std::size_t>(rng_.below(nodes_)));
  }

  /// A node that was removed while down and restarted has a ring of its own: what is edited there stays
  /// there.
  bool knows_others(std::size_t place) {
    const auto& gossip = cluster_.at(place);
    return gossip.ring() == "ring" && (nodes_ == 1 || gossip.state().present_count() > 1);
  }

  void edit() {
    const auto place = static_cast<std::size_t>(rng_.below(nodes_));
    if (!cluster_.running(place) || !knows_others(place)) return;
    const auto member = draw_member();
    const bool ghost = member.str().starts_with("ghost");
    const Endpoint somewhere{"ghost.invalid", static_cast<std::uint16_t>(rng_.between(1, 9'999))};
    const auto weight = static_cast<std::uint32_t>(rng_.between(1, 200));
    switch (rng_.below(ghost ? 4 : 8)) {
      case 0:
        if (ghost)
          command(place, proto::InsertCommand{{{member, somewhere, weight}}});
        else
          command(place,
                  proto::InsertCommand{{{member, RingCluster::endpoint_of(place_of(member)), weight}}});
        break;
      case 1:
        if (ghost || (rng_.chance(0.2) && place_of(member) != place))
          command(place, proto::RemoveCommand{{member}});
        break;
      case 2:
        if (ghost) command(place, proto::UpdateCommand{.id = member, .endpoint = somewhere});
        break;
      default:
        command(place, proto::UpdateCommand{.id = member, .weight = weight});
        break;
    }
    if (cluster_.at(place).ring() == "ring") checker_.note(place, member);
  }
  static std::size_t place_of(const NodeId& id) { return std::stoul(id.str().substr(4)); }
  void command(std::size_t place, const proto::RingCommand& what) { cluster_.command(place, what); }

  void restart_one() {
    const auto place = static_cast<std::size_t>(rng_.below(nodes_));
    if (!cluster_.running(place)) return cluster_.restart(place, true);
    const auto dice = rng_.uniform();
    if (dice < 0.3) return cluster_.stop(place);
    const bool keep = dice < 0.6 || !checker_.known_elsewhere(place);
    cluster_.restart(place, keep, Duration(rng_.between(-120'000'000'000, 2'000'000'000)));
  }

  void split() {
    std::vector<std::vector<std::size_t>> groups(2 + rng_.below(2));
    for (const auto place : places())
      groups[static_cast<std::size_t>(rng_.below(groups.size()))].push_back(place);
    cluster_.network().partition(groups);
  }

  RingCluster cluster_;
  EditChecker checker_;
  Rng rng_;
  std::size_t nodes_;
  std::vector<std::size_t> places_{};
};

}  // namespace

TEST_CASE("ring: a hundred nodes agree in bounded time after any storm, and no edit is lost") {
  Duration slowest{};
  std::uint64_t whole_states = 0, edits = 0;
  for (std::uint64_t seed = 1; seed <= seeds(3); ++seed) {
    CAPTURE(seed);
    Storm storm(seed, 100);
    storm.meet_all();
    storm.rage(300);
    const auto took = storm.settle();
    REQUIRE(took.has_value());
    CHECK(*took <= 20s);
    storm.judge();
    slowest = std::max(slowest, *took);
    whole_states += storm.whole_states();
    edits += storm.edits_checked();
  }
  MESSAGE(edits << " edits, slowest agreement "
                << std::chrono::duration_cast<std::chrono::milliseconds>(slowest).count()
                << " ms, whole states sent " << whole_states);
}

TEST_CASE("ring: small rings agree in bounded time after any storm, and no edit is lost") {
  for (std::uint64_t seed = 1; seed <= 20 * seeds(6); ++seed) {
    CAPTURE(seed);
    Storm storm(seed, 3 + seed % 8);
    storm.meet_all();
    storm.rage(150);
    const auto took = storm.settle();
    REQUIRE(took.has_value());
    CHECK(*took <= 20s);
    storm.judge();
  }
}

TEST_CASE("ring: a seed gives the same course of events, another seed another") {
  const auto trace = [](std::uint64_t seed) {
    Storm storm(seed, 20);
    storm.meet_all();
    storm.rage(100);
    (void)storm.settle();
    return storm.cluster().simulator().trace_hash();
  };
  CHECK(trace(7) == trace(7));
  CHECK(trace(7) != trace(8));
}
