// Two replicas of a shopping cart are edited at the same time. Vector clocks tell a later version from a
// concurrent one, so that nothing is overwritten unseen.
#include <compare>
#include <cstdio>
#include <set>
#include <string>

#include "cluster/ds/vector_clock.hpp"

namespace {

struct Cart {
  std::set<std::string> items;
  cluster::VectorClock version;

  void add(const char* replica, const char* item, std::int64_t now_us) {
    items.insert(item);
    version.increment(replica, cluster::wall_from_micros(now_us));
  }
};

void print(const char* name, const Cart& cart) {
  std::printf("%-7s {", name);
  for (const auto& item : cart.items) std::printf(" %s", item.c_str());
  std::printf(" }  [");
  for (const auto& entry : cart.version.entries())
    std::printf(" %s:%llu", entry.id.str().c_str(), static_cast<unsigned long long>(entry.count));
  std::printf(" ]\n");
}

const char* relation(const cluster::VectorClock& a, const cluster::VectorClock& b) {
  const auto order = a <=> b;
  if (order == std::partial_ordering::less) return "is older than";
  if (order == std::partial_ordering::greater) return "is newer than";
  return order == std::partial_ordering::equivalent ? "is the same as" : "is concurrent with";
}

}  // namespace

int main() {
  Cart paris;
  paris.add("paris", "bread", 1'000);
  Cart tokyo = paris;  // replicated

  tokyo.add("tokyo", "rice", 2'000);
  std::printf("paris %s tokyo: take tokyo's\n", relation(paris.version, tokyo.version));
  paris = tokyo;

  paris.add("paris", "cheese", 3'000);  // while the line between them is down
  tokyo.add("tokyo", "tea", 3'500);
  print("paris", paris);
  print("tokyo", tokyo);
  std::printf("paris %s tokyo: neither may simply win\n", relation(paris.version, tokyo.version));

  Cart merged = paris;
  merged.items.insert(tokyo.items.begin(), tokyo.items.end());
  merged.version.merge(tokyo.version);
  print("merged", merged);
  std::printf("merged %s paris, and %s tokyo\n", relation(merged.version, paris.version),
              relation(merged.version, tokyo.version));
}
