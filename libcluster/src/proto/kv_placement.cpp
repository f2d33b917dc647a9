#include "cluster/proto/kv_placement.hpp"

#include <algorithm>

#include "cluster/proto/ring_state.hpp"
#include "cluster/wire/codec.hpp"

namespace cluster::proto {
namespace {

std::uint64_t hash_of(std::string_view text) { return position_of(HashPolicy::xxh3, text).words[0]; }

std::uint64_t mix(std::uint64_t hash, const KvBucket& bucket) {
  for (const auto number : {bucket.n, bucket.r, bucket.w, static_cast<std::uint32_t>(bucket.resolve)}) {
    hash = (hash ^ number) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 32;
  }
  if (!bucket.merge_name.empty()) hash ^= hash_of(bucket.merge_name);
  return hash;
}

}  // namespace

bool KvReplicas::has(const NodeId& id) const noexcept { return std::ranges::find(nodes, id) != nodes.end(); }

/// Of all edits that move keys, tombstones too: a member that came and went leaves another edition behind.
KvEditionNow edition_of(const RingState& state, WallTime wall) {
  KvEditionNow now;
  const auto horizon = RingState::horizon(wall);
  for (const auto& member : state.image().members) {
    const auto& [id, presence, weight, endpoint] = member;
    now.edition.time = std::max({now.edition.time, static_cast<std::uint64_t>(micros(presence.changed_at)),
                                 static_cast<std::uint64_t>(micros(weight.changed_at)),
                                 static_cast<std::uint64_t>(micros(endpoint.zone_since))});
    if (presence.removed) {
      if (presence.changed_at <= horizon) continue;
      now.until = std::min<WallTime>(
          now.until, std::chrono::ceil<std::chrono::minutes>(presence.changed_at + RingState::kTombstoneAge));
    }
    auto text =
        id.str() + std::string(as_text(wire::encode(presence))) + std::string(as_text(wire::encode(weight)));
    if (endpoint.zone_since != WallTime{})
      text.append(endpoint.zone).append(1, '\0').append(std::to_string(micros(endpoint.zone_since)));
    now.edition.hash += hash_of(text);
  }
  return now;
}

KvPlacement::KvPlacement(CHash ring, const KvEdition& edition, std::vector<NodeId> leaving)
    : ring_(std::move(ring)), leaving_(std::move(leaving)), edition_(edition) {
  std::ranges::sort(leaving_);
  std::string text;
  for (const auto& member : description().members)
    text.append(member.id.str())
        .append(1, '\0')
        .append(std::to_string(member.weight))
        .append(1, '\0')
        .append(member.zone)
        .append(1, '\0');
  if (text.empty()) return;
  text.append(std::to_string(edition.time)).append(1, '\0').append(std::to_string(edition.hash));
  fingerprint_ = hash_of(text);
}

KvPlacement KvPlacement::of(const KvRing& ring) {
  std::vector<CHash::Insertion> insertions;
  insertions.reserve(ring.members.size());
  std::vector<NodeId> leaving;
  for (const auto& member : ring.members)
    if (member.weight == 0)
      leaving.push_back(member.id);
    else
      insertions.push_back({{.id = member.id, .zone = member.zone}, member.weight});
  CHash nodes;
  if (!nodes.insert_all(insertions)) return {};
  return KvPlacement(std::move(nodes), ring.edition, std::move(leaving));
}

KvReplicas KvPlacement::replicas(const KvKey& key, const KvBucket& bucket) const {
  KvReplicas replicas;
  if (empty()) return replicas;
  for (const auto* node : ring_.replicas(ring_text(key), bucket.n)) replicas.nodes.push_back(node->id);
  replicas.r = std::min<std::size_t>(bucket.r, replicas.nodes.size());
  replicas.w = std::min<std::size_t>(bucket.w, replicas.nodes.size());
  replicas.view = mix(fingerprint_, bucket);
  return replicas;
}

bool KvPlacement::is_replica(const NodeId& id, const KvKey& key, const KvBucket& bucket) const {
  const auto nodes = ring_.replicas(ring_text(key), bucket.n);
  return std::ranges::any_of(nodes, [&](const CHash::Node* node) { return node->id == id; });
}

std::vector<const CHash::Node*> KvPlacement::nodes_from(const KvKey& key, std::size_t count) const {
  return ring_.replicas(ring_text(key), count);
}

KvRing KvPlacement::description() const {
  KvRing ring{.edition = edition_, .members = {}};
  for (const auto& node : ring_.nodes())
    ring.members.push_back({node.id, ring_.weight(node.id.str()), node.zone});
  for (const auto& id : leaving_) ring.members.push_back({.id = id});
  std::ranges::sort(ring.members, {}, &KvMemberWeight::id);
  return ring;
}

bool KvPlacement::is(const KvRing& ring) const {
  return edition_ == ring.edition && ring_.node_count() + leaving_.size() == ring.members.size() &&
         description().members == ring.members;
}

std::uint64_t kv_position(const KvKey& key) {
  return position_of(HashPolicy::sha256, ring_text(key)).words[0];
}

}  // namespace cluster::proto
