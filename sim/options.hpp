#pragma once
#include <string>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/sim/scenario.hpp"

namespace cluster::sim {

struct Options {
  Scenario scenario{};
  std::size_t seeds = 1;  ///< that many, from the scenario's on
  bool chaos = false;     ///< add faults drawn from each seed
  bool json = false;
  bool shrink = true;
  std::string trace{};   ///< a file of JSON lines; empty: none
  std::string svg{};     ///< a picture; empty: none
  std::string notice{};  ///< not empty: print this and exit 0
};

/// `arguments` without the program's name. An error is for the user and means exit code 2.
[[nodiscard]] Result<Options> parse_options(const std::vector<std::string>& arguments);

/// Says why on stderr, and where help is. `program` as typed: "cluster-sim kv". Gives kUsage.
int fail_usage(const std::string& program, const std::string& why);

/// The help of `--break`: its first line, then a line for each mistake.
template <class Bugs>
[[nodiscard]] std::string help_of(std::string text, const Bugs& bugs) {
  for (const auto& bug : bugs)
    text +=
        "\n" + std::string(bug.name) + ": " + std::string(bug.what) + " (" + std::to_string(bug.seeds) + ")";
  return text;
}

/// Why a text is no count, else nothing: CLI11 takes no text for 0, and -1 for the greatest number.
[[nodiscard]] std::string not_a_count(const std::string& text);

}  // namespace cluster::sim
