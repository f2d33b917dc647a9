// What Stoica et al., ToN 2003, section V, found of Chord, and what theory says of it.
#include <doctest/doctest.h>

#include <cmath>

#include "cluster/sim/chord_experiment.hpp"
#include "seeds.hpp"

using namespace cluster;
using namespace cluster::sim;

namespace {

ChordReport checked_run(const ChordScenario& scenario) {
  auto report = run(scenario);
  INFO("seed ", scenario.seed);
  CHECK(report.invariant_violations == 0);
  CHECK(report.lookups == scenario.lookups);
  return report;
}

}  // namespace

TEST_CASE("chord papers: a lookup by fingers alone asks 1/2 log2 N nodes, within 0.35") {
  for (std::uint64_t seed = 1; seed <= seeds(1); ++seed)
    for (const std::size_t nodes : {64u, 512u, 2048u}) {
      CAPTURE(seed);
      CAPTURE(nodes);
      const auto report = checked_run({.nodes = nodes, .seed = seed, .lookups = 2000});
      CHECK(report.failed_lookups == 0);
      CHECK(std::abs(report.path_length.mean - 0.5 * std::log2(static_cast<double>(nodes))) < 0.35);
      CHECK(report.timeouts.max == 0);
    }
}

TEST_CASE("chord papers: the length of paths is spread as a binomial distribution, within 0.04 a length") {
  const auto report = checked_run({.nodes = 1024, .seed = 3, .lookups = 6000});
  double binomial = std::exp2(-10);
  for (std::size_t hops = 0; hops <= 10; ++hops) {
    const auto count = hops < report.path_counts.size() ? report.path_counts[hops] : 0;
    CAPTURE(hops);
    CHECK(std::abs(static_cast<double>(count) / 6000.0 - binomial) < 0.04);
    binomial *= static_cast<double>(10 - hops) / static_cast<double>(hops + 1);
  }
}

TEST_CASE("chord papers: a list of r successors spares 1/2 log2 r - 1 nodes, within 0.3") {
  for (const std::size_t r : {8u, 32u}) {
    ChordScenario scenario{.nodes = 512, .seed = 5, .lookups = 1500, .successors = r};
    const auto alone = checked_run(scenario);
    scenario.route_by_successors = true;
    const auto with = checked_run(scenario);
    const double spared = alone.path_length.mean - with.path_length.mean;
    CAPTURE(r);
    CHECK(std::abs(spared - (0.5 * std::log2(static_cast<double>(r)) - 1)) < 0.3);
  }
}

TEST_CASE(
    "chord papers: right after a share of the nodes died, lookups are right, at f / (1 - f) timeouts a "
    "step") {
  for (const double fail : {0.1, 0.3, 0.5}) {
    CAPTURE(fail);
    const auto report = checked_run({.nodes = 300,
                                     .seed = 11,
                                     .lookups = 1500,
                                     .fail = fail,
                                     .successors = 20,
                                     .route_by_successors = true});
    CHECK(report.failed_lookups == 0);
    const double expected = (report.path_length.mean + 1) * fail / (1 - fail);
    CHECK(report.timeouts.mean > 0.5 * expected);
    CHECK(report.timeouts.mean < 1.3 * expected);
    REQUIRE(report.healed_after.has_value());
    CHECK(*report.healed_after < 20s);
  }
}

TEST_CASE("chord papers: under joins and crashes lookups fail seldom, and the invariant holds") {
  const auto report = checked_run({.nodes = 200,
                                   .seed = 2,
                                   .lookups = 1000,
                                   .successors = 8,
                                   .route_by_successors = true,
                                   .churn_per_s = 0.5,
                                   .stabilize_interval = 1s,
                                   .lookups_per_s = 20});
  CHECK(report.joined > 10);
  CHECK(report.died > 10);
  CHECK(report.failed_lookups <= 10);  // 1 %
}

TEST_CASE("chord papers: a ring of honest joins comes to the ideal one") {
  const auto report = checked_run({.nodes = 120, .seed = 4, .lookups = 500, .join = true});
  CHECK(report.ideal_after.has_value());
  CHECK(report.failed_lookups == 0);
}

TEST_CASE("chord papers: keys a node owns are spread exponentially, and evenly with virtual nodes") {
  for (const std::size_t count : {1u, 5u, 20u}) {
    const auto owned = keys_per_node(2000, 400'000, count, 9);
    CAPTURE(count);
    CHECK(owned.mean == doctest::Approx(200));
    CHECK(owned.p99 / owned.mean == doctest::Approx(share_quantile(count, 0.99)).epsilon(0.12));
    CHECK(std::abs(owned.p1 / owned.mean - share_quantile(count, 0.01)) < 0.06);
  }
  CHECK(share_quantile(1, 0.99) == doctest::Approx(-std::log(0.01)));
  CHECK(share_quantile(1, 0.01) == doctest::Approx(-std::log(0.99)));
}
