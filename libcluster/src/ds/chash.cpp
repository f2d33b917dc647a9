#include "cluster/ds/chash.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "cluster/base/utf8.hpp"
#include "snapshot.hpp"

namespace cluster {
namespace {

Result<void> check_weight(std::uint32_t weight, const char* what) {
  if (weight >= 1 && weight <= CHash::kWeightMax) return {};
  return Error(Errc::invalid_argument, std::string(what) + " must be 1.." +
                                           std::to_string(CHash::kWeightMax) + ", not " +
                                           std::to_string(weight));
}

Result<void> check_pfactor(std::uint32_t pfactor) {
  if (pfactor <= CHash::kRangeMax) return {};
  return Error(Errc::invalid_argument,
               "pfactor must be 0.." + std::to_string(CHash::kRangeMax) + ", not " + std::to_string(pfactor));
}

Result<void> check_config(const CHashConfig& config) {
  if (auto good = check_weight(config.rfactor, "rfactor"); !good) return good;
  return check_pfactor(config.pfactor);
}

Result<void> check_node(const CHash::Node& node) {
  if (node.id.empty()) return Error(Errc::invalid_argument, "a node of a ring must have an id");
  if (node.zone.size() > CHash::kZoneBytesMax || !is_utf8(node.zone) || has_control_character(node.zone))
    return Error(
        Errc::invalid_argument,
        "the zone of '" + node.id.str() + "' is not at most 255 bytes of UTF-8 without control characters");
  if (node.endpoint.host.empty()) return {};
  if (auto host = parse_host(node.endpoint.host); !host) return std::move(host).error();
  return {};
}

/// How many nodes to collect, of `available`.
Result<std::size_t> limit_of(std::int64_t range, std::size_t available) {
  if (range < 0)
    return Error(Errc::invalid_argument, "range must not be negative, as " + std::to_string(range) + " is");
  return static_cast<std::size_t>(std::min<std::uint64_t>(static_cast<std::uint64_t>(range), available));
}

/// The value of an id that is a canonical array index of ECMAScript; nothing for other ids.
std::optional<std::uint32_t> array_index(std::string_view id) noexcept {
  constexpr std::uint32_t kNotAnIndex = 0xffff'ffff;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), value);
  if (error != std::errc{} || end != id.data() + id.size() || value == kNotAnIndex) return std::nullopt;
  if (id.size() > 1 && id.front() == '0') return std::nullopt;
  return value;
}

}  // namespace

Position chash_point(HashPolicy policy, std::string_view id, std::uint32_t index) noexcept {
  std::array<char, NodeId::kBytesMax + 1 + 10> name;  // the id, '_', decimal digits
  char* end = std::copy_n(id.data(), std::min(id.size(), NodeId::kBytesMax), name.data());
  *end++ = '_';
  end = std::to_chars(end, name.data() + name.size(), index).ptr;
  return position_of(policy, {name.data(), end});
}

CHash::CHash(CHashConfig config) : config_(config) {
  if (auto good = check_config(config); !good) throw std::invalid_argument(good.error().message());
  static const auto empty = Draft().seal(HashPolicy::sha256).value();
  snapshot_ = empty;
}

Result<CHash> CHash::from_points(CHashConfig config, std::vector<Point> points) {
  if (auto good = check_config(config); !good) return std::move(good).error();
  Draft draft;
  draft.items.reserve(points.size());
  draft.nodes.reserve(points.size());
  for (auto& [position, node] : points) {
    if (auto good = check_node(node); !good) return std::move(good).error();
    if (config.policy == HashPolicy::xxh3 && position != Position{{position.words[0]}})
      return Error(Errc::invalid_argument, "a position has more bits than those of policy 'xxh3'");
    draft.append(position, std::move(node));
  }
  draft.sort();
  for (std::size_t i = 1; i < draft.items.size(); ++i)
    if (draft.items[i - 1].position == draft.items[i].position)
      return Error(
          Errc::invalid_argument,
          "the key " + position_text(config.policy, draft.items[i].position) + " occurs twice in the ring");
  CHash ring(config);
  if (auto good = ring.adopt(std::move(draft)); !good) return std::move(good).error();
  return ring;
}

Result<void> CHash::adopt(Draft draft) {
  auto next = std::move(draft).seal(config_.policy);
  if (!next) return std::move(next).error();
  snapshot_ = *std::move(next);
  return {};
}

Result<bool> CHash::insert(Node node, std::optional<std::uint32_t> weight) {
  const Insertion one{std::move(node), weight};
  auto inserted = insert_all({&one, 1});
  if (!inserted) return std::move(inserted).error();
  return *inserted == 1;
}

Result<std::size_t> CHash::insert_all(std::span<const Insertion> insertions) {
  Draft added;
  std::set<std::string_view> ids;
  for (const auto& [node, given] : insertions) {
    const auto weight = given.value_or(config_.rfactor);
    if (auto good = check_weight(weight, "weight"); !good) return std::move(good).error();
    if (auto good = check_node(node); !good) return std::move(good).error();
    if (contains(node.id.str()) || !ids.insert(node.id.str()).second) continue;
    if (size() + added.items.size() + weight > kPointsMax)
      return Error(Errc::too_large, "a ring has at most " + std::to_string(kPointsMax) + " virtual nodes");
    added.append(config_.policy, node, weight);
  }
  if (ids.empty()) return std::size_t{0};
  added.sort();
  Draft draft(*snapshot_);
  draft.unite(std::move(added));
  if (auto good = adopt(std::move(draft)); !good) return std::move(good).error();
  return ids.size();
}

bool CHash::remove(std::string_view id) {
  if (!contains(id)) return false;
  Draft draft(*snapshot_);
  draft.erase(id);
  adopt(std::move(draft)).value();  // a smaller ring is within every bound
  return true;
}

Result<void> CHash::update(Node node, std::optional<std::uint32_t> given) {
  const auto weight = given.value_or(config_.rfactor);
  if (auto good = check_weight(weight, "weight"); !good) return good;
  if (auto good = check_node(node); !good) return good;
  Draft draft(*snapshot_);
  draft.erase(node.id.str());
  Draft added;
  added.append(config_.policy, std::move(node), weight);
  added.sort();
  draft.unite(std::move(added));
  return adopt(std::move(draft));
}

Result<void> CHash::check_policy(const CHash& other, const char* what) const {
  if (config_.policy == other.config_.policy) return {};
  return Error(Errc::invalid_argument, "a ring of policy '" + std::string(name(config_.policy)) +
                                           "' cannot be " + what + " one of policy '" +
                                           std::string(name(other.config_.policy)) +
                                           "': their positions have nothing to do with each other");
}

Result<void> CHash::merge(const CHash& other) {
  if (auto good = check_policy(other, "merged with"); !good) return good;
  if (snapshot_ == other.snapshot_) return {};
  Draft draft(*snapshot_);
  draft.unite(Draft(*other.snapshot_));
  return adopt(std::move(draft));
}

Result<void> CHash::intersect(const CHash& other) {
  if (auto good = check_policy(other, "intersected with"); !good) return good;
  Draft draft(*other.snapshot_);
  draft.keep_positions_of(Draft(*snapshot_));
  return adopt(std::move(draft));
}

Result<void> CHash::set_rfactor(std::uint32_t rfactor) {
  if (auto good = check_weight(rfactor, "rfactor"); !good) return good;
  config_.rfactor = rfactor;
  return {};
}

Result<void> CHash::set_pfactor(std::uint32_t pfactor) {
  if (auto good = check_pfactor(pfactor); !good) return good;
  config_.pfactor = pfactor;
  return {};
}

const CHash::Node* CHash::find(std::string_view key) const noexcept {
  const Snapshot& ring = *snapshot_;
  if (ring.size() == 0) return nullptr;
  return &ring.node_at(ring.after_key(config_.policy, key));
}

const CHash::Node* CHash::owner_at(const Position& position) const noexcept {
  const Snapshot& ring = *snapshot_;
  return ring.size() == 0 ? nullptr : &ring.node_at(ring.upper_bound(position));
}

const CHash::Node* CHash::get(std::string_view id) const noexcept {
  const Snapshot& ring = *snapshot_;
  const auto position = chash_point(config_.policy, id, 1);
  const std::size_t at = ring.lower_bound(position);
  return at != ring.size() && ring.position_at(at) == position ? &ring.node_at(at) : nullptr;
}

std::uint32_t CHash::weight(std::string_view id) const noexcept {
  const Weight* const found = snapshot_->find_weight(id);
  return found == nullptr ? 0 : found->weight;
}

std::vector<CHash::Node> CHash::collect(std::size_t start, bool forward, std::size_t limit,
                                        std::string_view skip) const {
  const Snapshot& ring = *snapshot_;
  std::vector<Node> found;
  if (limit == 0) return found;
  std::vector<bool> seen(ring.weights.size());
  if (const Weight* const own = ring.find_weight(skip))
    seen[static_cast<std::size_t>(own - ring.weights.data())] = true;
  std::size_t at = start;
  for (std::size_t steps = 0; steps < ring.size() && found.size() < limit; ++steps) {
    const auto member = ring.member_at(at);
    if (!seen[member]) {
      seen[member] = true;
      found.push_back(ring.node_at(at));
    }
    if (forward)
      at = at + 1 == ring.size() ? 0 : at + 1;
    else
      at = at == 0 ? ring.size() - 1 : at - 1;
  }
  return found;
}

Result<std::vector<CHash::Node>> CHash::next(std::string_view id, std::optional<std::int64_t> range) const {
  const bool alone = node_count() <= 1 || !contains(id);
  const auto limit = limit_of(range.value_or(config_.pfactor), alone ? 0 : node_count() - 1);
  if (!limit) return limit.error();
  const std::size_t after = snapshot_->upper_bound(chash_point(config_.policy, id, 1));
  return collect(after == size() ? 0 : after, true, *limit, id);
}

Result<std::vector<CHash::Node>> CHash::prev(std::string_view id, std::optional<std::int64_t> range) const {
  const bool alone = node_count() <= 1 || !contains(id);
  const auto limit = limit_of(range.value_or(config_.pfactor), alone ? 0 : node_count() - 1);
  if (!limit) return limit.error();
  const std::size_t own = snapshot_->lower_bound(chash_point(config_.policy, id, 1));
  return collect((own == 0 ? size() : own) - 1, false, *limit, id);
}

Result<std::vector<CHash::Node>> CHash::range_next(std::string_view key,
                                                   std::optional<std::int64_t> range) const {
  const auto limit = limit_of(range.value_or(std::int64_t{config_.pfactor} + 1), node_count());
  if (!limit) return limit.error();
  const std::size_t owner = snapshot_->after_key(config_.policy, key);
  return collect(owner == size() ? 0 : owner, true, *limit, {});
}

Result<std::vector<CHash::Node>> CHash::range_prev(std::string_view key,
                                                   std::optional<std::int64_t> range) const {
  const auto limit = limit_of(range.value_or(std::int64_t{config_.pfactor} + 1), node_count());
  if (!limit) return limit.error();
  const std::size_t after = snapshot_->lower_bound(position_of(config_.policy, key));
  return collect((after == 0 ? size() : after) - 1, false, *limit, {});
}

std::size_t CHash::size() const noexcept { return snapshot_->size(); }
std::size_t CHash::node_count() const noexcept { return snapshot_->weights.size(); }
std::span<const CHash::Weight> CHash::weights() const noexcept { return snapshot_->weights; }

std::vector<CHash::Node> CHash::nodes() const {
  const Snapshot& ring = *snapshot_;
  struct Seen {
    std::uint64_t rank =
        ~std::uint64_t{0};  // index-like ids by number, below all others; those by their first point
    std::uint32_t holder = 0;
  };
  std::vector<Seen> seen(ring.weights.size());
  for (std::size_t i = 0; i < ring.size(); ++i) {
    Seen& member = seen[ring.member_at(i)];
    if (member.rank == Seen{}.rank) {
      const auto index = array_index(ring.node_at(i).id.str());
      member.rank = index ? *index : (std::uint64_t{1} << 32) + i;
    }
    member.holder = ring.holders[i];
  }
  std::ranges::sort(seen, {}, &Seen::rank);
  std::vector<Node> all;
  all.reserve(seen.size());
  for (const auto& member : seen) all.push_back(ring.nodes[member.holder]);
  return all;
}

std::vector<CHash::Point> CHash::points() const {
  std::vector<Point> all;
  all.reserve(size());
  for (std::size_t i = 0; i < size(); ++i) all.push_back({position(i), holder(i)});
  return all;
}

Position CHash::position(std::size_t index) const noexcept { return snapshot_->position_at(index); }
const CHash::Node& CHash::holder(std::size_t index) const noexcept { return snapshot_->node_at(index); }

bool CHash::operator==(const CHash& other) const noexcept {
  if (config_.policy != other.config_.policy) return false;
  const Snapshot& a = *snapshot_;
  const Snapshot& b = *other.snapshot_;
  // Sealed nodes are sorted, distinct and held, so equal rings have equal arrays.
  return &a == &b || (a.holders == b.holders && a.tops == b.tops && a.tails == b.tails && a.nodes == b.nodes);
}

}  // namespace cluster
