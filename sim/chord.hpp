#pragma once
#include <string>
#include <vector>

#include "cluster/sim/chord_experiment.hpp"

namespace cluster::sim {

/// `cluster-sim chord ...`: `arguments` follow the word chord. The program's exit code.
[[nodiscard]] int run_chord(const std::vector<std::string>& arguments);

enum class ChordShown : unsigned char { summary, tables, json };
/// Joins the nodes one by one and holds every finger table against the definition. False: one was wrong.
[[nodiscard]] bool show_chord(const ChordScenario& scenario, ChordShown shown);
/// Runs the paper's experiments, writes their plots into `folder` and prints their tables. False: it cannot
/// write, or an invariant was violated.
[[nodiscard]] bool draw_chord(const std::string& folder, std::uint64_t seed);

}  // namespace cluster::sim
