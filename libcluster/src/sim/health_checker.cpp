#include "cluster/sim/health_checker.hpp"

#include <algorithm>

namespace cluster::sim {

using proto::MemberState;

HealthChecker::Subject& HealthChecker::subject(std::size_t place) {
  if (place >= subjects_.size()) subjects_.resize(std::max(place + 1, cluster_.size()));
  return subjects_[place];
}

void HealthChecker::on_kill(std::size_t place) {
  auto& killed = subject(place);
  killed.dead = true;
  killed.crash = crashes_.size();
  crashes_.push_back({.at = cluster_.simulator().now()});
}

void HealthChecker::on_restart(std::size_t place) {
  auto& started = subject(place);
  started.dead = false;
  started.calm_since = cluster_.simulator().now();
}

void HealthChecker::disturb(std::size_t place, bool begins) {
  auto& changed = subject(place);
  changed.disturbances += begins ? 1 : -1;
  changed.calm_since = cluster_.simulator().now();
}

/// Undisturbed now, and for long enough that no news of a disturbance is still under way.
bool HealthChecker::healthy(std::size_t place) const {
  if (place >= subjects_.size()) return true;
  const auto& it = subjects_[place];
  return it.disturbances == 0 && it.calm_since + kGrace <= cluster_.simulator().now();
}

void HealthChecker::on_health(std::size_t place, const proto::StateChanged& change) {
  if (change.to != MemberState::unreachable) return;
  const auto about = cluster_.home_of(change.id);
  if (!about) return;
  auto& accused = subject(*about);
  if (!accused.dead) {
    if (!cluster_.running(*about)) return;
    ++accusations_;
    if (!healthy(*about)) return;
    ++false_positives_;
    if (healthy(place)) ++at_healthy_;
    return;
  }
  if (!healthy(place)) return;
  auto& crash = crashes_[accused.crash];
  const auto took = cluster_.simulator().now() - crash.at;
  detections_.push_back(took);
  crash.first = std::min(crash.first, took);
  crash.last = std::max(crash.last, took);
  ++crash.told;
}

std::vector<Duration> HealthChecker::first_detections() const {
  std::vector<Duration> times;
  for (const auto& crash : crashes_)
    if (crash.told > 0) times.push_back(crash.first);
  return times;
}

std::vector<Duration> HealthChecker::last_detections() const {
  std::vector<Duration> times;
  for (const auto& crash : crashes_)
    if (crash.told > 0) times.push_back(crash.last);
  return times;
}

std::vector<std::string> HealthChecker::wrong_views(std::size_t most) const {
  std::vector<std::string> wrong;
  for (std::size_t place = 0; place < cluster_.size() && wrong.size() < most; ++place) {
    const auto* detector = cluster_.running(place) ? cluster_.detector(place) : nullptr;
    if (detector == nullptr || cluster_.at(place).ring().empty()) continue;
    for (const auto& held : detector->members()) {
      const auto about = cluster_.home_of(held.id);
      if (!about || held.state == MemberState::left || wrong.size() >= most) continue;
      const bool runs = cluster_.running(*about);
      const bool right = runs ? held.state == MemberState::alive
                              : held.state != MemberState::alive && held.state != MemberState::suspect;
      // Who left the ring and has not joined again is no member, and does not answer as one.
      if (right || (runs && cluster_.at(*about).ring().empty())) continue;
      wrong.push_back(cluster_.id(place).str() + " holds " + held.id.str() + " for " +
                      std::string(proto::name(held.state)) + ", which " + (runs ? "runs" : "is dead"));
    }
  }
  return wrong;
}

}  // namespace cluster::sim
