// A program of its own, because it replaces the global operator new.
#include <doctest/doctest.h>

#include <compare>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "cluster/ds/vector_clock.hpp"

namespace {
thread_local std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace cluster;

namespace {

WallTime at(std::int64_t us) { return wall_from_micros(us); }

/// Everything that a clock does, with the first `size` of `ids`.
std::size_t allocations_of_a_life(const std::vector<NodeId>& ids, std::size_t size) {
  const std::size_t before = allocations;
  VectorClock clock;
  VectorClock other;
  for (std::size_t i = 0; i < size; ++i) {
    clock.increment(ids[i], at(1));
    if (i % 2 == 0) other.update(ids[i], 5, at(2));
  }
  VectorClock copy = clock;
  other.merge(clock);
  copy = other;
  VectorClock moved = std::move(copy);
  copy = std::move(moved);
  copy.increment(ids[0], at(3));
  const bool ordered = copy >= other && !(other >= copy) && copy.descends(clock) && other.identical(other);
  copy.remove(ids[0]);
  copy.insert(ids[0], at(4));
  const std::size_t made = allocations - before;
  CHECK(ordered);
  CHECK(copy.size() == size);
  return made;
}

}  // namespace

TEST_CASE("vector clock: a small one never allocates, and one entry more does") {
  std::vector<NodeId> ids;
  for (int i = 0; i < 8; ++i) ids.emplace_back("node-of-15-by-" + std::to_string(i));  // the longest that fit
  REQUIRE(ids[0].str().size() == 15);
  for (std::size_t size = 1; size <= VectorClock::kInlineEntries; ++size) {
    CAPTURE(size);
    CHECK(allocations_of_a_life(ids, size) == 0);
  }
  CHECK(allocations_of_a_life(ids, VectorClock::kInlineEntries + 1) > 0);
}
