#include "cluster/sim/scenario.hpp"

#include <algorithm>

#include "cluster/proto/ring_state.hpp"
#include "cluster/sim/planted_bugs.hpp"

namespace cluster::sim {
namespace {

constexpr std::size_t kIntrudersMax = 100;
constexpr Duration kScenarioMax = std::chrono::hours(24);

/// A node that stands in two groups of a fault, or twice in one.
std::optional<std::size_t> named_twice(const Fault& fault, std::size_t nodes) {
  std::vector<bool> named(nodes, false);
  for (const auto& group : fault.resolve(nodes))
    for (const auto place : group) {
      if (named[place]) return place;
      named[place] = true;
    }
  return {};
}

Error bad_scenario(std::string text) { return Error(Errc::invalid_argument, std::move(text)); }

}  // namespace

Result<void> Scenario::check() const {
  if (nodes == 0 || nodes > proto::RingState::kMembersMax)
    return bad_scenario("a cluster has 1 to " + std::to_string(proto::RingState::kMembersMax) + " nodes");
  if (duration <= Duration{} || duration > kScenarioMax)
    return bad_scenario("a run takes more than 0 s and at most 24 h");
  for (const auto share : {network.loss, network.duplication, network.reordering})
    if (!(share >= 0 && share < 1)) return bad_scenario("a probability is at least 0 and less than 1");
  if (!(edits_per_s >= 0 && edits_per_s <= 10'000)) return bad_scenario("edits: 0 to 10000 a second");
  if (!(churn_per_s >= 0 && churn_per_s <= 100)) return bad_scenario("churn: 0 to 100 nodes a second");
  if (intruders > kIntrudersMax)
    return bad_scenario("at most " + std::to_string(kIntrudersMax) + " intruders");
  if (intruders > 0 && !handshake)
    return bad_scenario("without handshakes nothing keeps an intruder out: leave out one of the two");
  if (skew < Duration{} || skew > std::chrono::minutes(30))
    return bad_scenario("clocks are at most 30 min off");
  for (const auto& fault : faults) {
    if (fault.from >= duration || fault.end() > duration)
      return bad_scenario("'" + fault.text() + "' ends after the run of " + to_text(duration));
    for (const auto& group : fault.groups)
      for (const auto place : group.places)
        if (place >= nodes)
          return bad_scenario("'" + fault.text() + "': the nodes are 0 to " + std::to_string(nodes - 1));
    if (const auto place = named_twice(fault, nodes))
      return bad_scenario("'" + fault.text() + "' names node " + std::to_string(*place) + " twice");
  }
  if (!planted.empty()) {
    const auto bugs = planted_bugs();
    if (std::ranges::find(bugs, planted, &PlantedBugName::name) == bugs.end()) {
      std::string names;
      for (const auto& bug : bugs) names += (names.empty() ? "" : ", ") + std::string(bug.name);
      return bad_scenario("'" + planted + "' cannot be broken: choose " + names);
    }
  }
  return {};
}

std::vector<std::string> Scenario::arguments() const {
  std::vector<std::string> words{"--nodes",    std::to_string(nodes), "--seed",  std::to_string(seed),
                                 "--duration", to_text(duration),     "--delay", to_text(network.delay)};
  const auto add = [&](const char* option, const std::string& value) {
    words.emplace_back(option);
    words.push_back(value);
  };
  if (network.loss > 0) add("--loss", plain_text(network.loss));
  if (network.duplication > 0) add("--duplicate", plain_text(network.duplication));
  if (network.reordering > 0) add("--reorder", plain_text(network.reordering));
  if (skew > Duration{}) add("--skew", to_text(skew));
  if (edits_per_s > 0) add("--edits", plain_text(edits_per_s));
  if (churn_per_s > 0) add("--churn", plain_text(churn_per_s));
  for (const auto& fault : faults) add(fault.option().c_str(), fault.text());
  if (mesh_max != Scenario{}.mesh_max) add("--mesh-max", std::to_string(mesh_max));
  if (intruders > 0) add("--intruders", std::to_string(intruders));
  if (!handshake) words.emplace_back("--no-handshake");
  if (!detector) words.emplace_back("--no-detector");
  if (plain_swim) words.emplace_back("--plain-swim");
  if (join) words.emplace_back("--join");
  if (!planted.empty()) add("--break", planted);
  if (!planted.empty() && !brings_events()) words.emplace_back("--no-chaos");
  if (convergence_max != Scenario{}.convergence_max) add("--converge-within", to_text(convergence_max));
  if (health_max != Scenario{}.health_max) add("--healthy-within", to_text(health_max));
  return words;
}

Percentiles percentiles_ms(std::vector<Duration> times) {
  if (times.empty()) return {};
  std::ranges::sort(times);
  const auto at = [&](std::size_t percent) {
    const auto rank = (times.size() * percent + 99) / 100;  // nearest rank
    return std::chrono::round<std::chrono::milliseconds>(times[std::max<std::size_t>(rank, 1) - 1]).count();
  };
  return {.count = times.size(), .p50 = at(50), .p99 = at(99), .max = at(100)};
}

}  // namespace cluster::sim
