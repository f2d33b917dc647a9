#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/sim/ring_cluster.hpp"

namespace cluster::sim {

/// Remembers every edit that a node accepted, and judges afterwards: an edit is lost if neither it nor a
/// later edit of the same field and life can be read. Reads states only; shares no code with the merge.
class EditChecker {
 public:
  explicit EditChecker(RingCluster& cluster) : cluster_(cluster) {}

  /// Remembers the edits that the node at `place` has made of `member`. Run after each command.
  void note(std::size_t place, const NodeId& member) {
    const auto& state = cluster_.at(place).state();
    const auto* record = state.find(member);
    if (record == nullptr) return;
    const auto& p = record->presence;
    if (p.editor == state.self())
      add({member, Field::presence, p.born, {}, p.changed_at, p.editor, p.count, p.removed});
    const auto& w = record->weight;
    if (w.editor == state.self())
      add({member, Field::weight, w.born, {}, w.changed_at, w.editor, w.count, false});
    const auto& e = record->endpoint;
    if (e.editor == state.self())
      add({member, Field::endpoint, e.born, e.boot, e.changed_at, e.editor, e.count, false});
  }

  /// Whether `state` holds the edit or a later one, for all edits noted. Says which are lost.
  [[nodiscard]] std::vector<std::string> lost_in(const proto::RingState& state) const {
    std::vector<std::string> lost;
    for (const auto& [key, edit] : edits_)
      if (!holds(state, edit)) lost.push_back(describe(edit));
    return lost;
  }

  /// Whether each edit that the node at `place` holds can also be read at two other running nodes, so that it
  /// may lose its state: what one node alone knew is gone with its disk.
  [[nodiscard]] bool known_elsewhere(std::size_t place) const {
    const auto holds_at = [&](std::size_t at, const Edit& edit) {
      if (!cluster_.running(at) || cluster_.at(at).ring() != "ring") return false;
      const auto& state = cluster_.at(at).state();
      return cluster_.greatest()->present(state.self()) && state.present(state.self()) && holds(state, edit);
    };
    for (const auto& [key, edit] : edits_) {
      if (!holds(cluster_.at(place).state(), edit)) continue;
      std::size_t holders = 0;
      for (std::size_t other = 0; other < cluster_.size() && holders < 2; ++other)
        if (other != place && holds_at(other, edit)) ++holders;
      if (holders < 2) return false;
    }
    return true;
  }
  [[nodiscard]] std::size_t size() const { return edits_.size(); }

 private:
  enum class Field : std::uint8_t { presence, weight, endpoint };
  struct Edit {
    NodeId member;
    Field field;
    WallTime born;
    Boot boot;
    WallTime at;
    NodeId editor;
    std::uint64_t count;
    bool removal;
  };

  void add(Edit edit) {
    edits_.emplace(std::tuple(edit.member, edit.field, edit.born, edit.at, edit.editor, edit.removal),
                   std::move(edit));
  }

  static bool holds(const proto::RingState& state, const Edit& edit) {
    const auto* record = state.find(edit.member);
    if (record == nullptr) return false;
    const auto& life = record->presence;
    if (life.born > edit.born) return true;  // a later life
    if (life.born < edit.born) return false;
    if (edit.removal) return life.removed;
    if (life.removed) return true;  // a removal is the last edit of its life
    switch (edit.field) {
      case Field::presence:
        return life.changed_at >= edit.at;
      case Field::weight:
        return record->weight.born == edit.born && record->weight.changed_at >= edit.at;
      case Field::endpoint:
        return record->endpoint.born == edit.born &&
               (record->endpoint.boot > edit.boot || record->endpoint.changed_at >= edit.at);
    }
    return false;
  }

  static std::string describe(const Edit& edit) {
    static constexpr const char* kNames[] = {"presence", "weight", "endpoint"};
    return edit.editor.str() + "'s edit " + std::to_string(edit.count) + " of " + edit.member.str() + "'s " +
           kNames[static_cast<int>(edit.field)] + (edit.removal ? " (removal)" : "");
  }

  RingCluster& cluster_;
  std::map<std::tuple<NodeId, Field, WallTime, WallTime, NodeId, bool>, Edit> edits_{};
};

}  // namespace cluster::sim
