#pragma once
#include <span>
#include <string>

#include "cluster/chord/chord_server.hpp"

/// The ring as a picture; pure.
namespace cluster::chord {

/// Nodes in the order of the ring, each with its successor, and the fingers of the first one.
[[nodiscard]] std::string to_dot(std::span<const ChordView::Answer> ring);
[[nodiscard]] std::string to_svg(std::span<const ChordView::Answer> ring);

}  // namespace cluster::chord
