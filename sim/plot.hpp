#pragma once
#include <string>
#include <vector>

namespace cluster::sim {

/// A plot of one or more series over one x axis, as SVG.
struct Plot {
  enum class Style : unsigned char { line, dots, bars };
  struct Point {
    double x = 0, y = 0;
    double low = 0, high = 0;  ///< a range drawn through it, unless both are 0
  };
  struct Series {
    std::string name;
    Style style = Style::line;
    std::vector<Point> points;
  };
  std::string title;
  std::string x_name, y_name;
  bool log_x = false;  ///< base 2
  std::vector<Series> series;

  [[nodiscard]] std::string svg() const;
};

}  // namespace cluster::sim
