#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "cluster/sim/ring_cluster.hpp"

namespace cluster::sim {

/// Remembers every edit that a node made, and judges afterwards: an edit is lost if neither it nor a later
/// edit of the same field and life can be read. Reads states only; shares no code with the merge. As a
/// witness of the cluster it learns of edits by itself.
class EditChecker : public Witness {
 public:
  explicit EditChecker(RingCluster& cluster) : cluster_(cluster) {}

  void on_event(std::size_t place, const proto::GossipEvent& event) override;
  /// Remembers the edits that the node at `place` has made of `member`.
  void note(std::size_t place, const NodeId& member);

  /// The edits that `state` holds neither as they are nor replaced by later ones, described.
  [[nodiscard]] std::vector<std::string> lost_in(const proto::RingState& state) const;
  /// Members present in `state` by a life that no edit began: they came back by themselves.
  [[nodiscard]] std::vector<std::string> revived_in(const proto::RingState& state) const;

  /// Whether each edit that the node at `place` holds can also be read at two other running nodes, so that it
  /// may lose its state: what one node alone knew is gone with its disk.
  [[nodiscard]] bool known_elsewhere(std::size_t place) const;
  /// The node at `place` dies with its disk: what it alone could be read from is not counted as lost.
  void forgive(std::size_t place);
  /// Edits that `state`, out of reach for good, holds and `judged` does not.
  void forgive(const proto::RingState& state, const proto::RingState& judged);

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

  void add(Edit edit);
  [[nodiscard]] static bool holds(const proto::RingState& state, const Edit& edit);
  [[nodiscard]] std::size_t holders(const Edit& edit, std::size_t but, std::size_t enough) const;
  [[nodiscard]] static std::string describe(const Edit& edit);

  RingCluster& cluster_;
  std::map<std::tuple<NodeId, Field, WallTime, WallTime, NodeId, bool>, Edit> edits_{};
  std::set<std::pair<NodeId, WallTime>> lives_{};
};

/// Whether merging the states of some nodes gives one result in whatever order and grouping, and whether
/// merging again changes nothing. Empty, or what differed. `witness` may change what is merged, as it may
/// change what nodes receive.
[[nodiscard]] std::string check_merge(const RingCluster& cluster, const std::vector<std::size_t>& places,
                                      Witness* witness);

}  // namespace cluster::sim
