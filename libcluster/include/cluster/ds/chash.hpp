#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/crypto/sha256.hpp"

namespace cluster {

struct CHashConfig {
  std::uint32_t rfactor = 128;  ///< weight of a node inserted without one; 1..CHash::kWeightMax
  std::uint32_t pfactor = 2;    ///< number of neighbours if no range is given; 0..CHash::kRangeMax
};

/// A consistent hash ring. A node of weight w owns the w points sha256(id + "_" + i), i = 1..w; a key
/// belongs to the owner of the first point after sha256(key). Points are ordered as their base64 texts
/// are, byte by byte, which is not the order of the digests.
///
/// A value that shares an immutable snapshot: a copy costs one reference count, and const calls on a copy
/// need no lock whatever others do with theirs. An edit builds the next snapshot, O(size).
/// Pointers and spans stay valid while an unedited copy of the ring lives.
/// Source: Karger et al. 1997; weights by virtual nodes as in Dynamo (DeCandia et al. 2007, section 4.2).
class CHash {
 public:
  static constexpr std::uint32_t kWeightMax = 65'535;
  static constexpr std::uint32_t kRangeMax = 65'535;
  static constexpr std::size_t kNodesMax = 65'535;
  static constexpr std::size_t kPointsMax = std::size_t{1} << 24;  ///< 44 bytes each: 740 MB

  struct Node {
    NodeId id;
    Endpoint endpoint{};  ///< not hashed; may be left empty
    friend auto operator<=>(const Node&, const Node&) = default;
  };
  struct Insertion {
    Node node;
    std::optional<std::uint32_t> weight{};  ///< else the ring's rfactor
  };
  struct Weight {
    NodeId id;
    std::uint32_t weight = 0;
    friend bool operator==(const Weight&, const Weight&) = default;
  };
  struct Point {
    crypto::Digest key{};
    Node node;
    friend bool operator==(const Point&, const Point&) = default;
  };

  /// An empty ring. Throws std::invalid_argument for a config out of bounds.
  explicit CHash(CHashConfig config = {});
  CHash(const CHash&) = default;  // moving copies too, so that no ring is ever without a snapshot
  CHash& operator=(const CHash&) = default;
  ~CHash() = default;
  /// A ring read back: its points in any order. `invalid_argument` for a repeated key or beyond a bound.
  [[nodiscard]] static Result<CHash> from_points(CHashConfig config, std::vector<Point> points);

  // Edits. Each fails with `invalid_argument` for a weight not in 1..kWeightMax, an empty id or a bad
  // host, and with `too_large` beyond kNodesMax or kPointsMax; the ring is then as it was.

  /// False, and no effect, if the id is in the ring, whatever its endpoint or weight.
  Result<bool> insert(Node node, std::optional<std::uint32_t> weight = {});
  /// The same for many, in order, with one snapshot built. Gives the number inserted.
  Result<std::size_t> insert_all(std::span<const Insertion> insertions);
  /// False if the id is not in the ring.
  bool remove(std::string_view id);
  /// Sets the endpoint and weight of a node, or inserts it.
  Result<void> update(Node node, std::optional<std::uint32_t> weight = {});
  /// Adds the points of `other` whose keys are not here; the others stay as they are.
  Result<void> merge(const CHash& other);
  /// Keeps the points whose keys are in `other` too, with the nodes that `other` has there.
  void intersect(const CHash& other);
  /// For later inserts; present weights do not change.
  Result<void> set_rfactor(std::uint32_t rfactor);
  Result<void> set_pfactor(std::uint32_t pfactor);

  // Look-ups, O(log size) and a hash. A node comes as the point that was found holds it.

  /// Who owns `key`; null on an empty ring. A key that is the text of a point gives the point after it.
  [[nodiscard]] const Node* find(std::string_view key) const noexcept;
  /// The node at the first point of `id`; null if there is none.
  [[nodiscard]] const Node* get(std::string_view id) const noexcept;
  [[nodiscard]] bool contains(std::string_view id) const noexcept { return weight(id) != 0; }
  /// 0 for an id that is not in the ring.
  [[nodiscard]] std::uint32_t weight(std::string_view id) const noexcept;
  /// The distinct other nodes met going forward from the first point of `id`: `range` of them, or all if
  /// they are fewer. Without a range: pfactor. None for an id that is not in the ring. A negative range is
  /// `invalid_argument`. O(range) points expected, O(size) at worst.
  [[nodiscard]] Result<std::vector<Node>> next(std::string_view id,
                                               std::optional<std::int64_t> range = {}) const;
  /// The same, going backward.
  [[nodiscard]] Result<std::vector<Node>> prev(std::string_view id,
                                               std::optional<std::int64_t> range = {}) const;
  /// The owner of `key` and the distinct nodes after it, `range` in all. Without a range: pfactor + 1.
  [[nodiscard]] Result<std::vector<Node>> range_next(std::string_view key,
                                                     std::optional<std::int64_t> range = {}) const;
  /// The same backward: from the last point before `key`.
  [[nodiscard]] Result<std::vector<Node>> range_prev(std::string_view key,
                                                     std::optional<std::int64_t> range = {}) const;

  // The whole.

  [[nodiscard]] const CHashConfig& config() const noexcept { return config_; }
  /// Number of points.
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] std::size_t node_count() const noexcept;
  /// Sorted by the bytes of the id.
  [[nodiscard]] std::span<const Weight> weights() const noexcept;
  /// Each node once: first the ids that are decimal numbers below 2^32 - 1, by number, then the others by
  /// their first point. If the points of an id disagree about the endpoint, the last one counts.
  [[nodiscard]] std::vector<Node> nodes() const;
  /// In ring order.
  [[nodiscard]] std::vector<Point> points() const;
  /// The same points with the same nodes; the config plays no part.
  [[nodiscard]] bool operator==(const CHash& other) const noexcept;

 private:
  struct Snapshot;
  struct Draft;
  std::vector<Node> collect(std::size_t start, bool forward, std::size_t limit, std::string_view skip) const;
  Result<void> adopt(Draft draft);

  CHashConfig config_;
  std::shared_ptr<const Snapshot> snapshot_;  // never null
};

/// The key of point `index` (from 1) of node `id`.
[[nodiscard]] crypto::Digest chash_point_key(std::string_view id, std::uint32_t index);

}  // namespace cluster
