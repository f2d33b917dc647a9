#include "cluster/ds/vector_clock.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <string>

#include "cluster/base/rng.hpp"

using namespace cluster;

namespace {

WallTime at(std::int64_t us) { return wall_from_micros(us); }

/// The slow and obvious clock: a map, and each rule in the words of its definition.
struct Oracle {
  struct Entry {
    std::uint64_t count;
    std::int64_t insert, time;
    bool operator==(const Entry&) const = default;
  };
  std::map<std::string, Entry> entries;

  void increment(const std::string& id, std::int64_t now) {
    if (!entries.contains(id)) entries[id] = {0, now, now};
    entries[id].count += 1;
    entries[id].time = now;
  }
  void merge(const Oracle& other) {
    for (const auto& [id, theirs] : other.entries) {
      if (!entries.contains(id)) {
        entries[id] = theirs;
        continue;
      }
      auto& own = entries[id];
      if (theirs.count > own.count || (theirs.count == own.count && theirs.time > own.time)) own = theirs;
    }
  }
  bool descends(const Oracle& other) const {
    return std::ranges::all_of(other.entries, [this](const auto& pair) {
      return entries.contains(pair.first) && entries.at(pair.first).count >= pair.second.count;
    });
  }
  void trim(std::int64_t threshold, std::size_t lower, std::int64_t young, std::size_t upper,
            std::int64_t old) {
    const auto oldest = [this] {
      return std::ranges::min_element(entries, {},
                                      [](const auto& p) { return std::pair(p.second.time, p.first); });
    };
    if (entries.size() <= lower || entries.empty() || threshold - oldest()->second.time <= young) return;
    while (!entries.empty() && (entries.size() > upper || threshold - oldest()->second.time > old))
      entries.erase(oldest());
  }
};

Oracle oracle_of(const VectorClock& clock) {
  Oracle oracle;
  for (const auto& [id, count, insert, time] : clock.entries())
    oracle.entries[id.str()] = {count, micros(insert), micros(time)};
  return oracle;
}

std::string id_text(std::uint64_t i) {
  return (i % 2 == 0 ? "n" : "a-longer-name-than-fits-") + std::to_string(i);
}

/// `bind_insert`: equal (count, time) then mean an equal entry, as they do for clocks of one history.
VectorClock random_clock(Rng& rng, std::uint64_t ids, bool bind_insert = false) {
  VectorClock clock;
  const auto size = rng.below(ids + 1);
  for (std::uint64_t i = 0; i < size; ++i) {
    const NodeId id(id_text(rng.below(ids)));
    const auto time = static_cast<std::int64_t>(rng.below(4));
    clock.insert(id, at(bind_insert ? 0 : static_cast<std::int64_t>(rng.below(2))));
    clock.update(id, rng.below(3), at(9), at(time));
  }
  return clock;
}

VectorClock merged(VectorClock a, const VectorClock& b) {
  a.merge(b);
  return a;
}

}  // namespace

TEST_CASE("vector clock: an insert is made once, an increment counts from 1, an update may lower the count") {
  VectorClock clock("a", 5, at(10));
  CHECK(clock.entries()[0] == VectorClock::Entry{"a", 5, at(10), at(10)});
  clock.insert("a", at(20));
  CHECK(*clock.find("a") == VectorClock::Entry{"a", 5, at(10), at(10)});
  clock.insert("b", at(20));
  CHECK(*clock.find("b") == VectorClock::Entry{"b", 0, at(20), at(20)});
  clock.increment("b", at(30));
  CHECK(*clock.find("b") == VectorClock::Entry{"b", 1, at(20), at(30)});
  clock.increment("c", at(40));
  CHECK(*clock.find("c") == VectorClock::Entry{"c", 1, at(40), at(40)});
  clock.update("a", 2, at(50));
  CHECK(*clock.find("a") == VectorClock::Entry{"a", 2, at(10), at(50)});
  clock.update("a", 3, at(60), at(1));
  CHECK(*clock.find("a") == VectorClock::Entry{"a", 3, at(10), at(1)});
  clock.update("d", 7, at(70), at(2));
  CHECK(*clock.find("d") == VectorClock::Entry{"d", 7, at(70), at(2)});
  CHECK(clock.count("nobody") == 0);
  CHECK(clock.find("nobody") == nullptr);
  CHECK(clock.remove("a"));
  CHECK_FALSE(clock.remove("a"));
  CHECK(clock.size() == 3);
}

