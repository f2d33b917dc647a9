#include "snapshot.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "hash.hpp"

namespace cluster {
namespace {

constexpr int kIndexBitsMax = 22;           // 16 MiB
constexpr std::uint32_t kCrowdedFrom = 64;  // points with equal top bits: no hash makes so many

}  // namespace

// --- searching ---

std::size_t CHash::Snapshot::first_of(std::uint64_t top) const noexcept {
  if (crowded) return static_cast<std::size_t>(std::ranges::lower_bound(tops, top) - tops.begin());
  std::size_t at = starts[top >> shift];
  while (at != tops.size() && tops[at] < top) ++at;  // mostly no step
  return at;
}

Position CHash::Snapshot::position_at(std::size_t point) const noexcept {
  if (tails.empty()) return {{tops[point]}};
  const Tail& tail = tails[point];
  return {{tops[point], tail[0], tail[1], tail[2]}};
}

std::size_t CHash::Snapshot::lower_bound(const Position& position) const noexcept {
  const std::uint64_t top = position.words[0];
  std::size_t low = first_of(top);
  if (low == size() || tops[low] != top) return low;
  auto high = static_cast<std::size_t>(std::ranges::upper_bound(tops, top) - tops.begin());
  while (low < high) {  // among points with one first word
    const std::size_t middle = low + (high - low) / 2;
    if (position_at(middle) < position)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

std::size_t CHash::Snapshot::upper_bound(const Position& position) const noexcept {
  const std::size_t at = lower_bound(position);
  return at != size() && position_at(at) == position ? at + 1 : at;
}

std::size_t CHash::Snapshot::after_key(HashPolicy policy, std::string_view key) const noexcept {
  const std::uint64_t top = detail::first_word(policy, key);
  const std::size_t at = first_of(top);
  if (at == size() || tops[at] != top) return at;
  return upper_bound(position_of(policy, key));
}

const CHash::Weight* CHash::Snapshot::find_weight(std::string_view id) const noexcept {
  const auto at = std::lower_bound(weights.begin(), weights.end(), id,
                                   [](const Weight& w, std::string_view text) { return w.id.str() < text; });
  return at != weights.end() && at->id.str() == id ? &*at : nullptr;
}

// --- building ---

void CHash::Snapshot::index_points() {
  if (!holders.empty()) holders.push_back(holders.front());
  // 2 to 4 values a point. Measured against 1/2, 1 and 4, and against Eytzinger's order.
  const int bits = std::min(static_cast<int>(std::bit_width(size())) + 1, kIndexBitsMax);
  shift = 64 - bits;
  starts.assign((std::size_t{1} << bits) + 1, 0);
  for (const auto top : tops) ++starts[static_cast<std::size_t>(top >> shift) + 1];
  crowded = std::ranges::max(starts) >= kCrowdedFrom;
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
}

void CHash::Snapshot::number_zones() {
  std::vector<const std::string*> label_of(weights.size());
  for (std::size_t i = 0; i < size(); ++i) label_of[member_at(i)] = &node_at(i).zone;  // the last one counts
  std::map<std::string_view, std::uint32_t> numbers;
  std::vector<std::uint32_t> sizes;
  zones.reserve(label_of.size());
  for (const auto* label : label_of) {
    std::uint32_t before = 0;
    if (label->empty()) {
      zones.push_back(kNoLabel);
    } else {
      zones.push_back(numbers.try_emplace(*label, static_cast<std::uint32_t>(sizes.size())).first->second);
      if (zones.back() == sizes.size()) sizes.push_back(0);
      before = sizes[zones.back()]++;
    }
    if (before == zones_above.size()) zones_above.push_back(0);
    ++zones_above[before];
  }
  labels = static_cast<std::uint32_t>(sizes.size());
}

CHash::Draft::Draft(const Snapshot& snapshot) : nodes(snapshot.nodes) {
  items.reserve(snapshot.size());
  for (std::size_t i = 0; i < snapshot.size(); ++i)
    items.push_back({snapshot.position_at(i), snapshot.holders[i]});
}

void CHash::Draft::append(HashPolicy policy, Node node, std::uint32_t weight) {
  for (std::uint32_t i = 1; i <= weight; ++i)
    items.push_back({chash_point(policy, node.id.str(), i), static_cast<std::uint32_t>(nodes.size())});
  nodes.push_back(std::move(node));
}

void CHash::Draft::append(const Position& position, Node node) {
  items.push_back({position, static_cast<std::uint32_t>(nodes.size())});
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

void CHash::Draft::keep_positions_of(const Draft& other) {
  std::vector<Item> common;
  std::set_intersection(items.begin(), items.end(), other.items.begin(), other.items.end(),
                        std::back_inserter(common), before);
  items = std::move(common);
}

Result<std::shared_ptr<const CHash::Snapshot>> CHash::Draft::seal(HashPolicy policy) && {
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

  next->tops.reserve(items.size());
  next->holders.reserve(items.size() + 1);
  if (policy == HashPolicy::sha256) next->tails.reserve(items.size());
  for (const auto& [position, holder] : items) {
    const auto& words = position.words;
    next->tops.push_back(words[0]);
    if (policy == HashPolicy::sha256) next->tails.push_back({words[1], words[2], words[3]});
    next->holders.push_back(place[holder]);
    ++next->weights[next->members[place[holder]]].weight;
  }
  for (const auto& [id, weight] : next->weights)
    if (weight > kWeightMax)
      return Error(Errc::invalid_argument,
                   "node '" + id.str() + "' has a weight over " + std::to_string(kWeightMax));
  next->index_points();
  next->number_zones();
  return std::shared_ptr<const Snapshot>(std::move(next));
}

}  // namespace cluster
