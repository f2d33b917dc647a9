#include "cluster/ds/shared_map.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "cluster/base/rng.hpp"

using namespace cluster;

namespace {

struct Entry {
  NodeId id;
  std::uint64_t value = 0;
  friend bool operator==(const Entry&, const Entry&) = default;
};
using Table = SharedMap<Entry, &Entry::id>;
using Expected = std::map<NodeId, std::uint64_t>;

NodeId name(std::uint64_t number) { return NodeId("n" + std::to_string(number)); }

void check_equal(const Table& table, const Expected& oracle) {
  REQUIRE(table.size() == oracle.size());
  std::size_t rank = 0;
  auto expected = oracle.begin();
  for (const auto& entry : table) {
    REQUIRE(entry.id == expected->first);
    REQUIRE(entry.value == expected->second);
    REQUIRE(table.at_rank(rank++).id == entry.id);
    ++expected;
  }
}

}  // namespace

TEST_CASE("shared map: after any puts and erasures it holds what a std::map holds, in the same order") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Table table;
    Expected oracle;
    const auto names = 1 + rng.below(600);
    for (int step = 0; step < 2000; ++step) {
      const auto id = name(rng.below(names));
      if (rng.chance(0.6)) {
        table.put({id, static_cast<std::uint64_t>(step)});
        oracle[id] = static_cast<std::uint64_t>(step);
      } else {
        REQUIRE(table.erase(id) == (oracle.erase(id) > 0));
      }
      const auto asked = name(rng.below(names));
      const auto* found = table.find(asked);
      REQUIRE((found != nullptr) == oracle.contains(asked));
      if (found != nullptr) REQUIRE(found->value == oracle[asked]);
      const auto next = oracle.upper_bound(asked);
      const auto at = table.upper_bound(asked.str());
      REQUIRE((at == table.end()) == (next == oracle.end()));
      if (next != oracle.end()) REQUIRE(at->id == next->first);
    }
    check_equal(table, oracle);
  }
}

TEST_CASE("shared map: a copy does not see later changes of the other, nor the other its own") {
  Rng rng(7);
  std::vector<std::pair<Table, Expected>> copies(1);
  for (int step = 0; step < 400; ++step) {
    if (copies.size() < 8) {
      auto copy = copies[static_cast<std::size_t>(rng.below(copies.size()))];
      copies.push_back(std::move(copy));
    }
    auto& [table, oracle] = copies[static_cast<std::size_t>(rng.below(copies.size()))];
    for (int change = 0; change < 20; ++change) {
      const auto id = name(rng.below(200));
      if (rng.chance(0.7)) {
        table.put({id, rng.next() >> 32});
        oracle[id] = table.find(id)->value;
      } else {
        table.erase(id);
        oracle.erase(id);
      }
    }
  }
  for (const auto& [table, oracle] : copies) check_equal(table, oracle);
  auto copy = copies[3].first;
  CHECK(copy == copies[3].first);
  copy.put({name(1000), 1});
  CHECK_FALSE(copy == copies[3].first);
}
