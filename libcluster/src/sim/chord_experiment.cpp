#include "cluster/sim/chord_experiment.hpp"

#include <algorithm>
#include <cmath>

namespace cluster::sim {
namespace {

// The simulated network answers within 20 ms.
constexpr Duration kHopTimeout = 100ms;
constexpr Duration kIdealMax = 120s;

ChordClusterConfig config_of(const ChordScenario& scenario) {
  ChordClusterConfig config{.nodes = scenario.nodes, .seed = scenario.seed};
  // Who joins under churn is a new node.
  if (scenario.churn_per_s > 0 && scenario.lookups_per_s > 0) {
    const double seconds = static_cast<double>(scenario.lookups) / scenario.lookups_per_s;
    config.nodes += static_cast<std::size_t>(2 * scenario.churn_per_s * seconds) + 64;
  }
  auto& chord = config.chord;
  chord.bits = scenario.bits;
  chord.hash = scenario.hash;
  chord.successors = scenario.successors;
  chord.stabilize_interval = scenario.stabilize_interval;
  chord.jitter = scenario.jitter;
  // One finger a stabilization, as in the paper, or sooner.
  chord.fingers_interval = 3 * scenario.stabilize_interval;
  chord.hop_timeout = kHopTimeout;
  chord.route_by_successors = scenario.route_by_successors;
  return config;
}

/// As honest nodes would come: through any member, more as there are more.
void join_all(ChordCluster& ring, std::size_t nodes, Rng& rng) {
  ring.create(0);
  std::size_t next = 1;
  while (next < nodes) {
    for (auto batch = std::max<std::size_t>(1, next / 20); batch > 0 && next < nodes; --batch, ++next)
      ring.join(next, ring.random_member(rng));
    ring.simulator().run_for(100ms);
  }
}

void crash(ChordCluster& ring, const ChordScenario& scenario, Rng& rng, ChordReport& report) {
  auto members = ring.members();
  rng.shuffle(members);
  members.resize(static_cast<std::size_t>(scenario.fail * static_cast<double>(members.size())));
  for (const auto node : members) ring.kill(node) ? ++report.died : ++report.spared;
}

/// Joins, crashes and lookups as three Poisson processes.
void churn(ChordCluster& ring, const ChordScenario& scenario, Rng& rng, ChordReport& report) {
  auto& simulator = ring.simulator();
  const auto next_of = [&](double per_s) {
    return simulator.now() +
           std::chrono::round<Duration>(std::chrono::duration<double>(-std::log(1 - rng.uniform()) / per_s));
  };
  auto newcomer = scenario.nodes;
  Instant joins = next_of(scenario.churn_per_s), crashes = next_of(scenario.churn_per_s);
  Instant asks = next_of(scenario.lookups_per_s);
  for (std::size_t asked = 0; asked < scenario.lookups;) {
    simulator.run_until(std::min({joins, crashes, asks}));
    if (simulator.now() == asks) {
      ++asked;
      ring.lookup(ring.random_member(rng), ring.random_target(rng), scenario.mode);
      asks = next_of(scenario.lookups_per_s);
    } else if (simulator.now() == joins) {
      if (newcomer < ring.size()) ++report.joined, ring.join(newcomer++, ring.random_member(rng));
      joins = next_of(scenario.churn_per_s);
    } else {
      ring.kill(ring.random_member(rng)) ? ++report.died : ++report.spared;
      crashes = next_of(scenario.churn_per_s);
    }
  }
}

void read_outcomes(ChordCluster& ring, ChordReport& report) {
  std::vector<double> hops, timeouts;
  for (const auto& outcome : ring.take_outcomes()) {
    ++report.lookups;
    if (!outcome.right) ++report.failed_lookups;
    if (!outcome.answer) continue;
    hops.push_back(outcome.answer->hops);
    timeouts.push_back(outcome.answer->timeouts);
    report.path_counts.resize(std::max<std::size_t>(report.path_counts.size(), outcome.answer->hops + 1u));
    ++report.path_counts[outcome.answer->hops];
  }
  report.path_length = spread_of(hops);
  report.timeouts = spread_of(timeouts);
}

/// P(k, x), the regularized lower incomplete gamma function, for a whole k: the chance that k exponentials of
/// mean 1 sum to at most x.
double gamma_share(std::size_t k, double x) {
  double term = std::exp(-x), sum = 0;
  for (std::size_t i = 0; i < k; ++i) {
    sum += term;
    term *= x / static_cast<double>(i + 1);
  }
  return 1 - sum;
}

}  // namespace

Result<void> ChordScenario::check() const {
  const auto fail_with = [](const char* text) { return Error(Errc::invalid_argument, text); };
  if (nodes < 1 || nodes > 100'000) return fail_with("--nodes must be 1 to 100000");
  if (bits < proto::ChordSpace::kBitsMin || bits > proto::ChordId::kBitsMax)
    return fail_with("--bits must be 8 to 160");
  if (bits < 32 && nodes > (std::size_t{1} << bits) / 4)
    return fail_with("too many nodes for so few bits: at most a quarter of the places can be taken");
  if (successors < 1 || successors > proto::kChordSuccessorsMax)
    return fail_with("--successors must be 1 to 32");
  if (!(fail >= 0 && fail < 1)) return fail_with("--fail must be a share below 1");
  if (lookups > 10'000'000) return fail_with("--lookups must be at most 10000000");
  if (!(churn_per_s >= 0)) return fail_with("--churn must not be negative");
  if (churn_per_s > 0 && !(lookups_per_s > 0)) return fail_with("--churn needs --lookups-per-s");
  if (stabilize_interval < 1ms) return fail_with("--stabilize must be 1ms at least");
  return {};
}

Spread spread_of(std::vector<double>& values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  double sum = 0;
  for (const auto value : values) sum += value;
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
  };
  return {sum / static_cast<double>(values.size()), at(0.01), at(0.5), at(0.99), values.back()};
}

ChordReport run(const ChordScenario& scenario) {
  ChordReport report{.scenario = scenario};
  ChordCluster ring(config_of(scenario));
  Rng rng = ring.simulator().rng().split();
  if (scenario.join) {
    join_all(ring, scenario.nodes, rng);
    const auto joined = ring.simulator().now();
    report.joined = scenario.nodes - 1;
    if (ring.run_until_ideal(kIdealMax)) report.ideal_after = ring.simulator().now() - joined;
  } else {
    ring.form(scenario.nodes);
  }
  // All nodes have run their timers once and are at different points of their turns.
  ring.simulator().run_for(2 * scenario.stabilize_interval);
  const auto crashed_at = ring.simulator().now();
  if (scenario.fail > 0) crash(ring, scenario, rng, report);
  if (scenario.churn_per_s > 0) {
    churn(ring, scenario, rng, report);
  } else {
    for (std::size_t i = 0; i < scenario.lookups; ++i)
      ring.lookup(ring.random_member(rng), ring.random_target(rng), scenario.mode);
  }
  ring.run_lookups();
  read_outcomes(ring, report);
  if (scenario.fail > 0 && ring.run_until_ideal(kIdealMax, true, 100ms))
    report.healed_after = ring.simulator().now() - crashed_at;
  const auto& checker = ring.checker();
  report.invariant_violations = checker.violations();
  report.first_violations = checker.first_violations();
  report.checks = checker.checks();
  report.messages = ring.messages();
  report.virtual_time = ring.simulator().now() - Instant{};
  return report;
}

Spread keys_per_node(std::size_t nodes, std::size_t keys, std::size_t virtual_nodes, std::uint64_t seed) {
  const proto::ChordSpace space;
  Rng rng(seed);
  std::vector<std::pair<proto::ChordId, std::size_t>> ring;
  ring.reserve(nodes * virtual_nodes);
  for (std::size_t i = 0; i < nodes * virtual_nodes; ++i)
    ring.emplace_back(space.place("node " + std::to_string(rng.next())), i % nodes);
  std::ranges::sort(ring);
  std::vector<double> owned(nodes, 0);
  for (std::size_t i = 0; i < keys; ++i) {
    const auto key = space.place("key " + std::to_string(rng.next()));
    const auto found =
        std::ranges::lower_bound(ring, key, {}, &std::pair<proto::ChordId, std::size_t>::first);
    owned[(found == ring.end() ? ring.begin() : found)->second] += 1;
  }
  return spread_of(owned);
}

double share_quantile(std::size_t virtual_nodes, double quantile) {
  double low = 0, high = 50 * static_cast<double>(virtual_nodes);
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (gamma_share(virtual_nodes, middle) < quantile ? low : high) = middle;
  }
  return low / static_cast<double>(virtual_nodes);
}

}  // namespace cluster::sim
