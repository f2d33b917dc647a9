// Long clocks are compared by outlines.
#include "cluster/proto/ring_outline.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>

#include "cluster/proto/gossip.hpp"
#include "cluster/wire/codec.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

constexpr Moment kOutset{Instant{} + 1s, WallTime{} + 1'000'000s};

NodeId editor(std::uint64_t number) { return NodeId("editor" + std::to_string(number)); }

RingState::Clock draw_clock(Rng& rng, std::size_t entries) {
  RingState::Clock clock;
  for (std::size_t i = 0; i < entries; ++i) clock.put({editor(rng.below(10 * entries)), rng.below(1000)});
  return clock;
}

/// How many of the intervals hold the editor.
std::size_t holders(const std::vector<EditorInterval>& intervals, const NodeId& id) {
  return static_cast<std::size_t>(
      std::ranges::count_if(intervals, [&](const auto& interval) { return interval.contains(id); }));
}

}  // namespace

TEST_CASE("outline: it finds all entries in which two clocks differ, and little else") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto mine = draw_clock(rng, rng.below(400));
    auto theirs = mine;
    std::vector<NodeId> changed;
    for (auto count = rng.below(4); count > 0; --count) {
      changed.push_back(editor(rng.below(4000)));
      theirs.put({changed.back(), 5'000 + rng.below(100)});
    }
    const auto parts = outline_of(theirs);
    const auto found = compare(mine, parts);
    for (const auto& id : changed) {
      CHECK(holders(found.different, id) == 1);
      CHECK(holders(found.equal, id) == 0);
    }
    for (const auto& entry : mine)
      CHECK(holders(found.different, entry.editor) + holders(found.equal, entry.editor) == 1);
    std::size_t sent = 0;
    for (const auto& entry : mine) sent += holders(found.different, entry.editor);
    const auto each = static_cast<std::size_t>(std::sqrt(static_cast<double>(theirs.size()))) + 2;
    CHECK(sent <= changed.size() * each);
    CHECK(parts.size() <= each + 1);
    CHECK((changed.empty() ? found.different.empty() : !found.different.empty()));
  }
}

TEST_CASE(
    "outline: two nodes of a ring of a thousand find the one edit that differs, either way, in few bytes") {
  std::optional<RingState> ring;
  for (int i = 0; i < 1000; ++i) {
    const NodeId id("n" + std::to_string(i));
    RingState alone({.id = id, .boot = {1, 1}, .endpoint = {"h", 1}}, kOutset.wall);
    alone.hear_clock(id, {}, {}, kOutset.wall);  // nobody knows of an earlier process
    if (!ring)
      ring = std::move(alone);
    else
      for (const auto& delta : alone.deltas_since({})) ring->merge(delta, kOutset.wall);
  }
  for (const bool mine : {true, false}) {
    CAPTURE(mine);
    std::vector<Gossip> nodes;
    for (const auto* id : {"n3", "n4"}) {
      const Self self{.id = id, .boot = {1, 1}, .endpoint = {"h", 1}};
      nodes.emplace_back(GossipConfig{.self = self, .ring = "ring", .fanout = 0}, Rng(1), kOutset,
                         Gossip::Formed{RingState::of_member(*ring, self)});
    }
    const std::size_t edited = mine ? 0 : 1;
    (void)nodes[edited].on_command(kOutset, 1, UpdateCommand{.id = "n7", .weight = 77});
    REQUIRE(nodes[0].state().hash({}) != nodes[1].state().hash({}));
    std::deque<std::pair<std::size_t, GossipMessage>> under_way;
    std::size_t bytes = 0;
    const auto take = [&](std::size_t from, Actions actions) {
      for (auto& action : actions)
        if (auto* send = std::get_if<Send>(&action)) {
          bytes += wire::encode(send->message).size();
          under_way.emplace_back(1 - from, std::move(send->message));
        }
    };
    take(0, nodes[0].on_peer_up(kOutset, "n4"));  // greets with a digest
    while (!under_way.empty()) {
      const auto [to, message] = std::move(under_way.front());
      under_way.pop_front();
      take(to, nodes[to].on_message(kOutset, to == 0 ? "n4" : "n3", message));
    }
    CHECK(nodes[0].state().hash({}) == nodes[1].state().hash({}));
    CHECK(nodes[1 - edited].state().find("n7")->weight.value == 77);
    CAPTURE(bytes);
    CHECK(bytes <= 6'000);  // of clocks of 20,000 bytes each
  }
}

TEST_CASE("outline: parts out of order, without an end or with two are refused") {
  const std::vector<std::vector<ClockOutlinePart>> bad{{},
                                                       {{"a", 1}},
                                                       {{"b", 1}, {"a", 1}, {"", 1}},
                                                       {{"a", 1}, {"a", 1}, {"", 1}},
                                                       {{"", 1}, {"", 1}},
                                                       {{std::string(256, 'x'), 1}, {"", 1}},
                                                       std::vector<ClockOutlinePart>(1'025)};
  for (std::size_t i = 0; i < bad.size(); ++i) {
    CAPTURE(i);
    CHECK_FALSE(check(GossipMessage(RingClockOutline{.ring = "ring", .parts = bad[i]})));
  }
  CHECK(check(GossipMessage(RingClockOutline{.ring = "ring", .parts = {{"a", 1}, {"", 1}}})));
}
