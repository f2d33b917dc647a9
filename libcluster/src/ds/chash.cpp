#include "cluster/ds/chash.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

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

crypto::Digest chash_point_key(std::string_view id, std::uint32_t index) {
  char digits[10];
  const char* const end = std::to_chars(std::begin(digits), std::end(digits), index).ptr;
  std::string name;
  name.reserve(id.size() + 1 + sizeof digits);
  name.append(id).append(1, '_').append(std::string_view(digits, end));
  return crypto::sha256(as_bytes(name));
}

CHash::CHash(CHashConfig config) : config_(config) {
  if (auto good = check_config(config); !good) throw std::invalid_argument(good.error().message());
  static const auto empty = std::make_shared<const Snapshot>();
  snapshot_ = empty;
}

Result<CHash> CHash::from_points(CHashConfig config, std::vector<Point> points) {
  if (auto good = check_config(config); !good) return std::move(good).error();
  Draft draft;
  draft.items.reserve(points.size());
  draft.nodes.reserve(points.size());
  for (auto& point : points) {
    if (auto good = check_node(point.node); !good) return std::move(good).error();
    draft.items.push_back(Draft::item(point.key, draft.nodes.size()));
    draft.nodes.push_back(std::move(point.node));
  }
  draft.sort();
  for (std::size_t i = 1; i < draft.items.size(); ++i)
    if (draft.items[i - 1].key == draft.items[i].key)
      return Error(Errc::invalid_argument,
                   "the key " + base64(draft.items[i].key) + " occurs twice in the ring");
  CHash ring(config);
  if (auto good = ring.adopt(std::move(draft)); !good) return std::move(good).error();
  return ring;
}

Result<void> CHash::adopt(Draft draft) {
  auto next = std::move(draft).seal();
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
    added.append(node, weight);
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
  added.append(std::move(node), weight);
  added.sort();
  draft.unite(std::move(added));
  return adopt(std::move(draft));
}

Result<void> CHash::merge(const CHash& other) {
  if (snapshot_ == other.snapshot_) return {};
  Draft draft(*snapshot_);
  draft.unite(Draft(*other.snapshot_));
  return adopt(std::move(draft));
}

void CHash::intersect(const CHash& other) {
  Draft draft(*other.snapshot_);
  draft.keep_keys_of(Draft(*snapshot_));
  adopt(std::move(draft)).value();  // a smaller ring is within every bound
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
  const std::size_t at = ring.upper_bound(crypto::sha256(as_bytes(key)));
  return &ring.node_at(at == ring.size() ? 0 : at);
}

const CHash::Node* CHash::get(std::string_view id) const noexcept {
  const Snapshot& ring = *snapshot_;
  const auto key = chash_point_key(id, 1);
  const std::size_t at = ring.lower_bound(key);
  return at != ring.size() && ring.keys[at] == key ? &ring.node_at(at) : nullptr;
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
    const auto member = ring.members[ring.holders[at]];
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
  const std::size_t after = snapshot_->upper_bound(chash_point_key(id, 1));
  return collect(after == size() ? 0 : after, true, *limit, id);
}

Result<std::vector<CHash::Node>> CHash::prev(std::string_view id, std::optional<std::int64_t> range) const {
  const bool alone = node_count() <= 1 || !contains(id);
  const auto limit = limit_of(range.value_or(config_.pfactor), alone ? 0 : node_count() - 1);
  if (!limit) return limit.error();
  const std::size_t own = snapshot_->lower_bound(chash_point_key(id, 1));
  return collect((own == 0 ? size() : own) - 1, false, *limit, id);
}

Result<std::vector<CHash::Node>> CHash::range_next(std::string_view key,
                                                   std::optional<std::int64_t> range) const {
  const auto limit = limit_of(range.value_or(std::int64_t{config_.pfactor} + 1), node_count());
  if (!limit) return limit.error();
  const std::size_t owner = snapshot_->upper_bound(crypto::sha256(as_bytes(key)));
  return collect(owner == size() ? 0 : owner, true, *limit, {});
}

Result<std::vector<CHash::Node>> CHash::range_prev(std::string_view key,
                                                   std::optional<std::int64_t> range) const {
  const auto limit = limit_of(range.value_or(std::int64_t{config_.pfactor} + 1), node_count());
  if (!limit) return limit.error();
  const std::size_t after = snapshot_->lower_bound(crypto::sha256(as_bytes(key)));
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
    Seen& member = seen[ring.members[ring.holders[i]]];
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
  const Snapshot& ring = *snapshot_;
  std::vector<Point> all;
  all.reserve(ring.size());
  for (std::size_t i = 0; i < ring.size(); ++i) all.push_back({ring.keys[i], ring.node_at(i)});
  return all;
}

bool CHash::operator==(const CHash& other) const noexcept {
  const Snapshot& a = *snapshot_;
  const Snapshot& b = *other.snapshot_;
  // Sealed nodes are sorted, distinct and held, so equal rings have equal arrays.
  return &a == &b || (a.holders == b.holders && a.keys == b.keys && a.nodes == b.nodes);
}

}  // namespace cluster
