// Timers.
#include <algorithm>
#include <optional>

#include "cluster/base/rng.hpp"
#include "engine_support.hpp"

using namespace cluster;
using namespace cluster::runtime;
using namespace cluster::runtime::testing;

namespace {

struct Arrivals {
  void add(std::int64_t n) {
    const Instant now = MonotonicClock::now();
    const std::lock_guard lock(mutex);
    at.emplace_back(n, now);
  }
  std::size_t size() {
    const std::lock_guard lock(mutex);
    return at.size();
  }
  std::mutex mutex;
  std::vector<std::pair<std::int64_t, Instant>> at;
};

ActorRef receiver(Engine& engine, Arrivals& arrivals) {
  return spawn(engine, {.message = [&](const ActorRef&, const Number& n) { arrivals.add(n.value); }});
}

}  // namespace

TEST_CASE("timers: each fires once, not before it is due, in the order of the times") {
  const auto host = engine();
  Arrivals arrivals;
  const ActorRef actor = receiver(*host, arrivals);
  const Instant start = MonotonicClock::now();
  for (const int ms : {30, 10, 50, 20, 40}) host->set_timer(start + ms * 1ms, actor, number(ms));
  REQUIRE(eventually([&] { return arrivals.size() == 5; }));
  std::int64_t last = 0;
  for (const auto& [ms, at] : arrivals.at) {
    CHECK(ms > last);
    CHECK(at >= start + ms * 1ms);
    last = ms;
  }
}

TEST_CASE("timers: one that is due already fires at once") {
  const auto host = engine();
  Arrivals arrivals;
  host->set_timer(Instant{}, receiver(*host, arrivals), number(1));
  CHECK(eventually([&] { return arrivals.size() == 1; }));
}

TEST_CASE("timers: an earlier one set later is not delayed by the wait for a later one") {
  const auto host = engine({.workers = 1});
  Arrivals arrivals;
  const ActorRef actor = receiver(*host, arrivals);
  host->set_timer(MonotonicClock::now() + 1h, actor, number(2));
  for (int i = 0; i < 20; ++i) {
    host->set_timer(MonotonicClock::now() + 2ms, actor, number(1));
    REQUIRE(eventually([&] { return arrivals.size() == static_cast<std::size_t>(i) + 1; }));
  }
}

TEST_CASE("timers: cancel says whether it came in time; a cancelled one never fires") {
  const auto host = engine();
  Arrivals arrivals;
  const ActorRef actor = receiver(*host, arrivals);
  const TimerId later = host->set_timer(MonotonicClock::now() + 1h, actor, number(1));
  CHECK(host->cancel_timer(later));
  CHECK_FALSE(host->cancel_timer(later));
  const TimerId now = host->set_timer(MonotonicClock::now(), actor, number(2));
  REQUIRE(eventually([&] { return arrivals.size() == 1; }));
  CHECK_FALSE(host->cancel_timer(now));
  CHECK_FALSE(host->cancel_timer({}));
  CHECK_FALSE(host->cancel_timer({0x1234'0000'5678}));
  const TimerId reused = host->set_timer(MonotonicClock::now() + 1h, actor, number(3));
  CHECK(reused != later);
  CHECK_FALSE(host->cancel_timer(later));
  CHECK_FALSE(host->cancel_timer(now));
  CHECK(host->cancel_timer(reused));
}

TEST_CASE("timers: one for an actor that has ended is dropped") {
  const auto host = engine();
  Arrivals arrivals;
  const ActorRef gone = spawn(*host, {});
  gone.stop({});
  REQUIRE(eventually([&] { return host->actors() == 0; }));
  host->set_timer(MonotonicClock::now(), gone, number(1));
  host->set_timer(MonotonicClock::now() + 1ms, receiver(*host, arrivals), number(2));
  CHECK(eventually([&] { return arrivals.size() == 1; }));
}

TEST_CASE("timers: set and cancelled at random from several threads, what fires is what was not cancelled") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    const auto host = engine();
    Arrivals arrivals;
    const ActorRef actor = receiver(*host, arrivals);
    constexpr std::int64_t kTimers = 2'000;
    constexpr std::int64_t kThreads = 3;
    std::vector<std::atomic<bool>> cancelled(kTimers * kThreads);
    std::vector<std::thread> threads;
    for (std::int64_t t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        Rng rng(seed * 100 + static_cast<std::uint64_t>(t));
        std::vector<std::pair<std::int64_t, TimerId>> mine;
        for (std::int64_t i = 0; i < kTimers; ++i) {
          const std::int64_t n = t * kTimers + i;
          const Duration wait = std::chrono::microseconds(rng.below(30'000));
          mine.emplace_back(n, host->set_timer(MonotonicClock::now() + wait, actor, number(n)));
          const auto& [victim, timer] = mine[rng.below(mine.size())];
          if (rng.below(2) == 0 && host->cancel_timer(timer))
            cancelled[static_cast<std::size_t>(victim)] = true;
        }
      });
    for (std::thread& thread : threads) thread.join();
    const auto expected = static_cast<std::size_t>(
        std::count_if(cancelled.begin(), cancelled.end(), [](const auto& c) { return !c.load(); }));
    REQUIRE(eventually([&] { return arrivals.size() >= expected; }));
    host->stop();
    CHECK(arrivals.at.size() == expected);
    std::vector<bool> seen(cancelled.size());
    for (const auto& [n, at] : arrivals.at) {
      const auto i = static_cast<std::size_t>(n);
      CHECK_FALSE(seen[i]);
      CHECK_FALSE(cancelled[i]);
      seen[i] = true;
    }
  }
}
