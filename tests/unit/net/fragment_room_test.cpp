#include "fragment_room.hpp"

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <vector>

#include "cluster/base/rng.hpp"

using namespace cluster;
using namespace cluster::net;

namespace {

using Answer = FragmentRoom::Answer;

struct Sender final : RoomHolder {
  explicit Sender(FragmentRoom& of) : room(of) {}
  void on_room() override {
    waits = false;
    ++granted;
  }
  void on_stalled() override {  // as a connection that is closed
    stalled = true;
    room.claim(*this, 0);
  }
  [[nodiscard]] std::uint64_t fragment_bytes() const override { return brought; }

  Answer ask(std::size_t bytes) {
    const auto answer = room.claim(*this, bytes);
    waits = answer == Answer::wait;
    return answer;
  }

  FragmentRoom& room;
  std::uint64_t brought = 0;
  std::size_t granted = 0;
  bool waits = false;
  bool stalled = false;
};

}  // namespace

TEST_CASE("fragment room: who does not fit in waits until others are done, and who wants least is next") {
  FragmentRoom room(100);
  Sender a(room), b(room), c(room), d(room);
  CHECK(a.ask(60) == Answer::granted);
  CHECK(b.ask(40) == Answer::granted);
  CHECK(c.ask(50) == Answer::wait);
  CHECK(d.ask(10) == Answer::wait);
  CHECK(room.taken() == 100);
  b.ask(0);
  CHECK(c.waits);  // 40 are not 50
  CHECK_FALSE(d.waits);
  a.ask(0);
  CHECK_FALSE(c.waits);
  CHECK(room.taken() == 60);
  c.ask(0);
  d.ask(0);
  CHECK(room.taken() == 0);
  CHECK_FALSE(room.anybody_waits());
}

TEST_CASE("fragment room: if all who have room wait for more, one of them goes on over the bound") {
  FragmentRoom room(100);
  Sender a(room), b(room), c(room);
  CHECK(a.ask(50) == Answer::granted);
  CHECK(b.ask(50) == Answer::granted);
  CHECK(a.ask(100) == Answer::wait);
  CHECK(c.ask(10) == Answer::wait);
  CHECK(b.ask(100) == Answer::granted);  // or nobody would
  CHECK(room.taken() == 150);
  CHECK(a.waits);
  CHECK(c.waits);
  b.ask(0);
  CHECK_FALSE(c.waits);
  CHECK(a.waits);
  c.ask(0);
  CHECK_FALSE(a.waits);
  CHECK(room.taken() == 100);
  a.ask(0);
  CHECK(room.taken() == 0);
}

TEST_CASE("fragment room: who has it and brings nothing gives it up after five ticks, while others wait") {
  FragmentRoom room(100);
  Sender idle(room), busy(room), waiting(room);
  CHECK(idle.ask(50) == Answer::granted);
  CHECK(busy.ask(50) == Answer::granted);
  for (int i = 0; i < 20; ++i) room.tick();
  CHECK_FALSE(idle.stalled);  // nobody waits
  idle.brought = 1 << 20;
  CHECK(waiting.ask(50) == Answer::wait);
  for (unsigned i = 0; i < FragmentRoom::kTicksMax; ++i) {
    CHECK_FALSE(idle.stalled);
    busy.brought += FragmentRoom::kBytesPerTick;
    idle.brought += FragmentRoom::kBytesPerTick - 1;
    room.tick();
  }
  CHECK(idle.stalled);
  CHECK_FALSE(busy.stalled);
  CHECK_FALSE(waiting.waits);
}

TEST_CASE("fragment room: too many that wait are turned away") {
  FragmentRoom room(10);
  Sender first(room);
  CHECK(first.ask(10) == Answer::granted);
  std::vector<std::unique_ptr<Sender>> others;
  for (std::size_t i = 0; i < FragmentRoom::kWaitingMax; ++i)
    CHECK(others.emplace_back(std::make_unique<Sender>(room))->ask(1) == Answer::wait);
  Sender last(room);
  CHECK(last.ask(1) == Answer::too_many);
  last.ask(0);
  first.ask(0);
  for (const auto& other : others) CHECK(other->granted == (other->waits ? 0 : 1));
  for (const auto& other : others) other->ask(0);
  CHECK(room.taken() == 0);
}

TEST_CASE("fragment room: in any order of beginnings and ends, nobody waits for ever and the bound holds") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    constexpr std::size_t kMessageMax = 64, kEachMax = 2 * kMessageMax, kMax = 256;
    FragmentRoom room(kMax);
    struct Line {
      explicit Line(FragmentRoom& room) : sender(room) {}
      Sender sender;
      std::vector<std::size_t> messages{};
      std::size_t left = 20;
    };
    std::vector<std::unique_ptr<Line>> lines;
    for (int i = 0; i < 12; ++i) lines.push_back(std::make_unique<Line>(room));
    const auto sum = [](const Line& line) {
      std::size_t bytes = 0;
      for (const auto message : line.messages) bytes += message;
      return bytes;
    };
    std::size_t steps = 0;
    for (bool going = true; going && steps < 100'000; ++steps) {
      going = false;
      auto& line = *lines[static_cast<std::size_t>(rng.below(lines.size()))];
      for (const auto& each : lines) going = going || each->left > 0 || !each->messages.empty();
      if (line.sender.waits) continue;
      if (line.left > 0 && sum(line) + kMessageMax <= kEachMax && rng.chance(0.5)) {
        line.messages.push_back(1 + static_cast<std::size_t>(rng.below(kMessageMax)));
        --line.left;
      } else if (!line.messages.empty()) {
        line.messages.pop_back();
      }
      line.sender.ask(sum(line));
      CHECK(room.taken() <= kMax + kEachMax);
    }
    CHECK(steps < 100'000);
    CHECK(room.taken() == 0);
  }
}
