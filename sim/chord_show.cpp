// The teaching mode: a ring made by joins, whose every finger is held against the definition.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "chord.hpp"

namespace cluster::sim {
namespace {

/// The definition, from nothing but the places of the nodes.
const proto::ChordPeer& successor_of(const std::map<proto::ChordId, const proto::ChordPeer*>& ring,
                                     const proto::ChordId& target) {
  const auto found = ring.lower_bound(target);
  return *(found == ring.end() ? ring.begin() : found)->second;
}

std::string text_of(const proto::ChordSpace& space, const proto::ChordId& id) {
  return space.bits() <= 32 ? std::to_string(id.low()) : space.hex(id);
}

}  // namespace

bool show_chord(const ChordScenario& scenario, ChordShown shown) {
  const bool tables = shown == ChordShown::tables;
  ChordClusterConfig config{.nodes = scenario.nodes, .seed = scenario.seed};
  config.chord.bits = scenario.bits;
  config.chord.hash = scenario.hash;
  config.chord.successors = scenario.successors;
  ChordCluster cluster(config);
  Rng rng = cluster.simulator().rng().split();
  cluster.create(0);
  for (std::size_t i = 1; i < scenario.nodes; ++i) {
    cluster.join(i, cluster.random_member(rng));
    cluster.simulator().run_for(500ms);
  }
  const auto took = cluster.run_until_ideal(120s);
  const auto& space = cluster.space();
  std::map<proto::ChordId, const proto::ChordPeer*> ring;
  for (const auto node : cluster.members())
    ring.emplace(cluster.node(node).self().place, &cluster.node(node).self());
  std::size_t checked = 0, wrong = 0;
  auto& out = std::cout;
  for (const auto& [place, self] : ring) {
    const auto members = cluster.members();
    const auto number = *std::ranges::find_if(
        members, [&, own = self](std::size_t node) { return &cluster.node(node).self() == own; });
    const auto& chord = cluster.node(number);
    if (tables) {
      out << "node " << self->id.str() << " at " << text_of(space, place);
      if (chord.predecessor())
        out << ", predecessor " << chord.predecessor()->id.str() << " at "
            << text_of(space, chord.predecessor()->place);
      out << "\n  successors";
      for (const auto& peer : chord.successors()) out << ' ' << peer.id.str();
      out << "\n  finger  start       successor(start)\n";
    }
    for (unsigned i = 0; i < space.bits(); ++i, ++checked) {
      const auto start = chord.finger_start(i);
      const auto& expected = successor_of(ring, start);
      const auto* finger = chord.fingers().at(i);
      const auto& held = finger != nullptr ? *finger : chord.self();  // who owns the start itself holds none
      const bool holds = held == expected;
      if (!holds) ++wrong;
      if (tables)
        out << "  " << std::setw(6) << i + 1 << "  " << std::left << std::setw(10) << text_of(space, start)
            << "  " << held.id.str() << " at " << text_of(space, held.place) << std::right
            << (holds ? "" : "  WRONG: " + expected.id.str()) << '\n';
    }
  }
  const bool right =
      wrong == 0 && took && ring.size() == scenario.nodes && cluster.checker().violations() == 0;
  if (shown == ChordShown::json) {
    const nlohmann::ordered_json json{
        {"nodes", scenario.nodes},
        {"seed", scenario.seed},
        {"nodes_joined", ring.size()},
        {"fingers_checked", checked},
        {"fingers_wrong", wrong},
        {"ideal_ms", took ? nlohmann::ordered_json(*took / 1ms) : nlohmann::ordered_json(nullptr)},
        {"invariant_checks", cluster.checker().checks()},
        {"invariant_violations", cluster.checker().violations()}};
    out << json.dump() << '\n';
    return right;
  }
  out << ring.size() << " nodes of " << scenario.nodes << " joined, " << checked
      << " fingers held against the definition: "
      << (wrong == 0 ? "all right" : std::to_string(wrong) + " wrong") << "; the ring was ideal "
      << (took ? std::to_string(*took / 1ms) + " ms after the last join" : "never") << "; "
      << cluster.checker().checks() << " checks of the invariant, " << cluster.checker().violations()
      << " violations\n";
  return right;
}

}  // namespace cluster::sim
