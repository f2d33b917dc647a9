#include "cluster/proto/link_rules.hpp"

#include <doctest/doctest.h>

#include <array>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "cluster/proto/keyed_limit.hpp"

using namespace cluster;
using namespace cluster::proto;

TEST_CASE("link rules: what becomes of a newcomer") {
  const Boot old_boot{1, 11};
  const Boot new_boot{2, 22};
  struct Row {
    const char* what;
    const char* self;
    bool own_dial;
    std::optional<LinkInUse> in_use;
    Newcomer newcomer;
    NewcomerVerdict expected;
  };
  const std::array rows{
      Row{"nothing else is there", "a", false, {}, {old_boot, 5}, NewcomerVerdict::accept},
      Row{"the smaller id keeps its own dial", "a", true, {}, {old_boot, 5}, NewcomerVerdict::refuse},
      Row{"the larger id goes along", "z", true, {}, {old_boot, 5}, NewcomerVerdict::accept},
      Row{"the same process dials again: it lost the link",
          "a",
          false,
          LinkInUse{old_boot, 4},
          {old_boot, 5},
          NewcomerVerdict::ask_holder},
      Row{"so it does towards the larger id",
          "z",
          true,
          LinkInUse{old_boot, 4},
          {old_boot, 5},
          NewcomerVerdict::ask_holder},
      Row{"the late half of a simultaneous dial",
          "a",
          false,
          LinkInUse{old_boot, 6},
          {old_boot, 5},
          NewcomerVerdict::refuse},
      Row{"another process with the id",
          "a",
          false,
          LinkInUse{old_boot, 4},
          {new_boot, 5},
          NewcomerVerdict::ask_holder},
      Row{"also if it is the older one",
          "a",
          true,
          LinkInUse{new_boot, 6},
          {old_boot, 5},
          NewcomerVerdict::ask_holder},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    CHECK(judge_newcomer(row.self, "m", row.own_dial, row.in_use, row.newcomer) == row.expected);
  }
}

TEST_CASE("link rules: who holds an id keeps it while he answers; after that the newer boot has it") {
  const WallTime wall = wall_from_micros(1'000'000);
  CHECK_FALSE(newcomer_takes_id(true, Boot{1, 0}, Boot{2, 0}, wall));
  CHECK(newcomer_takes_id(false, Boot{1, 0}, Boot{2, 0}, wall));
  CHECK_FALSE(newcomer_takes_id(false, Boot{2, 0}, Boot{1, 0}, wall));
  CHECK(newcomer_takes_id(false, Boot{1, 5}, Boot{1, 6}, wall));
  CHECK_FALSE(newcomer_takes_id(true, Boot{1, 0}, Boot{1, 0}, wall));
  CHECK(newcomer_takes_id(false, Boot{1, 0}, Boot{1, 0}, wall));  // the same process, its connection lost
  CHECK(newcomer_takes_id(false, Boot{~std::uint64_t{0}, 0}, Boot{1, 0}, wall));  // no process has that boot
}

TEST_CASE("link rules: an id is taken if no more nodes stay with its process than refuse it") {
  CHECK(id_is_taken(1, 0));
  CHECK(id_is_taken(1, 1));
  CHECK_FALSE(id_is_taken(1, 2));
  CHECK(id_is_taken(2, 2));
  CHECK_FALSE(id_is_taken(0, 0));
}

TEST_CASE("backoff: doubles up to its max, shortened by at most a half, and starts anew after a success") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Backoff backoff(50ms, 5s);
    for (Duration whole = 50ms; whole < 10s; whole *= 2) {
      const Duration expected = std::min<Duration>(whole, 5s);
      const Duration wait = backoff.next(rng);
      CHECK(wait <= expected);
      CHECK(wait >= expected / 2);
    }
    CHECK(backoff.failures() == 8);
    for (int i = 0; i < 1000; ++i) CHECK(backoff.next(rng) <= 5s);
    backoff.reset();
    CHECK(backoff.next(rng) <= 50ms);
  }
}

TEST_CASE("guess limit: failed proofs use up an address's tokens, time brings them back, others do not pay") {
  KeyedLimit limit({.tokens_max = 3, .tokens_per_second = 1, .keys_max = 10});
  const Instant start{};
  for (int i = 0; i < 3; ++i) {
    CHECK(limit.allows(start, "1.2.3.4"));
    limit.take(start, "1.2.3.4");
  }
  CHECK_FALSE(limit.allows(start, "1.2.3.4"));
  CHECK(limit.allows(start, "1.2.3.5"));
  CHECK_FALSE(limit.allows(start + 999ms, "1.2.3.4"));
  CHECK(limit.allows(start + 1s, "1.2.3.4"));
  limit.take(start + 1s, "1.2.3.4");
  CHECK_FALSE(limit.allows(start + 1500ms, "1.2.3.4"));
  CHECK(limit.keys() == 1);
  CHECK(limit.allows(start + 10s, "1.2.3.4"));
  CHECK(limit.keys() == 0);  // all tokens are back: nothing to remember
}

