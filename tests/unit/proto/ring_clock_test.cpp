// Rings and wrong clocks: what is of the future.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "cluster/proto/ring_state.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

constexpr WallTime kToday{std::chrono::days(20'000)};
const Endpoint kThere{"localhost", 7022};

RingState begun(const char* id, WallTime wall = kToday) {
  return RingState({.id = id, .boot = {1, 1}, .endpoint = kThere}, wall);
}

MergeReport hear_all(RingState& to, const RingState& from, WallTime wall) {
  MergeReport last;
  for (const auto& delta : from.deltas_since({})) last = to.merge(delta, wall);
  return last;
}

void exchange(RingState& to, const RingState& from, WallTime wall) {
  to.hear_clock(from.self(), from.clock_entries(), {}, wall);
  for (const auto& delta : from.deltas_since(to.clock_entries())) to.merge(delta, wall);
}

}  // namespace

TEST_CASE("ring state: of a delta, what is of the future is left out, and its edits do not count as known") {
  auto a = begun("a"), b = begun("b"), c = begun("c");
  REQUIRE(a.insert("m", kThere, 5, kToday));
  exchange(b, a, kToday);
  REQUIRE(b.update("a", {}, 7, kToday));
  REQUIRE(b.update("m", {}, 9, kToday + kAheadMax + 2s));  // its clock is wrong
  CHECK(c.is_of_future(*b.find("m"), kToday));
  CHECK_FALSE(c.is_of_future(*b.find("a"), kToday));
  const auto weight = [](const RingState& state, const NodeId& id) { return state.find(id)->weight.value; };

  const auto report = hear_all(c, b, kToday);
  REQUIRE(report.of_future.size() >= 1);
  CHECK(std::ranges::find(report.of_future, NodeId("m")) != report.of_future.end());
  CHECK(weight(c, "a") == 7);
  CHECK_FALSE(c.present("m"));
  CHECK(c.known_count("b") == 0);
  exchange(c, a, kToday);  // from whom holds no such thing
  CHECK(weight(c, "m") == 5);
  REQUIRE(c.update("m", {}, 6, kToday + 1s));
  exchange(a, c, kToday + 1s);
  CHECK(weight(a, "m") == 6);

  for (auto* state : {&a, &c}) exchange(*state, b, kToday + 1s);  // as often as one likes
  CHECK(weight(a, "m") == 6);
  CHECK(a.hash({}) == c.hash({}));
  for (auto* state : {&a, &c}) exchange(*state, b, kToday + 2s);  // clocks have come so far
  CHECK(weight(a, "m") == 9);
  exchange(b, a, kToday + 2s);
  CHECK(a.hash({}) == c.hash({}));
  CHECK(a.hash({}) == b.hash({}));
}

TEST_CASE("ring state: counts of the far future do not stop a node's own edits from being told") {
  auto a = begun("a"), b = begun("b");
  exchange(a, b, kToday);
  auto lie = b.statement("b");
  lie.members[0].weight.editor = "a";
  lie.members[0].weight.count = kCountMax;
  a.merge(lie, kToday);
  a.merge({.ranges = {{"a", a.known_count("a"), kCountMax}}}, kToday);
  a.hear_clock("b", std::array{ClockEntry{"a", kCountMax}}, {}, kToday);
  REQUIRE(a.update("b", {}, 9, kToday));
  exchange(b, a, kToday);
  CHECK(b.find("b")->weight.value == 9);
  CHECK(a.issued() < millis(kToday + kAheadMax));
}

TEST_CASE(
    "ring state: whose clock went back says that others may not take its edits, and takes those of its "
    "like") {
  const auto then = kToday + std::chrono::hours(9'000);
  auto a = begun("a", then), b = begun("b", then), c = begun("c");
  REQUIRE(a.insert("m", kThere, 5, then));
  CHECK(a.check_clock(then));
  CHECK(a.check_clock(then - kAheadMax + 1s));
  const auto wrong = a.check_clock(kToday);
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message().find("540000 min ahead of its clock") != std::string::npos);
  exchange(b, a, kToday);  // whose clock was as wrong as that of `a`
  CHECK(b.present("m"));
  exchange(c, a, kToday);
  CHECK_FALSE(c.present("m"));
  RingState again(b.image(), {.id = "b", .boot = {1, 2}, .endpoint = kThere}, kToday);  // the next process
  REQUIRE(a.update("m", {}, 6, kToday));
  exchange(again, a, kToday);
  CHECK(again.find("m")->weight.value == 6);
}

TEST_CASE("ring state: an edit that could not hold against what is held is an error, and changes nothing") {
  auto a = begun("a");
  REQUIRE(a.insert("m", kThere, 5, kToday));
  REQUIRE(a.insert("n", kThere, 5, kToday));
  a.remove("n", kToday);
  auto image = a.image();  // as it may be on a disk
  image.latest = kTimeMax;
  for (auto& member : image.members) {
    if (member.id == NodeId("m")) {
      member.weight.changed_at = member.endpoint.changed_at = kTimeMax;
      member.weight.editor = member.endpoint.editor = "z";
    }
    if (member.id == NodeId("n")) member.presence.born = kTimeMax;
  }
  RingState held(image, {.id = "a", .boot = {1, 1}, .endpoint = kThere}, kToday);
  const auto hash = held.hash({});
  const Endpoint elsewhere{"elsewhere", 1};
  CHECK(held.update("m", {}, 6, kToday).error().code() == Errc::refused);
  CHECK(held.update("m", elsewhere, {}, kToday).error().code() == Errc::refused);
  CHECK(held.insert("n", kThere, 6, kToday).error().code() == Errc::refused);
  CHECK(held.hash({}) == hash);
  CHECK_FALSE(held.check_clock(kToday));
}
