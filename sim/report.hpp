#pragma once
#include <string>
#include <vector>

#include "cluster/sim/scenario.hpp"

namespace cluster::sim {

/// The summary for people.
[[nodiscard]] std::string to_text(const Report& report);
/// One JSON object, without a newline.
[[nodiscard]] std::string to_json(const Report& report, const std::string& replay);

/// Many seeds as one: sums, the slowest, the worst.
struct Summary {
  std::size_t runs = 0;
  std::vector<Report> failed{};
  Report worst{};  ///< of each figure the worst
  void add(const Report& report);
};
[[nodiscard]] std::string to_text(const Summary& summary);
[[nodiscard]] std::string to_json(const Summary& summary, const std::string& replay);

/// A command line that a shell takes.
[[nodiscard]] std::string command_line(const std::vector<std::string>& words);

}  // namespace cluster::sim