TEST_CASE("guess limit: what is owed is waited for, and nobody owes more than the least") {
  KeyedLimit limit({.tokens_max = 1, .tokens_per_second = 10, .tokens_min = -3, .keys_max = 10});
  const Instant start{};
  CHECK(limit.wait(start, "1.2.3.4") == Duration::zero());
  for (const Duration wait : {100ms, 200ms, 300ms, 400ms, 400ms}) {
    limit.take(start, "1.2.3.4");
    CHECK(limit.wait(start, "1.2.3.4") == wait);
    CHECK_FALSE(limit.allows(start, "1.2.3.4"));
  }
  CHECK(limit.wait(start + 250ms, "1.2.3.4") == 150ms);
  CHECK(limit.allows(start + 400ms, "1.2.3.4"));
  CHECK(limit.wait(start, "1.2.3.5") == Duration::zero());
}

TEST_CASE("guess limit: remembers so many addresses, and forgets who failed least") {
  KeyedLimit limit({.tokens_max = 10, .tokens_per_second = 0, .keys_max = 10});
  for (int i = 0; i < 10; ++i) limit.take(Instant{}, "the persistent one");
  for (int i = 0; i < 1000; ++i) limit.take(Instant{}, "address " + std::to_string(i));
  CHECK(limit.keys() <= 10);
  CHECK_FALSE(limit.allows(Instant{}, "the persistent one"));
}

TEST_CASE("guess limit: who comes when all others have failed more is slowed down as well") {
  KeyedLimit limit({.tokens_max = 10, .tokens_per_second = 0, .keys_max = 10});
  for (int i = 0; i < 10; ++i) limit.take(Instant{}, "address " + std::to_string(i), 5);
  for (int i = 0; i < 10; ++i) {
    CHECK(limit.allows(Instant{}, "the newcomer"));
    limit.take(Instant{}, "the newcomer");
  }
  CHECK_FALSE(limit.allows(Instant{}, "the newcomer"));
  CHECK(limit.keys() == 10);
}

namespace {

std::vector<NodeId> ids(std::size_t count) {
  std::vector<NodeId> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(NodeId::parse("node-" + std::to_string(i)).value());
  return all;
}

/// Who keeps a link to whom.
std::vector<std::vector<std::size_t>> graph(const std::vector<NodeId>& all, const LinkPlan& plan) {
  std::vector<std::vector<std::size_t>> links(all.size());
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < all.size(); ++j)
      if (i != j && plan.keeps(all[i], all[j])) links[i].push_back(j);
  return links;
}

/// How many steps from the first member to the last that can be reached, and how many can.
std::pair<std::size_t, std::size_t> reach(const std::vector<std::vector<std::size_t>>& links) {
  std::vector<std::size_t> distance(links.size(), links.size());
  distance[0] = 0;
  std::queue<std::size_t> next({0});
  std::size_t reached = 0;
  std::size_t far = 0;
  for (; !next.empty(); next.pop()) {
    ++reached;
    far = distance[next.front()];
    for (const auto i : links[next.front()])
      if (distance[i] == links.size()) distance[i] = far + 1, next.push(i);
  }
  return {far, reached};
}

}  // namespace

TEST_CASE("link plan: all links are kept up to the limit, and fewer above it") {
  const auto all = ids(66);
  CHECK(LinkPlan(64, 64).keeps_all());
  CHECK(LinkPlan(64, 64).keeps(all[0], all[1]));
  CHECK_FALSE(LinkPlan(65, 64).keeps_all());
  CHECK(LinkPlan().keeps_all());
  CHECK(LinkPlan(0, 0).keeps_all());
  CHECK(LinkPlan(5, 0).keeps_all());  // as few as 2 ceil(log2 5)
  CHECK(standing_links(1) == 0);
  CHECK(standing_links(2) == 2);
  CHECK(standing_links(1000) == 20);
  CHECK(standing_links(1024) == 20);
  CHECK(standing_links(1025) == 22);
}

TEST_CASE("link plan: both ends keep the same links, some 2 log2 N each, and the ring holds together") {
  for (const std::size_t members : {20u, 65u, 100u, 300u, 1000u}) {
    CAPTURE(members);
    const auto all = ids(members);
    const LinkPlan plan(members, 16);
    const auto links = graph(all, plan);
    std::size_t sum = 0;
    std::size_t most = 0;
    for (std::size_t i = 0; i < members; ++i) {
      sum += links[i].size();
      most = std::max(most, links[i].size());
      for (const auto j : links[i]) REQUIRE(plan.keeps(all[j], all[i]));
    }
    const auto mean = static_cast<double>(sum) / static_cast<double>(members);
    const auto aim = static_cast<double>(standing_links(members));
    CHECK(mean > 0.8 * aim);
    CHECK(mean < 1.3 * aim);  // the size is taken for up to 1/8 less
    CHECK(most < 3 * standing_links(members));
    const auto [far, reached] = reach(links);
    CHECK(reached == members);
    CHECK(far <= 6);
  }
}

TEST_CASE("link plan: a newcomer leaves the links of the others as they are") {
  CHECK(LinkPlan(1000, 64) == LinkPlan(1001, 64));
  std::size_t plans = 1;
  for (std::size_t members = 512; members < 1023; ++members)
    plans += LinkPlan(members, 64) == LinkPlan(members + 1, 64) ? 0u : 1u;
  CHECK(plans <= 9);
}
