#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cluster/proto/chord_messages.hpp"

namespace cluster::proto {

/// A node of the ring, and its place on the circle.
struct ChordPeer {
  ChordId place{};
  NodeId id{};
  Endpoint endpoint{};

  [[nodiscard]] ChordContact contact() const { return {id, endpoint}; }
  /// The same node, wherever it listens.
  friend bool operator==(const ChordPeer& a, const ChordPeer& b) noexcept { return a.id == b.id; }
};
/// The same node, and at the same endpoint.
[[nodiscard]] inline bool is_same_contact(const ChordPeer& a, const ChordPeer& b) noexcept {
  return a.id == b.id && a.endpoint == b.endpoint;
}

/// A finger table: finger i is the first node at or after self + 2^i. Neighbouring fingers are mostly the
/// same node, so runs of equal ones are kept: O(log N) entries, not m.
class ChordFingers {
 public:
  /// Fingers `first` to `last` are `peer`.
  struct Run {
    unsigned first = 0;
    unsigned last = 0;
    ChordPeer peer{};
  };

  /// Null: not known, or the node itself.
  [[nodiscard]] const ChordPeer* at(unsigned index) const noexcept;
  /// Fingers first..last are `peer` from now on.
  void set(unsigned first, unsigned last, const ChordPeer& peer);
  /// Fingers first..last are not known any more.
  void clear(unsigned first, unsigned last);
  /// Where a node listens now.
  void relocate(const ChordContact& contact);
  /// Forgets a node; its first finger, if it had one.
  std::optional<unsigned> erase(const NodeId& id);
  /// By index; no two overlap.
  [[nodiscard]] std::span<const Run> runs() const noexcept { return runs_; }

 private:
  std::vector<Run> runs_{};
};

}  // namespace cluster::proto
