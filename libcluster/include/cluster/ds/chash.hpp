#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/ds/position.hpp"

namespace cluster {

struct CHashConfig {
  std::uint32_t rfactor = 128;  ///< weight of a node inserted without one; 1..CHash::kWeightMax
  std::uint32_t pfactor = 2;    ///< number of neighbours if no range is given; 0..CHash::kRangeMax
  HashPolicy policy = HashPolicy::sha256;
};

/// A consistent hash ring. A node of weight w owns the w points hash(id + "_" + i), i = 1..w; a key belongs
/// to the owner of the first point after hash(key). With the policy `sha256` points are ordered as the base64
/// texts of their digests are, byte by byte, which is not the order of the digests.
///
/// A value that shares an immutable snapshot: a copy costs one reference count, and const calls on a copy
/// need no lock whatever others do with theirs. An edit builds the next snapshot, O(size).
/// Pointers and spans stay valid while an unedited copy of the ring lives.
/// Rings of different policies are never equal, and what needs two rings refuses them: `invalid_argument`.
/// Source: Karger et al. 1997; weights by virtual nodes as in Dynamo (DeCandia et al. 2007, section 4.2).
class CHash {
 public:
  static constexpr std::uint32_t kWeightMax = 65'535;
  static constexpr std::uint32_t kRangeMax = 65'535;
  static constexpr std::size_t kNodesMax = 65'535;
  static constexpr std::size_t kPointsMax = std::size_t{1} << 24;  ///< 44 bytes each (xxh3: 12) and the index
  static constexpr std::size_t kZoneBytesMax = 255;

  struct Node {
    NodeId id;
    Endpoint endpoint{};  ///< not hashed; may be left empty
    std::string zone{};   ///< what fails together, such as a rack: UTF-8 without control characters; or empty
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
    Position position{};
    Node node;
    friend bool operator==(const Point&, const Point&) = default;
  };
  /// What the nodes carry now, in a unit of the caller's (keys, open requests).
  struct Loads {
    std::function<std::uint64_t(const NodeId& id)> of;
    std::uint64_t total = 0;  ///< of all nodes of the ring together
  };
  struct Share {
    NodeId id;
    std::uint32_t weight = 0;
    double share = 0;     ///< of the key space
    double expected = 0;  ///< by weight
  };
  struct Balance {
    std::vector<Share> shares{};   ///< by id; they sum to 1
    double max_over_mean = 0;      ///< the greatest share over the mean share; 0 for an empty ring
    double max_over_expected = 0;  ///< the greatest of share / expected
  };

  /// An empty ring. Throws std::invalid_argument for a config out of bounds.
  explicit CHash(CHashConfig config = {});
  CHash(const CHash&) = default;  // moving copies too, so that no ring is ever without a snapshot
  CHash& operator=(const CHash&) = default;
  ~CHash() = default;
  /// A ring read back: its points in any order. `invalid_argument` for a repeated position, one that the
  /// policy does not have, or what is beyond a bound.
  [[nodiscard]] static Result<CHash> from_points(CHashConfig config, std::vector<Point> points);

  // Edits. Each fails with `invalid_argument` for a weight not in 1..kWeightMax, an empty id or a bad host or
  // zone, and with `too_large` beyond kNodesMax or kPointsMax; the ring is then as it was.

  /// False, and no effect, if the id is in the ring, whatever its endpoint or weight.
  Result<bool> insert(Node node, std::optional<std::uint32_t> weight = {});
  /// The same for many, in order, with one snapshot built. Gives the number inserted.
  Result<std::size_t> insert_all(std::span<const Insertion> insertions);
  /// False if the id is not in the ring.
  bool remove(std::string_view id);
  /// Sets the endpoint, zone and weight of a node, or inserts it.
  Result<void> update(Node node, std::optional<std::uint32_t> weight = {});
  /// Adds the points of `other` whose positions are not here; the others stay as they are.
  Result<void> merge(const CHash& other);
  /// Keeps the points whose positions are in `other` too, with the nodes that `other` has there.
  Result<void> intersect(const CHash& other);
  /// For later inserts; present weights do not change.
  Result<void> set_rfactor(std::uint32_t rfactor);
  Result<void> set_pfactor(std::uint32_t pfactor);

  // Look-ups: a hash, and a search that takes constant time for points that a hash made. A node comes as the
  // point that was found holds it.

  /// Who owns `key`; null on an empty ring. A key that is the text of a point gives the point after it.
  [[nodiscard]] const Node* find(std::string_view key) const noexcept;
  /// Who owns the keys at `position`.
  [[nodiscard]] const Node* owner_at(const Position& position) const noexcept;
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

  // Copies of a key.

  /// The `count` nodes that hold copies of `key`, or all if they are fewer; the owner first. Zones take
  /// turns: a zone gives its second node only after every zone gave its first, and so on; within that, nodes
  /// are taken as they are met going forward. A node without a zone is a zone of its own; if none has one,
  /// this is `range_next`.
  [[nodiscard]] std::vector<const Node*> replicas(std::string_view key, std::size_t count) const;
  [[nodiscard]] std::vector<const Node*> replicas_at(const Position& position, std::size_t count) const;

  // Bounded loads. Source: Mirrokni, Thorup, Zadimoghaddam, "Consistent hashing with bounded loads", 2018.

  /// The most that `id` may carry when all nodes together carry `total`: factor * total * its share of the
  /// weight, rounded up, in whole numbers (the factor to 2^-20). 0 for an id that is not in the ring.
  [[nodiscard]] std::uint64_t load_bound(std::string_view id, std::uint64_t total, double factor) const;
  /// Who gets one more unit of load for `key`: the first node, going forward from the key, that would stay
  /// within its bound of `loads.total + 1`. Loads are asked for along the way only. Null on an empty ring.
  /// `invalid_argument` for a factor not in (1, kLoadFactorMax]; `overloaded` if every node is full, which
  /// happens only if the total is below the sum of the loads.
  [[nodiscard]] Result<const Node*> find_bounded(std::string_view key, const Loads& loads,
                                                 double factor = 1.25) const;
  static constexpr double kLoadFactorMax = 1'000'000;

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
  /// One point, in ring order: `index` < size().
  [[nodiscard]] Position position(std::size_t index) const noexcept;
  [[nodiscard]] const Node& holder(std::size_t index) const noexcept;
  /// How much of the key space each node owns, from the points themselves.
  [[nodiscard]] Balance balance() const;
  /// The same points with the same nodes; of the config only the policy plays a part.
  [[nodiscard]] bool operator==(const CHash& other) const noexcept;

 private:
  struct Snapshot;
  struct Draft;
  std::vector<Node> collect(std::size_t start, bool forward, std::size_t limit, std::string_view skip) const;
  [[nodiscard]] std::vector<const Node*> spread(std::size_t start, std::size_t count) const;
  [[nodiscard]] Result<void> check_policy(const CHash& other, const char* what) const;
  Result<void> adopt(Draft draft);

  CHashConfig config_;
  std::shared_ptr<const Snapshot> snapshot_;  // never null
};

/// Point `index` (from 1) of node `id`.
[[nodiscard]] Position chash_point(HashPolicy policy, std::string_view id, std::uint32_t index) noexcept;

}  // namespace cluster
