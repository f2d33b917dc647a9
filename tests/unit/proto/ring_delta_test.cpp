// What a state sends to a replica that lacks some of it.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <set>

#include "cluster/base/rng.hpp"
#include "ring_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::testing;

namespace {

NodeId some_node(Rng& rng) { return NodeId("n" + std::to_string(rng.below(12))); }

/// Members, and editors of other members, that come, go, restart and are forgotten.
class Edited {
 public:
  explicit Edited(std::uint64_t seed) : rng_(seed) {
    for (int step = 0; step < 80; ++step) {
      wall_ += rng_.chance(0.05) ? std::chrono::hours(20) : std::chrono::hours(0);
      auto& replica = replicas_[static_cast<std::size_t>(rng_.below(replicas_.size()))];
      auto& other = replicas_[static_cast<std::size_t>(rng_.below(replicas_.size()))];
      const auto id = some_node(rng_);
      const auto weight = static_cast<std::uint32_t>(1 + rng_.below(9));
      switch (rng_.below(6)) {
        case 0:
          (void)replica.insert(id, kPlace, weight, wall_);
          break;
        case 1:
          (void)replica.update(id, {}, weight, wall_);
          break;
        case 2:
          replica.remove(id, wall_);
          break;
        case 3:
          for (const auto& each : replicas_) replica.hear_equal(each.self());
          replica.collect(wall_);
          break;
        case 4:
          replica = RingState(replica.image(),
                              {.id = replica.self(), .boot = {2, rng_.next()}, .endpoint = kPlace}, wall_);
          break;
        default:
          pull(replica, other, wall_);
      }
    }
  }
  [[nodiscard]] const std::vector<RingState>& replicas() const { return replicas_; }

 private:
  Rng rng_;
  WallTime wall_ = kStart;
  std::vector<RingState> replicas_{state_of("n1"), state_of("n5"), state_of("x")};
};

/// Whose registers by editors in the interval have counts over those in `clock`.
std::set<NodeId> lacking_in(const std::vector<ClockEntry>& clock, const EditorInterval& interval,
                            const RingState& state) {
  std::set<NodeId> ids;
  for (const auto& member : state.image().members) {
    const auto look = [&](const auto& edit) {
      const auto known = std::ranges::find(clock, edit.editor, &ClockEntry::editor);
      if (interval.contains(edit.editor) && (known == clock.end() || edit.count > known->count))
        ids.insert(member.id);
    };
    look(member.presence);
    look(member.weight);
    look(member.endpoint);
  }
  return ids;
}

}  // namespace

TEST_CASE(
    "ring delta: it holds the members with an edit in the interval that the other lacks, and no others") {
  std::size_t some = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    const Edited edited(seed);
    Rng rng(seed);
    for (const auto& state : edited.replicas())
      for (const auto& other : edited.replicas()) {
        const auto clock = rng.chance(0.3) ? std::vector<ClockEntry>() : other.clock_entries();
        const auto after = some_node(rng), through = some_node(rng);
        const EditorInterval interval{rng.chance(0.7) ? std::string_view(after.str()) : "",
                                      rng.chance(0.7) ? std::string_view(through.str()) : ""};
        std::set<NodeId> sent;
        for (const auto& delta : state.deltas_since(clock, interval))
          for (const auto& member : delta.members) {
            REQUIRE(member == *state.find(member.id));
            sent.insert(member.id);
          }
        REQUIRE(sent == lacking_in(clock, interval, state));
        some += sent.size();
      }
  }
  CHECK(some > 1000);
}

TEST_CASE("ring delta: the own edits since a count are those with greater ones, and no others") {
  std::size_t some = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    const Edited edited(seed);
    for (const auto& state : edited.replicas())
      for (const auto& since : state.image().members) {
        const auto count = since.weight.count;
        const auto is_later = [&](const auto& edit) {
          return edit.editor == state.self() && edit.count > count;
        };
        std::set<NodeId> expected, sent;
        for (const auto& member : state.image().members)
          if (is_later(member.presence) || is_later(member.weight) || is_later(member.endpoint))
            expected.insert(member.id);
        for (const auto& delta : state.own_edits_since(count))
          for (const auto& member : delta.members) sent.insert(member.id);
        REQUIRE(sent == expected);
        some += sent.size();
      }
  }
  CHECK(some > 1000);
}

TEST_CASE("ring delta: the hash of a clock is that of its entries, whatever was asked before") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    const Edited edited(seed);
    for (auto state : edited.replicas())
      for (const auto& other : edited.replicas()) {
        const auto before = state.clock_hash();
        const auto entries = state.clock_entries();
        pull(state, other, kStart + std::chrono::hours(2000));
        REQUIRE((state.clock_entries() == entries) == (state.clock_hash() == before));
      }
  }
}
