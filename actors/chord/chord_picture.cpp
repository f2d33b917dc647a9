#include "cluster/chord/chord_picture.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <numbers>
#include <set>
#include <sstream>

namespace cluster::chord {
namespace {

constexpr double kSize = 640, kCentre = kSize / 2, kRadius = 240;

/// For DOT and XML alike: what could end a quoted text is replaced.
std::string quoted(const std::string& text, bool xml) {
  std::string out;
  for (const char c : text) {
    if (xml && c == '<')
      out += "&lt;";
    else if (xml && c == '&')
      out += "&amp;";
    else if (xml && c == '"')
      out += "&quot;";
    else if (!xml && (c == '"' || c == '\\'))
      (out += '\\') += c;
    else
      out += c;
  }
  return out;
}

std::set<NodeId> fingers_of(std::span<const ChordView::Answer> ring) {
  std::set<NodeId> out;
  if (!ring.empty())
    for (const auto& finger : ring.front().fingers) out.insert(finger.node.id);
  return out;
}

struct Point {
  double x = 0, y = 0;
};

/// Where an identifier lies on the drawn circle: 0 on top, clockwise.
Point point_of(const proto::ChordSpace& space, const NodeId& id, double radius) {
  double share = 0;
  for (const char digit : space.hex(space.place(id.str())).substr(0, 8))
    share = share * 16 + (digit <= '9' ? digit - '0' : digit - 'a' + 10);
  const auto bits = std::min(32u, (space.bits() + 3) / 4 * 4);
  const unsigned surplus = space.bits() < 32 ? bits - space.bits() : 0;
  const double angle = 2 * std::numbers::pi * share / std::exp2(bits - surplus);
  return {kCentre + radius * std::sin(angle), kCentre - radius * std::cos(angle)};
}

}  // namespace

std::string to_dot(std::span<const ChordView::Answer> ring) {
  std::string out = "digraph chord {\n  layout=circo;\n";
  for (const auto& node : ring) {
    const auto name = '"' + quoted(node.self.id.str(), false) + '"';
    out += "  " + name + ";\n";
    if (!node.successors.empty())
      out += "  " + name + " -> \"" + quoted(node.successors.front().id.str(), false) + "\";\n";
  }
  for (const auto& finger : fingers_of(ring))
    out += "  \"" + quoted(ring.front().self.id.str(), false) + "\" -> \"" + quoted(finger.str(), false) +
           "\" [style=dashed, color=gray];\n";
  return out + "}\n";
}

std::string to_svg(std::span<const ChordView::Answer> ring) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(1) << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 "
      << kSize << ' ' << kSize << "\" font-family=\"sans-serif\" font-size=\"12\">\n<circle cx=\"" << kCentre
      << "\" cy=\"" << kCentre << "\" r=\"" << kRadius << "\" fill=\"none\" stroke=\"#94a3b8\"/>\n";
  if (ring.empty()) return out.str() + "</svg>\n";
  const proto::ChordSpace space(ring.front().bits, ring.front().hash);
  const auto self = point_of(space, ring.front().self.id, kRadius);
  for (const auto& finger : fingers_of(ring)) {
    const auto to = point_of(space, finger, kRadius);
    out << "<line x1=\"" << self.x << "\" y1=\"" << self.y << "\" x2=\"" << to.x << "\" y2=\"" << to.y
        << "\" stroke=\"#2563eb\" stroke-dasharray=\"4 3\"/>\n";
  }
  for (const auto& node : ring) {
    const auto at = point_of(space, node.self.id, kRadius);
    const auto label = point_of(space, node.self.id, kRadius + 24);
    out << "<circle cx=\"" << at.x << "\" cy=\"" << at.y << "\" r=\"6\" fill=\""
        << (&node == &ring.front() ? "#2563eb" : "#334155") << "\"/><text text-anchor=\"middle\" x=\""
        << label.x << "\" y=\"" << label.y + 4 << "\">" << quoted(node.self.id.str(), true) << "</text>\n";
  }
  return out.str() + "</svg>\n";
}

}  // namespace cluster::chord
