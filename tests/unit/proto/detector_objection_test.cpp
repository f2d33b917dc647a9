// Who is held for dead and is not: how it learns of that, and what it says.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <deque>

#include "cluster/proto/detector.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

constexpr Duration kDelay = 1ms;
constexpr Boot kFirstBoot{5, 1};
constexpr WallTime kNoon{std::chrono::hours(1)};
const std::array<NodeId, 3> kRing{"a", "b", "c"};

/// Nodes `a` and `b`, which hear each other after 1 ms. What else they send is lost.
class Pair {
 public:
  explicit Pair(std::array<Boot, 2> boots = {kFirstBoot, kFirstBoot})
      : detectors_{make("a", boots[0]), make("b", boots[1])} {
    for (std::size_t i = 0; i < 2; ++i) {
      take(i, detectors_[i].on_members(now_, kRing));
      take(i, detectors_[i].on_peer_up(now_, kRing[1 - i], boots[1 - i]));
    }
  }

  std::array<WallTime, 2> wall{kNoon, kNoon};
  /// Takes these claims out of what the two say.
  bool (*is_lost)(const NodeId& from, const SwimClaim& claim) = nullptr;

  /// `i` hears from `c` what is so.
  void tell(std::size_t i, SwimClaim claim) {
    take(i, detectors_[i].on_message({now_, wall[i]}, "c", SwimGossip{{std::move(claim)}}));
  }
  void run_for(Duration span) {
    for (const auto end = now_ + span; now_ < end; now_ += kDelay) {
      for (; !under_way_.empty() && under_way_.front().arrives <= now_; under_way_.pop_front()) {
        const auto carried = under_way_.front();
        take(carried.to, detectors_[carried.to].on_message({now_, wall[carried.to]}, kRing[1 - carried.to],
                                                           carried.message));
      }
      for (std::size_t i = 0; i < 2; ++i)
        if (detectors_[i].next_deadline() <= now_) take(i, detectors_[i].on_time(now_));
    }
  }
  [[nodiscard]] MemberState state_at(std::size_t i) const { return detectors_[i].state_of(kRing[1 - i]); }
  [[nodiscard]] std::size_t carried() const { return carried_; }
  [[nodiscard]] const Detector& at(std::size_t i) const { return detectors_[i]; }

 private:
  struct Carried {
    Instant arrives;
    std::size_t to;
    DetectorMessage message;
  };
  static Detector make(const NodeId& self, Boot boot) {
    DetectorConfig config;
    config.self = self;
    config.boot = boot;
    Detector detector(config, Rng(1));
    static_cast<void>(detector.on_start({}));
    return detector;
  }
  void take(std::size_t from, DetectorActions actions) {
    for (auto& action : actions) {
      auto* send = std::get_if<DetectorSend>(&action);
      if (send == nullptr || send->to != kRing[1 - from]) continue;
      if (is_lost != nullptr)
        std::visit(
            [&](auto& m) {
              std::erase_if(m.claims, [&](const auto& claim) { return is_lost(kRing[from], claim); });
            },
            send->message);
      ++carried_;
      under_way_.push_back({now_ + kDelay, 1 - from, std::move(send->message)});
    }
  }

  Instant now_{};
  std::array<Detector, 2> detectors_;
  std::deque<Carried> under_way_{};
  std::size_t carried_ = 0;
};

SwimClaim claim(const NodeId& id, MemberState state, Boot boot, std::uint64_t incarnation = 0) {
  return {id, boot, incarnation, state, "c"};
}

}  // namespace

TEST_CASE("detector: two nodes that hold each other unreachable object at once, and that is the end of it") {
  Pair pair;
  pair.tell(0, claim("b", MemberState::unreachable, kFirstBoot, 7));
  pair.tell(1, claim("a", MemberState::unreachable, kFirstBoot, 7));
  CHECK(pair.state_at(0) == MemberState::unreachable);
  pair.run_for(5s);
  CHECK(pair.state_at(0) == MemberState::alive);
  CHECK(pair.state_at(1) == MemberState::alive);
}

