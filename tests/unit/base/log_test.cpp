#include "cluster/base/log.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace cluster;

TEST_CASE("log: of a limited kind one line goes through a period, and the next says how many did not") {
  log::Limit limit(10s);
  const Instant start = Instant{} + 5s;
  CHECK(limit.admit(start) == 0);
  CHECK_FALSE(limit.admit(start));
  CHECK_FALSE(limit.admit(start + 9'999ms));
  CHECK(limit.admit(start + 10s) == 2);
  CHECK_FALSE(limit.admit(start + 19'999ms));
  CHECK(limit.admit(start + 60s) == 1);
  CHECK(limit.admit(start + 120s) == 0);
}

TEST_CASE("log: of threads that write a limited line at once one succeeds, and the others are counted") {
  constexpr int kThreads = 4, kLines = 1000;
  log::Limit limit(1h);
  std::atomic<int> admitted = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      for (int line = 0; line < kLines; ++line)
        if (limit.admit(Instant{})) ++admitted;
    });
  for (auto& thread : threads) thread.join();
  CHECK(admitted == 1);
  CHECK(limit.admit(Instant{} + 2h) == kThreads * kLines - 1);
}

TEST_CASE("log: a limited line below the level is not counted as held back") {
  std::vector<std::string> seen;
  log::set_sink([&](log::Level, std::string_view, std::string_view text) { seen.emplace_back(text); });
  log::Limit limit(0s);
  log::limited(limit, log::Level::debug, "test", "unseen");
  log::limited(limit, log::Level::warn, "test", "seen ", 1);
  log::set_sink({});
  CHECK(seen == std::vector<std::string>{"seen 1"});
}
