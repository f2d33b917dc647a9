#pragma once
#include <ostream>
#include <span>

#include "harness.hpp"

namespace cluster::bench {

/// Prints figures as they come in: a table row by row, or one JSON array at the end.
void print_table_head(std::ostream& to);
void print_table_row(std::ostream& to, const Figure& figure);
/// An array of {"workload", "metric", "unit", "min", "median", "max", "runs"}.
void print_json(std::ostream& to, std::span<const Figure> figures);

}  // namespace cluster::bench
