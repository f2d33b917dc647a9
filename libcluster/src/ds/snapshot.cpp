#include "snapshot.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <numeric>
#include <string>
#include <utility>

namespace cluster {
namespace {

/// Among the points with the prefix of `key`, beginning at `first`: the first one for which `passed`
/// does not hold.
template <class Passed>
std::size_t among_ties(const std::vector<std::uint64_t>& prefixes, std::size_t first, std::uint64_t prefix,
                       Passed passed) noexcept {
  if (first == prefixes.size() || prefixes[first] != prefix) return first;
  std::size_t last =
      static_cast<std::size_t>(std::upper_bound(prefixes.begin(), prefixes.end(), prefix) - prefixes.begin());
  while (first < last) {
    const std::size_t middle = first + (last - first) / 2;
    if (passed(middle))
      first = middle + 1;
    else
      last = middle;
  }
  return first;
}

}  // namespace

std::size_t CHash::Snapshot::first_of(std::uint64_t prefix) const noexcept {
  if (prefixes.empty()) return 0;
  const auto top = static_cast<std::size_t>(prefix >> shift);
  const std::uint64_t* base = prefixes.data() + starts[top];
  std::size_t length = starts[top + 1] - starts[top];
  while (length > 0) {  // no branch on the data: half of all guesses would be wrong
    const std::size_t half = (length + 1) / 2;
    base += static_cast<std::size_t>(base[half - 1] < prefix) * half;
    length -= half;
  }
  return static_cast<std::size_t>(base - prefixes.data());
}

void CHash::Snapshot::index_prefixes() {
  const int bits = std::max(1, static_cast<int>(std::bit_width(prefixes.size())));  // 1 to 2 buckets a point
  shift = 64 - bits;
  starts.assign((std::size_t{1} << bits) + 1, 0);
  for (const auto prefix : prefixes) ++starts[static_cast<std::size_t>(prefix >> shift) + 1];
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
}

std::size_t CHash::Snapshot::lower_bound(const crypto::Digest& key) const noexcept {
  const auto prefix = detail::base64_prefix(key);
  return among_ties(prefixes, first_of(prefix), prefix,
                    [&](std::size_t i) { return detail::base64_compare(keys[i], key) < 0; });
}

std::size_t CHash::Snapshot::upper_bound(const crypto::Digest& key) const noexcept {
  const auto prefix = detail::base64_prefix(key);
  return among_ties(prefixes, first_of(prefix), prefix,
                    [&](std::size_t i) { return detail::base64_compare(keys[i], key) <= 0; });
}

const CHash::Weight* CHash::Snapshot::find_weight(std::string_view id) const noexcept {
  const auto at = std::lower_bound(weights.begin(), weights.end(), id,
                                   [](const Weight& w, std::string_view text) { return w.id.str() < text; });
  return at != weights.end() && at->id.str() == id ? &*at : nullptr;
}

CHash::Draft::Draft(const Snapshot& snapshot) : nodes(snapshot.nodes) {
  items.reserve(snapshot.size());
  for (std::size_t i = 0; i < snapshot.size(); ++i)
    items.push_back({snapshot.prefixes[i], snapshot.keys[i], snapshot.holders[i]});
}

bool CHash::Draft::before(const Item& a, const Item& b) noexcept {
  return a.prefix != b.prefix ? a.prefix < b.prefix : detail::base64_compare(a.key, b.key) < 0;
}

CHash::Draft::Item CHash::Draft::item(const crypto::Digest& key, std::size_t holder) noexcept {
  return {detail::base64_prefix(key), key, static_cast<std::uint32_t>(holder)};
}

void CHash::Draft::append(Node node, std::uint32_t weight) {
  for (std::uint32_t i = 1; i <= weight; ++i)
    items.push_back(item(chash_point_key(node.id.str(), i), nodes.size()));
  nodes.push_back(std::move(node));
}

void CHash::Draft::sort() { std::sort(items.begin(), items.end(), before); }

void CHash::Draft::erase(std::string_view id) {
  std::erase_if(items, [&](const Item& point) { return nodes[point.holder].id.str() == id; });
}

void CHash::Draft::unite(Draft other) {
  for (auto& point : other.items) point.holder += static_cast<std::uint32_t>(nodes.size());
  std::move(other.nodes.begin(), other.nodes.end(), std::back_inserter(nodes));
  std::vector<Item> all;
  all.reserve(items.size() + other.items.size());
  std::set_union(items.begin(), items.end(), other.items.begin(), other.items.end(), std::back_inserter(all),
                 before);
  items = std::move(all);
}

void CHash::Draft::keep_keys_of(const Draft& other) {
  std::vector<Item> common;
  std::set_intersection(items.begin(), items.end(), other.items.begin(), other.items.end(),
                        std::back_inserter(common), before);
  items = std::move(common);
}

Result<std::shared_ptr<const CHash::Snapshot>> CHash::Draft::seal() && {
  if (items.size() > kPointsMax)
    return Error(Errc::too_large, "a ring has at most " + std::to_string(kPointsMax) + " virtual nodes");
  auto next = std::make_shared<Snapshot>();

  // Nodes that a point holds, sorted, each once; `place` leads from the draft's index to the new one.
  std::vector<bool> held(nodes.size());
  for (const auto& point : items) held[point.holder] = true;
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < nodes.size(); ++i)
    if (held[i]) order.push_back(i);
  std::ranges::sort(order, {}, [this](std::uint32_t i) -> const Node& { return nodes[i]; });
  std::vector<std::uint32_t> place(nodes.size());
  for (const std::uint32_t i : order) {
    if (next->nodes.empty() || next->nodes.back() != nodes[i]) {
      if (next->weights.empty() || next->weights.back().id != nodes[i].id)
        next->weights.push_back({nodes[i].id, 0});
      next->nodes.push_back(std::move(nodes[i]));
      next->members.push_back(static_cast<std::uint32_t>(next->weights.size() - 1));
    }
    place[i] = static_cast<std::uint32_t>(next->nodes.size() - 1);
  }
  if (next->weights.size() > kNodesMax)
    return Error(Errc::too_large, "a ring has at most " + std::to_string(kNodesMax) + " nodes");

  next->prefixes.reserve(items.size());
  next->keys.reserve(items.size());
  next->holders.reserve(items.size());
  for (const auto& point : items) {
    next->prefixes.push_back(point.prefix);
    next->keys.push_back(point.key);
    next->holders.push_back(place[point.holder]);
    ++next->weights[next->members[place[point.holder]]].weight;
  }
  next->index_prefixes();
  for (const auto& [id, weight] : next->weights)
    if (weight > kWeightMax)
      return Error(Errc::invalid_argument,
                   "node '" + id.str() + "' has a weight over " + std::to_string(kWeightMax));
  return std::shared_ptr<const Snapshot>(std::move(next));
}

}  // namespace cluster
