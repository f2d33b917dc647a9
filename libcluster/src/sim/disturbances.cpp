#include "disturbances.hpp"

#include <algorithm>
#include <utility>

namespace cluster::sim {
namespace {

Duration lateness(const Fault& fault) {
  return Duration(static_cast<std::int64_t>(fault.factor * static_cast<double>(kSlowUnit.count())));
}

}  // namespace

Disturbances::Disturbances(const Scenario& scenario, RingCluster& cluster, Told told)
    : scenario_(scenario),
      cluster_(cluster),
      told_(std::move(told)),
      churn_rng_(scenario.seed ^ 0xc4),
      held_down_(scenario.nodes, 0),
      paused_(scenario.nodes, 0),
      slowness_(scenario.nodes),
      wiped_(scenario.nodes, false),
      killed_(scenario.nodes, false) {}

bool Disturbances::in_ring(std::size_t place) const {
  return cluster_.running(place) && !cluster_.paused(place) && cluster_.at(place).ring() == "ring" &&
         (scenario_.nodes == 1 || cluster_.at(place).state().present_count() > 1);
}

// --- faults ---

void Disturbances::schedule_faults() {
  auto& simulator = cluster_.simulator();
  for (const auto& fault : scenario_.faults) {
    simulator.at(Instant{} + fault.from, [this, &fault] { apply(fault, true); });
    if (fault.until) simulator.at(Instant{} + *fault.until, [this, &fault] { apply(fault, false); });
  }
}

void Disturbances::apply(const Fault& fault, bool begins) {
  for (auto* observer : told_.observers) observer->on_fault(fault, begins);
  const auto groups = fault.resolve(scenario_.nodes);
  if (fault.kind == Fault::Kind::partition || fault.kind == Fault::Kind::one_way) {
    if (begins)
      cuts_[&fault] = cluster_.network().cut(groups, fault.kind == Fault::Kind::one_way);
    else
      cluster_.network().mend(cuts_.at(&fault));
  }
  for (const auto& group : groups)
    for (const auto place : group) apply(fault, place, begins);
  if (!begins) ended_.push_back(&fault);
}

void Disturbances::apply(const Fault& fault, std::size_t place, bool begins) {
  told_.storm.news();
  switch (fault.kind) {
    case Fault::Kind::kill:
    case Fault::Kind::wipe:
    case Fault::Kind::stop:
      return begins ? down(place, fault.kind) : up(place);
    case Fault::Kind::clock:
      return cluster_.set_clock(place, cluster_.clock_skew(place) + (begins ? fault.jump : -fault.jump));
    case Fault::Kind::reset:
      return cluster_.links().reset(place);
    case Fault::Kind::pause:
      if (begins && paused_[place]++ == 0) cluster_.pause(place);
      if (!begins && --paused_[place] == 0) cluster_.resume(place);
      break;
    case Fault::Kind::slow:
      slowness_[place] += begins ? lateness(fault) : -lateness(fault);
      cluster_.slow_down(place, slowness_[place]);
      break;
    case Fault::Kind::partition:
    case Fault::Kind::one_way:
      break;
  }
  told_.health.disturb(place, begins);
}

void Disturbances::down(std::size_t place, Fault::Kind how) {
  if (how == Fault::Kind::wipe) {
    wiped_[place] = true;
    told_.edits.forgive(place);
  }
  if (held_down_[place]++ > 0) return;
  if (how == Fault::Kind::stop) {
    cluster_.stop_gently(place);
  } else {
    told_.health.on_kill(place);
    cluster_.stop(place);
  }
}

void Disturbances::up(std::size_t place) {
  if (--held_down_[place] > 0) return;
  const bool keep_state = !wiped_[place];
  wiped_[place] = false;
  const auto before = cluster_.boot(place);
  if (keep_state && told_.bug) told_.bug->on_restart(place);
  cluster_.restart(place, keep_state);
  if (keep_state && cluster_.boot(place).number <= before.number)
    told_.violation(node_name(place, scenario_.nodes).str() +
                    " started again with a boot that is not greater than its last one");
  told_.health.on_restart(place);
  if (keep_state) return;
  if (const auto other = other_in_ring(place)) return meet(place, *other);  // as cluster-node --meet would
  for (std::size_t other = 0; other < cluster_.size(); ++other)  // nobody has found others again yet
    if (other != place && cluster_.running(other)) return meet(place, other);
}

std::optional<std::size_t> Disturbances::other_in_ring(std::size_t place) const {
  for (std::size_t other = 0; other < cluster_.size(); ++other)
    if (other != place && in_ring(other)) return other;
  return {};
}

void Disturbances::meet(std::size_t place, std::size_t other) {
  cluster_.command(
      place, proto::MeetCommand{.endpoint = RingCluster::endpoint_of(other), .timeout = Duration::max()});
}

void Disturbances::calm_down() {
  for (const auto& fault : scenario_.faults)
    if (!fault.stays() && std::ranges::find(ended_, &fault) == ended_.end()) apply(fault, false);
  for (const auto place : std::exchange(churned_, {})) come_back(place);
}

// --- churn ---

void Disturbances::schedule_churn() {
  if (scenario_.churn_per_s <= 0) return;
  const auto when = cluster_.simulator().now() + next_after(churn_rng_, scenario_.churn_per_s);
  if (when >= Instant{} + scenario_.duration) return;
  cluster_.simulator().at(when, [this] {
    churn();
    schedule_churn();
  });
}

void Disturbances::churn() {
  const auto place = static_cast<std::size_t>(churn_rng_.below(scenario_.nodes));
  const auto away = std::chrono::milliseconds(churn_rng_.between(5'000, 30'000));
  const bool leaves = churn_rng_.chance(0.3);
  if (!in_ring(place) || held_down_[place] > 0 || std::ranges::find(churned_, place) != churned_.end())
    return;
  churned_.push_back(place);
  told_.storm.news();
  if (leaves && told_.edits.known_elsewhere(place)) {
    cluster_.command(place, proto::LeaveCommand{});
  } else {
    killed_[place] = true;
    down(place, Fault::Kind::kill);
  }
  cluster_.simulator().after(away, [this, place] {
    if (std::erase(churned_, place) > 0) come_back(place);
  });
}

void Disturbances::come_back(std::size_t place) {
  told_.storm.news();
  if (killed_[place]) {
    killed_[place] = false;
    return up(place);
  }
  if (!cluster_.running(place) || cluster_.at(place).ring() == "ring") return;
  if (const auto other = other_in_ring(place)) {
    told_.health.on_restart(place);
    meet(place, *other);
  }
}

}  // namespace cluster::sim
