// Uses CHash and VectorClock from an installed package; prints what the package test compares.
#include <cluster/ds/chash.hpp>
#include <cluster/ds/ring_diff.hpp>
#include <cluster/ds/vector_clock.hpp>
#include <iostream>

int main() {
  cluster::CHash ring({.rfactor = 3});
  if (!ring.insert({"foo", {"localhost", 7022}}) || !ring.insert({"bar", {"localhost", 7023}})) return 1;
  const cluster::CHash before = ring;
  if (!ring.remove("bar")) return 1;
  std::cout << "user-17 belongs to " << before.find("user-17")->id.str() << ", then to "
            << ring.find("user-17")->id.str() << '\n';

  std::cout << "bar gave " << cluster::diff(before, ring).value().flows.at(0).to.str() << " all it had\n";
  cluster::CHash fast({.policy = cluster::HashPolicy::xxh3});
  if (!fast.insert({"foo"}) || fast.find("user-17")->id != "foo") return 1;

  cluster::VectorClock a("a", 1, cluster::wall_from_micros(1));
  cluster::VectorClock b = a;
  a.increment("a", cluster::wall_from_micros(2));
  b.increment("b", cluster::wall_from_micros(3));
  std::cout << ((a <=> b) == std::partial_ordering::unordered ? "concurrent" : "ordered");
  a.merge(b);
  std::cout << ", merged " << (a > b ? "after" : "not after") << '\n';
}
