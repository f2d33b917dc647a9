#pragma once
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base64_order.hpp"
#include "cluster/ds/chash.hpp"

namespace cluster {

/// One state of a ring, never changed once it is shared. Points are flat arrays side by side. A search
/// touches `starts`, which leads to about one point, and `prefixes`; whatever the keys, it ends as a
/// binary search does.
struct CHash::Snapshot {
  std::vector<std::uint64_t> prefixes;  ///< sorted; base64_prefix of the key
  std::vector<crypto::Digest> keys;     ///< sorted by base64_compare
  std::vector<std::uint32_t> holders;   ///< index into `nodes`
  std::vector<std::uint32_t>
      starts;               ///< for each value of the prefix's top bits: its first point; and size()
  int shift = 63;           ///< by how much to shift a prefix to have its top bits
  std::vector<Node> nodes;  ///< each distinct (id, endpoint) that a point holds, sorted
  std::vector<std::uint32_t> members;  ///< of each of `nodes`: the index of its id in `weights`
  std::vector<Weight> weights;         ///< one for each id, sorted by id

  [[nodiscard]] std::size_t size() const noexcept { return prefixes.size(); }
  /// The first point not before `key`, the first one after it; size() if there is none.
  [[nodiscard]] std::size_t lower_bound(const crypto::Digest& key) const noexcept;
  [[nodiscard]] std::size_t upper_bound(const crypto::Digest& key) const noexcept;
  /// The first point whose prefix is not below `prefix`.
  [[nodiscard]] std::size_t first_of(std::uint64_t prefix) const noexcept;
  /// To be called when `prefixes` are complete.
  void index_prefixes();
  /// Null if the id is not in the ring.
  [[nodiscard]] const Weight* find_weight(std::string_view id) const noexcept;
  [[nodiscard]] const Node& node_at(std::size_t point) const noexcept { return nodes[holders[point]]; }
};

/// A ring being edited: points in ring order, no key twice, that hold indices into `nodes`.
struct CHash::Draft {
  struct Item {
    std::uint64_t prefix = 0;
    crypto::Digest key{};
    std::uint32_t holder = 0;
  };
  std::vector<Item> items;
  std::vector<Node> nodes;  ///< in any order; some may be repeated or held by no point

  Draft() = default;
  explicit Draft(const Snapshot& snapshot);

  [[nodiscard]] static bool before(const Item& a, const Item& b) noexcept;
  [[nodiscard]] static Item item(const crypto::Digest& key, std::size_t holder) noexcept;
  /// Appends `node` and the keys of its points, to be sorted and united with a ring.
  void append(Node node, std::uint32_t weight);
  void sort();
  void erase(std::string_view id);
  /// Adds the items whose keys are not here.
  void unite(Draft other);
  /// Keeps the items of this draft whose keys are in `other`.
  void keep_keys_of(const Draft& other);
  /// Fails beyond a bound of CHash.
  [[nodiscard]] Result<std::shared_ptr<const Snapshot>> seal() &&;
};

}  // namespace cluster
