#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cluster/node/event_log.hpp"
#include "cluster/node/member_news.hpp"

using namespace cluster;

namespace {

MemberEvent changed(std::string id, MemberState from, MemberState to) {
  return {.id = NodeId(std::move(id)), .from = from, .to = to};
}
const auto kSuspected = changed("bar", MemberState::alive, MemberState::suspect);
const auto kObjected = changed("bar", MemberState::suspect, MemberState::alive);
const auto kLost = changed("bar", MemberState::suspect, MemberState::unreachable);

}  // namespace

TEST_CASE("news of members: a member that is falsely suspected 100 times a second is little of it") {
  MemberNews news;
  std::uint64_t told = 0, left_out = 0;
  const auto count = [&](const MemberNews::News& one) { ++told, left_out += one.left_out; };
  const Instant begin{1h};
  for (Instant now = begin; now < begin + 60s; now += 5ms) {
    const bool odd = (now - begin) / 5ms % 2 == 1;
    if (const auto one = news.on_change(now, odd ? kObjected : kSuspected)) count(*one);
    for (const auto& one : news.due(now)) count(one);
  }
  CHECK(told <= MemberNews::kAtOnce + 60s / MemberNews::kPeriod);
  const auto last = news.due(begin + 60s + 2 * MemberNews::kPeriod);
  REQUIRE(last.size() == 1);
  count(last.front());
  CHECK(last.front().event.to == MemberState::alive);  // as it was left
  CHECK(told + left_out == 60s / 5ms);
  CHECK(news.next_deadline() == Instant::max());
}

TEST_CASE("news of members: what happens to others, and what is worse, is told at once") {
  MemberNews news;
  const Instant now{1h};
  for (std::size_t i = 0; i < MemberNews::kAtOnce; ++i) CHECK(news.on_change(now, kSuspected));
  CHECK_FALSE(news.on_change(now, kObjected));
  CHECK_FALSE(news.on_change(now, kSuspected));
  CHECK(news.next_deadline() <= now + 1s);
  CHECK(news.on_change(now, changed("baz", MemberState::alive, MemberState::suspect)));
  const auto lost = news.on_change(now, kLost);
  REQUIRE(lost);
  CHECK(lost->left_out == 2);
  CHECK(news.due(now + 1h).empty());  // what was kept is out of date
  for (std::size_t i = 1; i < MemberNews::kAtOnce; ++i) CHECK(news.on_change(now, kLost)->left_out == 0);
  CHECK_FALSE(news.on_change(now, kLost));  // which others can claim as often
}

TEST_CASE("events: much of one member pushes out nothing of others") {
  EventLog log;
  log.add(changed("foo", MemberState::unknown, MemberState::alive));
  log.add(proto::Quorum{false, 1, 3});
  for (std::size_t i = 0; i < 3 * EventLog::kKept; ++i) log.add(i % 2 == 0 ? kSuspected : kObjected, i);
  log.add(DrillStep{.drill = "drill", .members = {}});
  const auto all = log.after(0);
  REQUIRE(all.size() == EventLog::kKept);
  CHECK(*all[0].find("id")->text() == "foo");
  CHECK(all[0].find("left_out") == nullptr);
  CHECK(*all[1].find("event")->text() == "quorum_lost");
  CHECK(*all.back().find("event")->text() == "links_healed");
  CHECK(*all[all.size() - 2].find("left_out")->integer() == 3 * EventLog::kKept - 1);
  const auto number = [](const wire::Value& event) { return *event.find("seq")->integer(); };
  CHECK(number(all.back()) == 3 * EventLog::kKept + 3);
  CHECK(number(all[2]) - number(all[1]) > 1);  // the numbers tell what is missing
  CHECK(log.after(2).size() == all.size() - 2);
  CHECK(log.after(3).size() == all.size() - 2);
  for (std::size_t i = 0; i < EventLog::kKept; ++i) log.add(proto::Quorum{true, 3, 3});
  std::size_t of_bar = 0;
  for (const auto& event : log.after(0)) of_bar += event.find("id") && *event.find("id")->text() == "bar";
  CHECK(of_bar > EventLog::kKept / 3);
  CHECK(of_bar < EventLog::kKept * 2 / 3);
}
