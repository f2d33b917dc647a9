#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "cluster/ds/chash.hpp"

namespace cluster {

/// One state of a ring, never changed once it is shared. Points are flat arrays side by side. A search
/// touches three places: `starts`, which leads to about the point, `tops`, and `holders`.
struct CHash::Snapshot {
  using Tail = std::array<std::uint64_t, 3>;

  std::vector<std::uint64_t> tops;     ///< the first words of the positions, sorted
  std::vector<Tail> tails;             ///< the other words; none if the policy has only the first
  std::vector<std::uint32_t> holders;  ///< index into `nodes`; one more than points: after the last the first
  std::vector<std::uint32_t> starts;   ///< for each value of the top bits: its first point; and size()
  int shift = 63;                      ///< by how much to shift a first word to have its top bits
  bool crowded = false;                ///< some value of the top bits has many points
  std::vector<Node> nodes;             ///< each distinct (id, endpoint, zone) that a point holds, sorted
  std::vector<std::uint32_t> members;  ///< of each of `nodes`: the index of its id in `weights`
  std::vector<Weight> weights;         ///< one for each id, sorted by id
  static constexpr std::uint32_t kNoLabel = ~std::uint32_t{0};
  std::vector<std::uint32_t> zones;        ///< of each of `weights`: the number of its label, or kNoLabel
  std::uint32_t labels = 0;                ///< how many there are
  std::vector<std::uint32_t> zones_above;  ///< [r]: zones of more than r ids; who has no label is one alone

  [[nodiscard]] std::size_t size() const noexcept { return tops.size(); }
  [[nodiscard]] Position position_at(std::size_t point) const noexcept;
  /// The first point not before `position`, the first one after it; size() if there is none.
  [[nodiscard]] std::size_t lower_bound(const Position& position) const noexcept;
  [[nodiscard]] std::size_t upper_bound(const Position& position) const noexcept;
  /// `upper_bound` of where `key` lies.
  [[nodiscard]] std::size_t after_key(HashPolicy policy, std::string_view key) const noexcept;
  /// Null if the id is not in the ring.
  [[nodiscard]] const Weight* find_weight(std::string_view id) const noexcept;
  /// `point` <= size(): the point after the last is the first. Not for an empty ring.
  [[nodiscard]] const Node& node_at(std::size_t point) const noexcept { return nodes[holders[point]]; }
  [[nodiscard]] std::uint32_t member_at(std::size_t point) const noexcept { return members[holders[point]]; }

  /// To be called when `tops` and `holders` are complete.
  void index_points();
  void number_zones();

 private:
  /// The first point whose first word is not below `top`.
  [[nodiscard]] std::size_t first_of(std::uint64_t top) const noexcept;
};

/// A ring being edited: points in ring order, no position twice, that hold indices into `nodes`.
struct CHash::Draft {
  struct Item {
    Position position{};
    std::uint32_t holder = 0;
  };
  std::vector<Item> items;
  std::vector<Node> nodes;  ///< in any order; some may be repeated or held by no point

  Draft() = default;
  explicit Draft(const Snapshot& snapshot);

  [[nodiscard]] static bool before(const Item& a, const Item& b) noexcept { return a.position < b.position; }
  /// Appends `node` and its points, to be sorted and united with a ring.
  void append(HashPolicy policy, Node node, std::uint32_t weight);
  void append(const Position& position, Node node);
  void sort();
  void erase(std::string_view id);
  /// Adds the items whose positions are not here.
  void unite(Draft other);
  /// Keeps the items of this draft whose positions are in `other`.
  void keep_positions_of(const Draft& other);
  /// Fails beyond a bound of CHash.
  [[nodiscard]] Result<std::shared_ptr<const Snapshot>> seal(HashPolicy policy) &&;
};

}  // namespace cluster
