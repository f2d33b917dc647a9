// The table of a server's open calls against a slow, obvious one; and the queue of what a server puts aside.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/runtime/call_table.hpp"
#include "cluster/runtime/item_queue.hpp"

using namespace cluster;
using namespace cluster::runtime;

namespace {

ReplyPtr reply() { return std::make_unique<TypedReply<void>>(std::monostate{}); }

struct Numbered final : Item {
  explicit Numbered(int n) : Item(Kind::message), number(n) {}
  int number;
};

std::vector<int> drained(ItemQueue& queue) {
  std::vector<int> numbers;
  while (auto item = queue.pop_front()) numbers.push_back(static_cast<const Numbered&>(*item).number);
  return numbers;
}

}  // namespace

TEST_CASE("call table: any order of opening, answering, closing and expiring agrees with a plain map") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Rng rng{seed};
    CallTable table;
    std::map<std::uint64_t, Instant> open;  // unanswered and not told as expired
    std::vector<std::uint64_t> others;      // answered or expired, not closed
    std::vector<std::uint64_t> closed;
    Instant now{};
    for (int step = 0; step < 3'000; ++step) {
      const auto pick = [&] { return std::next(open.begin(), static_cast<long>(rng.below(open.size()))); };
      switch (rng.below(8)) {
        case 0:
        case 1:
        case 2: {
          const Instant deadline = rng.below(10) == 0 ? kNever : now + Duration(rng.below(2'000));
          const auto id = table.open(deadline);
          REQUIRE(id != 0);
          REQUIRE(!open.contains(id));
          open[id] = deadline;
          break;
        }
        case 3:
          if (open.empty()) break;
          {
            const auto call = pick();
            table.find(call->first)->reply = reply();
            others.push_back(call->first);
            open.erase(call);
          }
          break;
        case 4:
        case 5:
          if (open.empty()) break;
          {
            const auto call = pick();
            table.close(call->first);
            closed.push_back(call->first);
            open.erase(call);
          }
          break;
        case 6:
          if (others.empty()) break;
          table.close(others.back());
          closed.push_back(others.back());
          others.pop_back();
          break;
        default: {
          now += Duration(rng.below(300));
          std::vector<std::pair<Instant, std::uint64_t>> due;
          for (const auto& [id, deadline] : open)
            if (deadline <= now) due.emplace_back(deadline, id);
          const auto expired = table.take_expired(now);
          REQUIRE(expired.size() == due.size());
          for (std::size_t i = 0; i < expired.size(); ++i) {
            if (i != 0) CHECK(open[expired[i - 1]] <= open[expired[i]]);
            CHECK(std::ranges::count(due, expired[i], &std::pair<Instant, std::uint64_t>::second) == 1);
          }
          for (const auto id : expired) {
            table.find(id)->reply = reply();
            others.push_back(id);
            open.erase(id);
          }
        }
      }
      Instant earliest = kNever;
      for (const auto& [id, deadline] : open) earliest = std::min(earliest, deadline);
      REQUIRE(table.earliest() == earliest);
      for (const auto& [id, deadline] : open) REQUIRE(table.find(id) != nullptr);
      if (!closed.empty()) REQUIRE(table.find(closed[rng.below(closed.size())]) == nullptr);
    }
  }
}

TEST_CASE("call table: a call that stays open for long does not make it keep those that were closed") {
  CallTable table;
  const auto long_open = table.open(Instant{} + 1s);
  for (int i = 1; i <= 100'000; ++i) table.close(table.open(Instant{} + 1s + Duration(i)));
  CHECK(table.deadlines_kept() < 1'000);
  CHECK(table.earliest() == Instant{} + 1s);
  table.close(long_open);
  CHECK(table.earliest() == kNever);
}

TEST_CASE("item queue: first in, first out, but for what is pushed to the front") {
  ItemQueue queue;
  CHECK(queue.empty());
  CHECK(queue.pop_front() == nullptr);
  for (int i = 1; i <= 3; ++i) queue.push_back(std::make_unique<Numbered>(i));
  queue.push_front(std::make_unique<Numbered>(0));
  CHECK(queue.size() == 4);
  CHECK(drained(queue) == std::vector{0, 1, 2, 3});
  CHECK(queue.empty());
  queue.push_front(std::make_unique<Numbered>(7));
  queue.push_back(std::make_unique<Numbered>(8));
  CHECK(drained(queue) == std::vector{7, 8});
}

TEST_CASE("item queue: erasing keeps the order of the rest") {
  ItemQueue queue;
  for (int i = 0; i < 10; ++i) queue.push_back(std::make_unique<Numbered>(i));
  queue.erase_if([](const Item& item) { return static_cast<const Numbered&>(item).number % 3 == 0; });
  CHECK(queue.size() == 6);
  queue.push_back(std::make_unique<Numbered>(10));
  CHECK(drained(queue) == std::vector{1, 2, 4, 5, 7, 8, 10});
  queue.push_back(std::make_unique<Numbered>(1));
  queue.erase_if([](const Item&) { return true; });
  CHECK(queue.empty());
  queue.push_back(std::make_unique<Numbered>(2));
}