TEST_CASE("vector clock: the greatest count stays where it is") {
  VectorClock clock("a", std::numeric_limits<std::uint64_t>::max(), at(0));
  clock.increment("a", at(1));
  CHECK(clock.count("a") == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("vector clock: any name is a name like others") {
  VectorClock clock;
  for (const char* name : {"__proto__", "constructor", "0", "7", "\xe6\xbc\xa2", " ", "toString"})
    clock.increment(name, at(1));
  CHECK(clock.size() == 7);
  CHECK(clock.count("__proto__") == 1);
}

TEST_CASE("vector clock: an entry with count 0 must be present to descend") {
  VectorClock with;
  with.insert("a", at(1));
  const VectorClock empty;
  CHECK(with.descends(empty));
  CHECK_FALSE(empty.descends(with));
  CHECK(empty.descends(empty));
  CHECK((empty <=> with) == std::partial_ordering::less);
  CHECK(empty < with);
  CHECK(with >= empty);
}

TEST_CASE("vector clock: order is causal and blind to times; identical is not") {
  VectorClock a("x", 1, at(1));
  VectorClock b("x", 1, at(2));
  CHECK(a == b);
  CHECK((a <=> b) == std::partial_ordering::equivalent);
  CHECK_FALSE(a.identical(b));
  b.increment("y", at(3));
  CHECK(a < b);
  a.increment("x", at(4));
  CHECK((a <=> b) == std::partial_ordering::unordered);
  CHECK_FALSE(a < b);
  CHECK_FALSE(a == b);
  CHECK(merged(a, b) > a);
  CHECK(merged(a, b) > b);
}

TEST_CASE("vector clock: from_entries sorts, and refuses a repeated or an empty id") {
  const auto clock = VectorClock::from_entries({{"b", 2, at(1), at(2)}, {"a", 1, at(3), at(4)}});
  REQUIRE(clock.has_value());
  CHECK(clock->entries()[0].id == "a");
  CHECK(clock->entries()[1].id == "b");
  const auto twice =
      VectorClock::from_entries({{"b", 2, at(1), at(2)}, {"a", 1, at(3), at(4)}, {"b", 2, at(1), at(2)}});
  REQUIRE_FALSE(twice.has_value());
  CHECK(twice.error().message() == "vector clock entry 'b' occurs twice");
  CHECK_FALSE(VectorClock::from_entries({{NodeId(), 2, at(1), at(2)}}).has_value());
  CHECK(VectorClock::from_entries({})->empty());
}

TEST_CASE("vector clock: trim, on both sides of each bound") {
  const TrimBounds bounds{.size_lower = 2, .age_young = 10us, .size_upper = 4, .age_old = 100us};
  const auto left_of = [&](std::initializer_list<std::int64_t> ages) {
    VectorClock clock;
    std::uint64_t i = 0;
    for (const auto age : ages) clock.increment(NodeId(id_text(i++)), at(1'000 - age));
    clock.trim(at(1'000), bounds);
    return clock.size();
  };
  CHECK(left_of({}) == 0);
  CHECK(left_of({500, 500}) == 2);                 // not over size_lower
  CHECK(left_of({500, 500, 500}) == 0);            // over it: all are too old, below size_lower too
  CHECK(left_of({10, 9, 8, 7, 6}) == 5);           // the oldest is young
  CHECK(left_of({11, 9, 8, 7, 6}) == 4);           // and now it is not: down to size_upper
  CHECK(left_of({100, 9, 8, 7}) == 4);             // not over size_upper, not over age_old
  CHECK(left_of({101, 9, 8, 7}) == 3);             // over age_old
  CHECK(left_of({-50, -40, -30, -20, -10}) == 5);  // times after the threshold are young
}

TEST_CASE("vector clock: trim survives times at the ends of the scale") {
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  VectorClock clock;
  clock.increment("a", at(kMin));
  clock.increment("b", at(kMax));
  clock.trim(at(kMax), {.size_lower = 0});
  CHECK(clock.size() == 1);
  CHECK(clock.contains("b"));
  clock.trim(at(kMin), {.size_lower = 0});
  CHECK(clock.size() == 1);
}

TEST_CASE("vector clock: ids of every length are told apart by any one byte") {
  for (std::size_t length = 1; length <= 40; ++length) {
    CAPTURE(length);
    const std::string text(length, 'x');
    const VectorClock clock(NodeId(text), 1, at(1));
    CHECK(clock.contains(NodeId(text)));
    CHECK(clock == VectorClock(NodeId(text), 1, at(2)));
    CHECK_FALSE(clock.contains(NodeId(text + "x")));
    for (std::size_t i = 0; i < length; ++i) {
      std::string other = text;
      other[i] = 'y';
      CHECK_FALSE(clock.contains(NodeId(other)));
      CHECK_FALSE(clock.descends(VectorClock(NodeId(other), 1, at(1))));
      CHECK((clock <=> VectorClock(NodeId(other), 1, at(1))) == std::partial_ordering::unordered);
    }
  }
}

TEST_CASE("vector clock: copies and moves keep what they had, inside the clock and beyond it") {
  // Sizes on both sides of what a clock holds without allocating, assigned over each other.
  const auto clock_of = [](std::size_t size, std::uint64_t count) {
    VectorClock clock;
    for (std::size_t i = 0; i < size; ++i) clock.update(NodeId(id_text(i)), count, at(1));
    return clock;
  };
  for (std::size_t a = 0; a <= 10; ++a)
    for (std::size_t b = 0; b <= 10; ++b) {
      CAPTURE(a);
      CAPTURE(b);
      const VectorClock source = clock_of(a, 7);
      VectorClock copied = clock_of(b, 9);
      copied = source;
      CHECK(copied.identical(source));
      VectorClock moved = clock_of(b, 9);
      moved = std::move(copied);
      CHECK(moved.identical(source));
      CHECK(copied.empty());  // NOLINT: empty after a move, and usable
      copied.increment("again", at(3));
      CHECK(copied.size() == 1);
      VectorClock made(std::move(moved));
      const VectorClock& alias = made;
      made = alias;
      CHECK(made.identical(source));
      made.merge(clock_of(b, 9));
      CHECK(made.size() == std::max(a, b));
    }
}

TEST_CASE("vector clock: a random history gives what the obvious clock gives") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    std::array<VectorClock, 3> clocks;
    std::array<Oracle, 3> oracles;
    const auto ids = 1 + rng.below(12);
    for (int step = 0; step < 80; ++step) {
      const auto which = rng.below(3);
      const auto other = rng.below(3);
      const auto id = id_text(rng.below(ids));
      const auto now = static_cast<std::int64_t>(rng.below(50));
      VectorClock& clock = clocks[which];
      auto& oracle = oracles[which];
      switch (rng.below(7)) {
        case 0:
          clock.insert(NodeId(id), at(now));
          if (!oracle.entries.contains(id)) oracle.entries[id] = {0, now, now};
          break;
        case 1:
          CHECK(clock.remove(NodeId(id)) == (oracle.entries.erase(id) == 1));
          break;
        case 2:
          clock.update(NodeId(id), rng.below(4), at(now));
          if (!oracle.entries.contains(id)) oracle.entries[id] = {0, now, now};
          oracle.entries[id].count = clock.count(NodeId(id));
          oracle.entries[id].time = now;
          break;
        case 3:
          if (!rng.chance(0.2)) break;
          clock.trim(at(now), {.size_lower = 1, .age_young = 5us, .size_upper = 6, .age_old = 40us});
          oracle.trim(now, 1, 5, 6, 40);
          break;
        case 4:
          clock.merge(clocks[other]);
          oracle.merge(Oracle(oracles[other]));
          break;
        default:
          clock.increment(NodeId(id), at(now));
          oracle.increment(id, now);
      }
      REQUIRE(oracle_of(clock).entries == oracle.entries);
      REQUIRE(std::ranges::is_sorted(clock.entries(), {}, &VectorClock::Entry::id));
      REQUIRE(clock.descends(clocks[other]) == oracle.descends(oracles[other]));
      REQUIRE((clock == clocks[other]) ==
              (oracle.descends(oracles[other]) && oracles[other].descends(oracle)));
    }
  }
}

TEST_CASE(
    "vector clock: merge is a least upper bound; commutative and associative on counts, idempotent on all") {
  for (std::uint64_t seed = 0; seed < 2'000; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto ids = 1 + rng.below(6);
    const auto a = random_clock(rng, ids), b = random_clock(rng, ids), c = random_clock(rng, ids);
    const auto ab = merged(a, b);
    CHECK(ab >= a);
    CHECK(ab >= b);
    CHECK(ab == merged(b, a));
    CHECK(merged(ab, c) == merged(a, merged(b, c)));
    CHECK(merged(a, a).identical(a));
    CHECK(merged(ab, b).identical(ab));
    if (c >= a && c >= b) CHECK(c >= ab);
  }
}

TEST_CASE("vector clock: where equal count and time mean an equal entry, merge agrees on the times as well") {
  for (std::uint64_t seed = 0; seed < 2'000; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto a = random_clock(rng, 5, true), b = random_clock(rng, 5, true), c = random_clock(rng, 5, true);
    CHECK(merged(a, b).identical(merged(b, a)));
    CHECK(merged(merged(a, b), c).identical(merged(a, merged(b, c))));
  }
}
