#include "plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <sstream>

namespace cluster::sim {
namespace {

constexpr double kPlotWidth = 640, kPlotHeight = 400, kPlotLeft = 60, kPlotRight = 20, kPlotTop = 40,
                 kPlotBottom = 50;
constexpr std::array kColours{"#2563eb", "#dc2626", "#059669", "#9333ea", "#d97706"};

/// 1, 2 or 5 times a power of ten: some five steps to `range`.
double step_of(double range) {
  const double power = std::pow(10, std::floor(std::log10(range / 5)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (range / (power * factor) <= 6) return power * factor;
  return power * 10;
}

std::string number(double value) {
  std::ostringstream out;
  out << std::setprecision(6) << value;
  return out.str();
}

struct Scale {
  double x_min = 0, x_max = 1, y_max = 1;
  [[nodiscard]] double x(double value) const {
    return kPlotLeft + (value - x_min) / (x_max - x_min) * (kPlotWidth - kPlotLeft - kPlotRight);
  }
  [[nodiscard]] double y(double value) const {
    return kPlotHeight - kPlotBottom - value / y_max * (kPlotHeight - kPlotTop - kPlotBottom);
  }
};

void draw_axes(std::ostream& out, const Plot& plot, const Scale& scale) {
  const double step_y = step_of(scale.y_max);
  for (double y = 0; y <= scale.y_max * 1.0001; y += step_y)
    out << "<line class=\"grid\" x1=\"" << kPlotLeft << "\" x2=\"" << kPlotWidth - kPlotRight << "\" y1=\""
        << scale.y(y) << "\" y2=\"" << scale.y(y) << "\"/><text class=\"tick\" text-anchor=\"end\" x=\""
        << kPlotLeft - 6 << "\" y=\"" << scale.y(y) + 4 << "\">" << number(y) << "</text>\n";
  const double step_x =
      plot.log_x ? std::max(1.0, step_of(scale.x_max - scale.x_min)) : step_of(scale.x_max - scale.x_min);
  for (double x = std::max(0.0, std::ceil(scale.x_min / step_x) * step_x); x <= scale.x_max * 1.0001;
       x += step_x)
    out << "<text class=\"tick\" text-anchor=\"middle\" x=\"" << scale.x(x) << "\" y=\""
        << kPlotHeight - kPlotBottom + 18 << "\">" << number(plot.log_x ? std::exp2(x) : x + 0.0)
        << "</text>\n";
  out << "<text class=\"name\" text-anchor=\"middle\" x=\"" << (kPlotLeft + kPlotWidth - kPlotRight) / 2
      << "\" y=\"" << kPlotHeight - 10 << "\">" << plot.x_name
      << "</text>\n<text class=\"name\" text-anchor=\"middle\" "
      << "transform=\"translate(16," << (kPlotTop + kPlotHeight - kPlotBottom) / 2 << ") rotate(-90)\">"
      << plot.y_name << "</text>\n<text class=\"title\" x=\"" << kPlotLeft << "\" y=\"20\">" << plot.title
      << "</text>\n";
}

}  // namespace

std::string Plot::svg() const {
  const auto at = [this](double x) { return log_x ? std::log2(x) : x; };
  Scale scale{1e300, -1e300, 0};
  bool bars = false;
  for (const auto& one : series) {
    bars |= one.style == Style::bars;
    for (const auto& point : one.points) {
      scale.x_min = std::min(scale.x_min, at(point.x));
      scale.x_max = std::max(scale.x_max, at(point.x));
      scale.y_max = std::max({scale.y_max, point.y, point.high});
    }
  }
  if (bars) scale.x_min -= 0.5, scale.x_max += 0.5;
  if (scale.x_max <= scale.x_min) scale.x_max = scale.x_min + 1;
  if (scale.y_max <= 0) scale.y_max = 1;
  scale.y_max *= 1.05;
  std::ostringstream out;
  out << std::fixed << std::setprecision(1) << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 "
      << kPlotWidth << ' ' << kPlotHeight
      << "\" font-family=\"sans-serif\">\n<style>.grid{stroke:#ddd}.tick{font-size:"
      << "11px;fill:#555}.name{font-size:12px;fill:#333}.title{font-size:14px;fill:#111}</style>\n"
      << "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  draw_axes(out, *this, scale);
  for (std::size_t i = 0; i < series.size(); ++i) {
    const auto& one = series[i];
    const char* colour = kColours[i % kColours.size()];
    if (one.style == Style::line) {
      out << "<polyline fill=\"none\" stroke=\"" << colour << "\" stroke-width=\"2\" points=\"";
      for (const auto& point : one.points) out << scale.x(at(point.x)) << ',' << scale.y(point.y) << ' ';
      out << "\"/>\n";
    }
    for (const auto& point : one.points) {
      const double x = scale.x(at(point.x));
      if (point.low != 0 || point.high != 0)
        out << "<line stroke=\"" << colour << "\" x1=\"" << x << "\" x2=\"" << x << "\" y1=\""
            << scale.y(point.low) << "\" y2=\"" << scale.y(point.high) << "\"/>\n";
      if (one.style == Style::dots)
        out << "<circle r=\"3.5\" fill=\"" << colour << "\" cx=\"" << x << "\" cy=\"" << scale.y(point.y)
            << "\"/>\n";
      if (one.style == Style::bars)
        out << "<rect fill=\"" << colour << "\" opacity=\"0.6\" x=\"" << scale.x(point.x - 0.4) << "\" y=\""
            << scale.y(point.y) << "\" width=\"" << scale.x(0.8) - scale.x(0) << "\" height=\""
            << scale.y(0) - scale.y(point.y) << "\"/>\n";
    }
    const double y = kPlotTop + 8 + 18 * static_cast<double>(i);
    out << "<rect x=\"" << kPlotLeft + 12 << "\" y=\"" << y - 9 << "\" width=\"12\" height=\"10\" fill=\""
        << colour << "\"/><text class=\"name\" x=\"" << kPlotLeft + 30 << "\" y=\"" << y << "\">" << one.name
        << "</text>\n";
  }
  out << "</svg>\n";
  return out.str();
}

}  // namespace cluster::sim
