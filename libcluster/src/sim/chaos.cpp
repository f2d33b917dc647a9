// Faults drawn from a seed, and the search for the smallest scenario that still fails.
#include <algorithm>
#include <cmath>

#include "cluster/sim/scenario.hpp"

namespace cluster::sim {
namespace {

constexpr Duration kCalmBefore = 2s;  // of the run's start and end

/// Draws times and nodes of a scenario.
class Dice {
 public:
  explicit Dice(const Scenario& scenario) : scenario_(scenario), rng_(scenario.seed ^ 0xc4a05) {}

  Rng& rng() { return rng_; }
  std::size_t place() { return static_cast<std::size_t>(rng_.below(scenario_.nodes)); }
  Duration span(Duration low, Duration high) {
    return std::chrono::milliseconds(rng_.between(low / 1ms, std::max(low, high) / 1ms));
  }
  /// A start after which `span` still fits.
  Duration start(Duration span) {
    const auto last = scenario_.duration - kCalmBefore - span;
    return this->span(std::min(kCalmBefore, last), last);
  }
  Fault fault(Fault::Kind kind, std::size_t place, Duration low, Duration high) {
    const auto length = span(low, std::min(high, scenario_.duration / 2));
    const auto from = start(length);
    return {.kind = kind, .groups = {{.places = {place}}}, .from = from, .until = from + length};
  }

