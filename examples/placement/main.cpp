// Decides where keys go: copies in different zones, no node with too much to do, and a look at what a new
// node would move before it joins.
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

#include "cluster/ds/chash.hpp"
#include "cluster/ds/ring_diff.hpp"

namespace {

using cluster::CHash;

void print_copies(const CHash& ring, const char* key) {
  std::printf("copies of %s, as met on the ring:", key);
  const auto met = ring.range_next(key, 3).value();
  for (const auto& node : met) std::printf("  %s in %s", node.id.str().c_str(), node.zone.c_str());
  std::printf("\ncopies of %s, over zones:         ", key);
  for (const auto* node : ring.replicas(key, 3))
    std::printf("  %s in %s", node->id.str().c_str(), node->zone.c_str());
  std::printf("\n");
}

/// 1,000 requests, 600 of them for one key. `factor`: how much over its fair part a node may have.
void print_loads(const CHash& ring, double factor) {
  std::map<cluster::NodeId, std::uint64_t> load;
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    const std::string key = i % 5 < 3 ? "the front page" : "page-" + std::to_string(i);
    const CHash::Loads loads{[&](const cluster::NodeId& id) { return load[id]; }, i};
    ++load[ring.find_bounded(key, loads, factor).value()->id];
  }
  std::printf("requests, factor %7.2f:", factor);
  for (const auto& [id, count] : load)
    std::printf("  %s %llu", id.str().c_str(), static_cast<unsigned long long>(count));
  std::printf("\n");
}

void print_balance(const char* title, const CHash& ring) {
  const auto balance = ring.balance();
  std::printf("%-16s", title);
  for (const auto& share : balance.shares)
    std::printf("  %s %.1f%%", share.id.str().c_str(), 100 * share.share);
  std::printf("  max/mean %.2f\n", balance.max_over_mean);
}

}  // namespace

int main() {
  CHash ring;
  for (const auto& [id, zone] :
       {std::pair{"ada", "paris"}, {"bob", "paris"}, {"cleo", "paris"}, {"dora", "tokyo"}})
    if (!ring.insert({id, {}, zone})) return 1;
  print_copies(ring, "user-5");

  print_loads(ring, 1'000.0);  // no bound worth the name: each key goes to its owner
  print_loads(ring, 1.25);

  print_balance("shares now", ring);
  CHash after = ring;  // a plan: the ring itself stays as it is
  if (!after.insert({"eve", {}, "tokyo"})) return 1;
  print_balance("shares with eve", after);
  const auto change = cluster::diff(ring, after).value();
  std::printf("eve would take %.1f%% of all keys, in %zu ranges:", 100 * change.moved, change.moves.size());
  for (const auto& flow : change.flows)
    std::printf("  %.1f%% from %s", 100 * flow.fraction, flow.from.str().c_str());
  std::printf("\n");

  // Which keys? Those whose positions lie in a range. Here is the one of user-5.
  const auto position = cluster::position_of(ring.config().policy, "user-5");
  for (const auto& move : change.moves)
    if (move.arc.contains(position))
      std::printf("user-5 would go from %s to %s\n", move.from.str().c_str(), move.to.str().c_str());
}
