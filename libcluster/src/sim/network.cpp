#include "cluster/sim/network.hpp"

#include <algorithm>

namespace cluster::sim {

Network::Network(Simulator& simulator, NetworkFaults faults, Deliver deliver)
    : simulator_(simulator), rng_(simulator.rng().split()), faults_(faults), deliver_(std::move(deliver)) {}

void Network::send(Place from, Place to, Bytes message) {
  ++counters_.sent;
  counters_.bytes += message.size();
  if (!reaches(from, to) || rng_.chance(faults_.loss)) {
    ++counters_.lost;
    return;
  }
  if (rng_.chance(faults_.duplication)) {
    ++counters_.duplicated;
    deliver_later(from, to, message);
  }
  deliver_later(from, to, std::move(message));
}

void Network::deliver_later(Place from, Place to, Bytes message) {
  simulator_.after(draw_delay(), [this, from, to, message = std::move(message)] {
    if (!reaches(from, to)) {
      ++counters_.lost;
      return;
    }
    simulator_.trace(static_cast<std::uint64_t>(simulator_.now().time_since_epoch().count()));
    simulator_.trace(from);
    simulator_.trace(to);
    simulator_.trace(ByteView(message));
    deliver_(from, to, message);
  });
}

Duration Network::draw_delay() {
  return Duration(rng_.between(faults_.delay_min.count(), faults_.delay_max.count()));
}

void Network::partition(const std::vector<std::vector<Place>>& groups) {
  group_of_.clear();
  for (std::size_t group = 0; group < groups.size(); ++group)
    for (const auto place : groups[group]) {
      if (place >= group_of_.size()) group_of_.resize(place + 1, 0);
      group_of_[place] = group + 1;
    }
  if (group_of_.empty()) group_of_.resize(1, 0);
}

bool Network::reaches(Place from, Place to) const {
  if (group_of_.empty() || from == to) return true;
  const auto group = [&](Place place) { return place < group_of_.size() ? group_of_[place] : 0; };
  return group(from) != 0 && group(from) == group(to);
}

}  // namespace cluster::sim