 private:
  const Scenario& scenario_;
  Rng rng_;
};

Fault draw_split(Dice& dice, std::size_t nodes) {
  auto fault =
      dice.fault(dice.rng().chance(0.25) ? Fault::Kind::one_way : Fault::Kind::partition, 0, 4s, 25s);
  fault.groups.assign(2, {});
  for (std::size_t place = 0; place < nodes; ++place)
    fault.groups[static_cast<std::size_t>(dice.rng().below(2))].places.push_back(place);
  for (std::size_t group = 0; group < 2; ++group)
    if (fault.groups[group].places.empty()) {
      fault.groups[group].places.push_back(fault.groups[1 - group].places.back());
      fault.groups[1 - group].places.pop_back();
    }
  return fault;
}

/// One node is cut off, and is killed before it has told anybody what it did meanwhile.
void add_lonely_crash(Scenario& scenario, Dice& dice) {
  const auto place = dice.place();
  auto cut = dice.fault(Fault::Kind::partition, place, 5s, 12s);
  Nodes others;
  for (std::size_t other = 0; other < scenario.nodes; ++other)
    if (other != place) others.places.push_back(other);
  if (others.places.empty()) return;
  cut.groups.push_back(std::move(others));
  const auto killed = *cut.until - dice.span(50ms, 1500ms);
  scenario.faults.push_back({.kind = Fault::Kind::kill,
                             .groups = {{.places = {place}}},
                             .from = killed,
                             .until = *cut.until + dice.span(100ms, 1s)});
  scenario.faults.push_back(std::move(cut));
}

/// A clock is set back, and its node starts again by it.
void add_clock_and_crash(Scenario& scenario, Dice& dice) {
  auto crash = dice.fault(Fault::Kind::kill, dice.place(), 300ms, 20s);
  Fault jump{.kind = Fault::Kind::clock,
             .groups = crash.groups,
             .from = crash.from - 1s,
             .jump = dice.rng().chance(0.7) ? -dice.span(1s, 120s) : dice.span(1s, 120s)};
  scenario.faults.push_back(std::move(jump));
  scenario.faults.push_back(std::move(crash));
}

}  // namespace

void add_chaos(Scenario& scenario) {
  Dice dice(scenario);
  auto& rng = dice.rng();
  auto& network = scenario.network;
  if (network.loss == 0 && rng.chance(0.6)) network.loss = std::round(rng.uniform() * 100) / 1000;
  if (network.duplication == 0 && rng.chance(0.5))
    network.duplication = std::round(rng.uniform() * 50) / 1000;
  if (network.reordering == 0 && rng.chance(0.5)) network.reordering = std::round(rng.uniform() * 100) / 1000;
  if (scenario.skew == Duration{}) scenario.skew = dice.span(0s, 2s);
  if (scenario.edits_per_s == 0) scenario.edits_per_s = 2 + std::round(rng.uniform() * 30) / 10;
  if (scenario.nodes < 2 || scenario.duration < 20s) return;
  const auto some = [&](std::uint64_t most, const auto& add) {
    for (auto count = rng.below(most + 1); count > 0; --count) add();
  };
  auto& faults = scenario.faults;
  some(2, [&] { faults.push_back(draw_split(dice, scenario.nodes)); });
  some(2, [&] { faults.push_back(dice.fault(Fault::Kind::kill, dice.place(), 300ms, 20s)); });
  some(2, [&] { faults.push_back(dice.fault(Fault::Kind::pause, dice.place(), 500ms, 15s)); });
  some(1, [&] { add_clock_and_crash(scenario, dice); });
  some(1, [&] { faults.push_back(dice.fault(Fault::Kind::wipe, dice.place(), 300ms, 20s)); });
  some(2, [&] { add_lonely_crash(scenario, dice); });
  some(2, [&] {
    faults.push_back(
        {.kind = Fault::Kind::reset, .groups = {{.places = {dice.place()}}}, .from = dice.start(1s)});
  });
  if (scenario.intruders == 0 && scenario.handshake && rng.chance(0.5)) scenario.intruders = 1;
  some(1, [&] { faults.push_back(dice.fault(Fault::Kind::stop, dice.place(), 300ms, 20s)); });
  some(1, [&] {
    auto slow = dice.fault(Fault::Kind::slow, dice.place(), 2s, 20s);
    slow.factor = static_cast<double>(rng.between(5, 400));
    faults.push_back(std::move(slow));
  });
  std::ranges::stable_sort(faults, {}, &Fault::from);
}

namespace {

bool fails(const Scenario& scenario) { return !run(scenario).violations.empty(); }

/// The scenario without what its faults do to nodes that it has not.
Scenario with_nodes(Scenario scenario, std::size_t nodes) {
  scenario.nodes = nodes;
  std::vector<Fault> kept;
  for (auto& fault : scenario.faults) {
    for (auto& group : fault.groups) std::erase_if(group.places, [&](std::size_t p) { return p >= nodes; });
    if (std::ranges::all_of(fault.groups, [](const Nodes& g) { return g.share > 0 || !g.places.empty(); }))
      kept.push_back(std::move(fault));
  }
  scenario.faults = std::move(kept);
  return scenario;
}

}  // namespace

Scenario shrink(const Scenario& failing, std::size_t runs_max,
                const std::function<void(const Scenario&)>& progress) {
  auto smallest = failing;
  const auto take = [&](const Scenario& candidate) {
    if (runs_max == 0 || !candidate.check()) return false;
    --runs_max;
    if (!fails(candidate)) return false;
    smallest = candidate;
    if (progress) progress(smallest);
    return true;
  };
  for (bool smaller = true; smaller && runs_max > 0;) {
    smaller = false;
    for (std::size_t i = smallest.faults.size(); i-- > 0;) {
      auto without = smallest;
      without.faults.erase(without.faults.begin() + static_cast<std::ptrdiff_t>(i));
      smaller = take(without) || smaller;
    }
    for (const auto nodes : {smallest.nodes / 2, smallest.nodes - 1})
      if (nodes >= 2 && nodes < smallest.nodes) smaller = take(with_nodes(smallest, nodes)) || smaller;
    auto shorter = smallest;
    shorter.duration = smallest.duration / 2 / 1s * 1s;
    for (const auto& fault : smallest.faults) shorter.duration = std::max(shorter.duration, fault.end() + 1s);
    if (shorter.duration > 1s && shorter.duration < smallest.duration) smaller = take(shorter) || smaller;
    const auto calmer = [&](auto change) {
      auto candidate = smallest;
      change(candidate);
      if (candidate.arguments() != smallest.arguments()) smaller = take(candidate) || smaller;
    };
    calmer([](Scenario& s) { s.network.loss = 0; });
    calmer([](Scenario& s) { s.network.duplication = 0; });
    calmer([](Scenario& s) { s.network.reordering = 0; });
    calmer([](Scenario& s) { s.skew = Duration{}; });
    calmer([](Scenario& s) { s.churn_per_s = 0; });
    calmer([](Scenario& s) { s.intruders = 0; });
    calmer([](Scenario& s) { s.edits_per_s = 0; });
  }
  return smallest;
}

}  // namespace cluster::sim