TEST_CASE("detector: two nodes that hold each other unreachable do not talk without end, whatever is lost") {
  Pair pair;
  pair.is_lost = [](const NodeId& from, const SwimClaim& claim) {
    return claim.id == from && claim.state == MemberState::alive;  // all objections
  };
  pair.tell(0, claim("b", MemberState::unreachable, kFirstBoot, 7));
  pair.tell(1, claim("a", MemberState::unreachable, kFirstBoot, 7));
  pair.run_for(1s);
  const auto before = pair.carried();
  pair.run_for(10s);
  // Each tells the other once a gossip interval, and is reminded: no more.
  CHECK(pair.carried() - before <= 2 * (10s / DetectorConfig{}.gossip_interval) + 20);
}

TEST_CASE("detector: who lost its disk and its time overrules what is held of its earlier process") {
  for (const auto state : {MemberState::suspect, MemberState::unreachable, MemberState::stopped}) {
    CAPTURE(static_cast<int>(state));
    const Boot earlier{9'000, 3}, now{4'000, 8};  // the clock was set back
    Pair pair({kFirstBoot, now});
    pair.tell(0, claim("b", state, earlier));
    CHECK(pair.state_at(0) == state);
    pair.run_for(5s);
    CHECK(pair.state_at(0) == MemberState::alive);
    CHECK(pair.at(1).boot().number == earlier.number + 1);
    pair.tell(0, claim("b", MemberState::unreachable, earlier, 100));  // old news
    CHECK(pair.state_at(0) == MemberState::alive);
  }
}

TEST_CASE("detector: a newer process of its id that lives is not overruled") {
  Pair pair;
  pair.tell(1, claim("b", MemberState::alive, {9'000, 3}));
  pair.run_for(5s);
  CHECK(pair.at(1).boot() == kFirstBoot);
  CHECK(pair.at(1).counters().foreign_boots == 1);
}

TEST_CASE("detector: a claim with a boot of the far future is refused, and changes nothing anywhere") {
  for (const auto number : {millis(kNoon + kAheadMax) + 1, kBootMax, kCountMax - 1, kCountMax}) {
    CAPTURE(number);
    Pair pair;
    for (std::size_t i = 0; i < 2; ++i) pair.tell(i, claim("b", MemberState::unreachable, {number, 3}));
    CHECK(pair.state_at(0) == MemberState::alive);
    CHECK(pair.at(0).counters().refused == 1);
    CHECK(pair.at(1).counters().refused == (number < kCountMax ? 1 : 0));  // no answer could be greater
    CHECK(pair.at(1).boot() == kFirstBoot);                                // others would not believe it
    pair.run_for(5s);
    CHECK(pair.state_at(0) == MemberState::alive);
  }
}

TEST_CASE("detector: whatever can be claimed of a member that lives, it objects, again and again") {
  for (const auto number : {kFirstBoot.number, std::uint64_t{9'000}, millis(kNoon + kAheadMax)})
    for (const auto incarnation : {std::uint64_t{0}, kCountMax - 1, kCountMax})
      for (const auto state : {MemberState::suspect, MemberState::unreachable, MemberState::stopped}) {
        CAPTURE(number);
        CAPTURE(incarnation);
        CAPTURE(static_cast<int>(state));
        Pair pair;
        pair.tell(0, claim("b", state, {number, kFirstBoot.nonce}, incarnation));
        CHECK(pair.state_at(0) == state);
        for (int again = 0; again < 3; ++again) {
          pair.run_for(5s);
          CHECK(pair.state_at(0) == MemberState::alive);
          pair.tell(0, claim("b", state, pair.at(1).boot(), incarnation));
        }
        pair.run_for(5s);
        CHECK(pair.state_at(0) == MemberState::alive);
      }
}

TEST_CASE(
    "detector: a lie that was believed while a clock was wrong does not last, though the boot is of the "
    "future") {
  Pair pair;
  pair.wall[0] = kNoon + std::chrono::hours(9'000);
  pair.tell(0, claim("b", MemberState::unreachable, {millis(pair.wall[0]), 3}));
  CHECK(pair.state_at(0) == MemberState::unreachable);
  pair.wall[0] = kNoon;
  pair.run_for(5s);
  CHECK(pair.state_at(0) == MemberState::alive);
  CHECK(pair.at(1).boot() == kFirstBoot);
}

TEST_CASE("detector: no process has a boot that leaves no room to overrule it") {
  Pair pair({kFirstBoot, {kBootMax + 1, 1}});
  CHECK(pair.state_at(0) == MemberState::unknown);
  CHECK(pair.at(0).counters().refused == 1);
  Pair last({kFirstBoot, {kBootMax, 1}});
  CHECK(last.state_at(0) == MemberState::alive);
}
