// Rings and wrong clocks: what is of the future.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "ring_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::testing;

TEST_CASE("ring state: of a delta, what is of the future is left out, and its edits do not count as known") {
  auto a = state_of("a"), b = state_of("b"), c = state_of("c");
  REQUIRE(a.insert("m", kPlace, 5, kStart));
  pull(b, a, kStart);
  REQUIRE(b.update("a", {}, 7, kStart));
  REQUIRE(b.update("m", {}, 9, kStart + kAheadMax + 2s));  // its clock is wrong
  CHECK(c.is_of_future(*b.find("m"), kStart));
  CHECK_FALSE(c.is_of_future(*b.find("a"), kStart));
  const auto weight = [](const RingState& state, const NodeId& id) { return state.find(id)->weight.value; };

  const auto report = merge_all(c, b, kStart);
  REQUIRE(report.of_future.size() >= 1);
  CHECK(std::ranges::find(report.of_future, NodeId("m")) != report.of_future.end());
  CHECK(weight(c, "a") == 7);
  CHECK_FALSE(c.present("m"));
  CHECK(c.known_count("b") == 0);
  pull(c, a, kStart);  // from whom holds no such thing
  CHECK(weight(c, "m") == 5);
  REQUIRE(c.update("m", {}, 6, kStart + 1s));
  pull(a, c, kStart + 1s);
  CHECK(weight(a, "m") == 6);

  for (auto* state : {&a, &c}) pull(*state, b, kStart + 1s);  // as often as one likes
  CHECK(weight(a, "m") == 6);
  CHECK(a.hash({}) == c.hash({}));
  for (auto* state : {&a, &c}) pull(*state, b, kStart + 2s);  // clocks have come so far
  CHECK(weight(a, "m") == 9);
  pull(b, a, kStart + 2s);
  CHECK(a.hash({}) == c.hash({}));
  CHECK(a.hash({}) == b.hash({}));
}

TEST_CASE("ring state: whatever horizon is asked for, a hash leaves out what was removed up to it") {
  Rng rng(3);
  auto a = state_of("a");
  auto wall = kStart;
  for (int edit = 0; edit < 400; ++edit) {
    wall += std::chrono::minutes(rng.between(0, 10));
    const NodeId id("m" + std::to_string(rng.below(40)));
    if (rng.chance(0.4))
      a.remove(id, wall);
    else if (!a.update(id, {}, static_cast<std::uint32_t>(1 + rng.below(9)), wall))
      REQUIRE(a.insert(id, kPlace, 3, wall));
    const auto horizon = kStart + std::chrono::minutes(rng.between(-1, 2'000));
    auto left = a.image();
    std::erase_if(left.members, [&](const RingMember& member) {
      return member.presence.removed && member.presence.changed_at <= horizon;
    });
    const RingState without(left, {.id = "a", .boot = {1, 1}, .endpoint = kPlace}, wall);
    CHECK(a.hash(horizon) == without.hash(WallTime::min()));
  }
}

TEST_CASE("ring state: counts of the far future do not stop a node's own edits from being told") {
  auto a = state_of("a"), b = state_of("b");
  pull(a, b, kStart);
  auto lie = b.statement("b");
  lie.members[0].weight.editor = "a";
  lie.members[0].weight.count = kCountMax;
  a.merge(lie, kStart);
  a.merge({.ranges = {{"a", a.known_count("a"), kCountMax}}}, kStart);
  a.hear_clock("b", std::array{ClockEntry{"a", kCountMax}}, {}, kStart);
  REQUIRE(a.update("b", {}, 9, kStart));
  pull(b, a, kStart);
  CHECK(b.find("b")->weight.value == 9);
  CHECK(a.issued() < millis(kStart + kAheadMax));
}

TEST_CASE(
    "ring state: whose clock went back says that others may not take its edits, and takes those of its "
    "like") {
  const auto then = kStart + std::chrono::hours(9'000);
  auto a = state_of("a", then), b = state_of("b", then), c = state_of("c");
  REQUIRE(a.insert("m", kPlace, 5, then));
  CHECK(a.check_clock(then));
  CHECK(a.check_clock(then - kAheadMax + 1s));
  const auto wrong = a.check_clock(kStart);
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message().find("540000 min ahead of its clock") != std::string::npos);
  pull(b, a, kStart);  // whose clock was as wrong as that of `a`
  CHECK(b.present("m"));
  pull(c, a, kStart);
  CHECK_FALSE(c.present("m"));
  RingState again(b.image(), {.id = "b", .boot = {1, 2}, .endpoint = kPlace}, kStart);  // the next process
  REQUIRE(a.update("m", {}, 6, kStart));
  pull(again, a, kStart);
  CHECK(again.find("m")->weight.value == 6);
}

TEST_CASE("ring state: an edit that could not hold against what is held is an error, and changes nothing") {
  auto a = state_of("a");
  REQUIRE(a.insert("m", kPlace, 5, kStart));
  REQUIRE(a.insert("n", kPlace, 5, kStart));
  a.remove("n", kStart);
  auto image = a.image();  // as it may be on a disk
  image.latest = kTimeMax;
  for (auto& member : image.members) {
    if (member.id == NodeId("m")) {
      member.weight.changed_at = member.endpoint.changed_at = kTimeMax;
      member.weight.editor = member.endpoint.editor = "z";
    }
    if (member.id == NodeId("n")) member.presence.born = kTimeMax;
  }
  RingState held(image, {.id = "a", .boot = {1, 1}, .endpoint = kPlace}, kStart);
  const auto hash = held.hash({});
  const Endpoint elsewhere{"elsewhere", 1};
  CHECK(held.update("m", {}, 6, kStart).error().code() == Errc::refused);
  CHECK(held.update("m", elsewhere, {}, kStart).error().code() == Errc::refused);
  CHECK(held.insert("n", kPlace, 6, kStart).error().code() == Errc::refused);
  CHECK(held.hash({}) == hash);
  CHECK_FALSE(held.check_clock(kStart));
}
