#include "cluster/sim/network.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace cluster::sim {
namespace {

constexpr double kHeldBackMax = 10;
constexpr Duration kAgainMax = 1min;

/// Box and Muller 1958.
double standard_normal(Rng& rng) {
  const auto u = 1 - rng.uniform(), v = rng.uniform();  // u in (0, 1]
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

/// In whole microseconds, so that no difference between mathematical libraries is seen.
Duration scaled(Duration delay, double factor) {
  const auto us = std::round(static_cast<double>(delay.count()) * factor / 1000);
  return std::chrono::microseconds(static_cast<std::int64_t>(std::clamp(us, -1e12, 1e12)));
}

}  // namespace

Duration Latency::draw(Rng& rng) const {
  switch (shape) {
    case Shape::uniform:
      return Duration(rng.between(low.count(), high.count()));
    case Shape::normal:
      return std::max(Duration{}, low + scaled(high, standard_normal(rng)));
    case Shape::lognormal:
      return scaled(low, std::exp(sigma * standard_normal(rng)));
  }
  return low;
}

int Network::fate(Place from, Place to, std::size_t bytes) {
  ++counters_.sent;
  counters_.bytes += bytes;
  if (!reaches(from, to) || rng_.chance(faults_.loss)) {
    ++counters_.lost;
    return 0;
  }
  if (!rng_.chance(faults_.duplication)) return 1;
  ++counters_.duplicated;
  return 2;
}

Duration Network::draw_delay() {
  const auto delay = faults_.delay.draw(rng_);
  if (faults_.reordering <= 0 || !rng_.chance(faults_.reordering)) return delay;
  return scaled(delay, 1 + (kHeldBackMax - 1) * rng_.uniform());
}

Duration Network::draw_stream_delay(std::size_t bytes, Duration again) {
  Duration waited{};
  for (;; waited += again, again = std::min(2 * again, kAgainMax)) {
    ++counters_.sent;
    counters_.bytes += bytes;
    if (!rng_.chance(faults_.loss)) return waited + draw_delay();
    ++counters_.lost;
  }
}

std::uint64_t Network::cut(const std::vector<std::vector<Place>>& groups, bool one_way) {
  Cut cut{.group_of = {}, .one_way = one_way, .others_alone = false};
  for (std::size_t group = 0; group < groups.size(); ++group)
    for (const auto place : groups[group]) {
      if (place >= cut.group_of.size()) cut.group_of.resize(place + 1, 0);
      cut.group_of[place] = static_cast<std::uint32_t>(group + 1);
    }
  cuts_.emplace(++cuts_made_, std::move(cut));
  return cuts_made_;
}

void Network::partition(const std::vector<std::vector<Place>>& groups) {
  cuts_.clear();
  cuts_.at(cut(groups)).others_alone = true;
}

bool Network::Cut::blocks(Place from, Place to) const noexcept {
  const auto group = [&](Place place) { return place < group_of.size() ? group_of[place] : 0; };
  const auto a = group(from), b = group(to);
  if (one_way) return a == 1 && b == 2;
  if (a == 0 || b == 0) return others_alone;
  return a != b;
}

bool Network::reaches(Place from, Place to) const {
  return cuts_.empty() || from == to || std::none_of(cuts_.begin(), cuts_.end(), [&](const auto& cut) {
           return cut.second.blocks(from, to);
         });
}

}  // namespace cluster::sim
