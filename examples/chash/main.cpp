// Spreads keys over nodes with a consistent hash ring: who owns a key, who holds its copies, and how few
// keys move when a node joins or leaves.
#include <cstdio>
#include <map>
#include <string>

#include "cluster/ds/chash.hpp"

namespace {

constexpr int kKeys = 10'000;

std::string key(int i) { return "user-" + std::to_string(i); }

void print_shares(const char* title, const cluster::CHash& ring) {
  std::map<std::string, int> keys;
  for (int i = 0; i < kKeys; ++i) ++keys[ring.find(key(i))->id.str()];
  std::printf("%s\n", title);
  for (const auto& [id, weight] : ring.weights())
    std::printf("  %s, weight %3u: %4d keys\n", id.str().c_str(), weight, keys[id.str()]);
}

int moved_keys(const cluster::CHash& before, const cluster::CHash& after) {
  int moved = 0;
  for (int i = 0; i < kKeys; ++i) moved += before.find(key(i))->id != after.find(key(i))->id;
  return moved;
}

}  // namespace

int main() {
  cluster::CHash ring;  // 128 points a node unless an insert says otherwise
  for (const char* id : {"ada", "bob", "cleo"})
    if (!ring.insert({id, {"localhost", 7022}})) return 1;
  print_shares("three equal nodes", ring);

  std::printf("%s and its copies: ", key(17).c_str());
  const auto holders = ring.range_next(key(17), 3).value();
  for (const auto& node : holders) std::printf(" %s", node.id.str().c_str());
  std::printf("\n");

  const cluster::CHash before = ring;  // a snapshot: costs nothing, and later edits leave it alone
  if (!ring.insert({"dora", {"localhost", 7025}}, 256)) return 1;
  print_shares("dora joins with twice the weight", ring);
  std::printf("%d of %d keys moved, all of them to dora\n", moved_keys(before, ring), kKeys);

  ring.remove("dora");
  std::printf("dora leaves: the ring is %s\n", ring == before ? "what it was" : "another one");

  const auto refused = ring.insert({"eve", {"localhost", 7026}}, 0);
  std::printf("a weight of 0 is refused: %s\n", refused.error().message().c_str());
}
