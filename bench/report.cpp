#include "report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace cluster::bench {
namespace {

struct Spread {
  double min = 0;
  double median = 0;
  double max = 0;
};

Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {values.front(), median, values.back()};
}

/// Four significant digits, with thousands set apart.
std::string readable(double value) {
  std::array<char, 64> text{};
  const double size = std::abs(value);
  const int decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  std::string out = text.data();
  if (decimals == 0)
    for (auto at = static_cast<int>(out.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3)
      out.insert(static_cast<std::size_t>(at), 1, ',');
  return out;
}

void print_row(std::ostream& to, const std::array<std::string, 7>& cells) {
  std::array<char, 256> line{};
  std::snprintf(line.data(), line.size(), "%-13s %-26s %-9s %14s %14s %14s %5s", cells[0].c_str(),
                cells[1].c_str(), cells[2].c_str(), cells[3].c_str(), cells[4].c_str(), cells[5].c_str(),
                cells[6].c_str());
  to << line.data() << std::endl;
}

}  // namespace

void print_table_head(std::ostream& to) {
  print_row(to, {"workload", "metric", "unit", "min", "median", "max", "runs"});
}

void print_table_row(std::ostream& to, const Figure& figure) {
  const Spread s = spread(figure.values);
  print_row(to, {figure.workload, figure.metric, figure.unit, readable(s.min), readable(s.median),
                 readable(s.max), std::to_string(figure.values.size())});
}

void print_json(std::ostream& to, std::span<const Figure> figures) {
  auto array = nlohmann::ordered_json::array();
  for (const auto& figure : figures) {
    const Spread s = spread(figure.values);
    array.push_back({{"workload", figure.workload},
                     {"metric", figure.metric},
                     {"unit", figure.unit},
                     {"min", s.min},
                     {"median", s.median},
                     {"max", s.max},
                     {"runs", figure.values.size()}});
  }
  to << array.dump(2) << std::endl;
}

}  // namespace cluster::bench
