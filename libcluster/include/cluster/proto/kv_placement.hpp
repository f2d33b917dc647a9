#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/time.hpp"
#include "cluster/ds/chash.hpp"
#include "cluster/proto/kv_record.hpp"

namespace cluster::proto {

/// The quorums of a key as they are now: with fewer members than N all of them are replicas, and R and W are
/// at most their number.
struct KvReplicas {
  std::vector<NodeId> nodes{};  ///< the owner of the key, then the next; none in an empty ring
  std::size_t r = 1;
  std::size_t w = 1;
  std::uint64_t view = 0;  ///< of the ring and the bucket: nodes that differ in it refuse each other
  [[nodiscard]] bool has(const NodeId& id) const noexcept;
};

/// Which state of the membership: another after every edit that moves keys, never the same again when an edit
/// is undone, and later states have no earlier times. Nodes that know the same edits agree in it.
struct KvEdition {
  static constexpr bool wire_positional = true;

  std::uint64_t time = 0;  ///< of the last edit; some have time 0: a node joins by itself
  std::uint64_t hash = 0;  ///< of all edits that hold
  friend auto operator<=>(const KvEdition&, const KvEdition&) = default;
};

class RingState;
/// The edition of a ring, and when it will be another one without an edit: once a tombstone is so old that
/// other nodes may have collected it, it counts no more. Of the time, all that are still held; Kv keeps the
/// greatest.
struct KvEditionNow {
  KvEdition edition{};
  WallTime until = WallTime::max();
};
[[nodiscard]] KvEditionNow edition_of(const RingState& state, WallTime wall);

struct KvMemberWeight {
  static constexpr bool wire_positional = true;

  NodeId id{};
  std::uint32_t weight = 0;  ///< 0: of one that is leaving
  std::string zone{};
  friend bool operator==(const KvMemberWeight&, const KvMemberWeight&) = default;
};
/// Who the members were, as a node notes it down and tells it.
struct KvRing {
  static constexpr bool wire_positional = true;

  KvEdition edition{};
  std::vector<KvMemberWeight> members{};
  friend bool operator==(const KvRing& a, const KvRing& b) { return a.edition == b.edition; }
};
inline constexpr std::size_t kKvMembersMax = 65'535;

/// Whom the keys belong to, in one ring.
class KvPlacement {
 public:
  KvPlacement() = default;
  /// `leaving`: members of weight 0, which are no part of `ring`.
  KvPlacement(CHash ring, const KvEdition& edition, std::vector<NodeId> leaving = {});
  /// A ring of these members; empty if they make none.
  [[nodiscard]] static KvPlacement of(const KvRing& ring);

  [[nodiscard]] KvReplicas replicas(const KvKey& key, const KvBucket& bucket) const;
  [[nodiscard]] bool is_replica(const NodeId& id, const KvKey& key, const KvBucket& bucket) const;
  /// The first `count` nodes from the key on, replicas or not.
  [[nodiscard]] std::vector<const CHash::Node*> nodes_from(const KvKey& key, std::size_t count) const;
  [[nodiscard]] KvRing description() const;
  /// Whether it is what `ring` describes.
  [[nodiscard]] bool is(const KvRing& ring) const;
  [[nodiscard]] const CHash& ring() const noexcept { return ring_; }
  /// Members that hold no key any more, and give what they have to the others before they go; by id.
  [[nodiscard]] const std::vector<NodeId>& leaving() const noexcept { return leaving_; }
  [[nodiscard]] const KvEdition& edition() const noexcept { return edition_; }
  /// Equal for the same edition of the same ring.
  [[nodiscard]] std::uint64_t fingerprint() const noexcept { return fingerprint_; }
  [[nodiscard]] bool empty() const noexcept { return ring_.empty(); }

 private:
  CHash ring_{};
  std::vector<NodeId> leaving_{};
  KvEdition edition_{};
  std::uint64_t fingerprint_ = 0;
};

/// Where a key lies in the order in which nodes compare what they hold: the first word of its position.
[[nodiscard]] std::uint64_t kv_position(const KvKey& key);

}  // namespace cluster::proto
