#include "cluster/proto/partition_policy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

using namespace cluster;
using namespace cluster::proto;

namespace {

using Kind = PartitionPolicyConfig::Kind;
constexpr Instant kNow = Instant{} + 1h;

/// Members a, b, c, ... in the states that `states` spells: A alive, S suspect, U unreachable, X stopped,
/// ? unknown. `a` is the oldest.
std::vector<PolicyMember> members(std::string_view states, Instant since = kNow) {
  std::vector<PolicyMember> all;
  for (std::size_t i = 0; i < states.size(); ++i) {
    PolicyMember member{
        .id = NodeId(std::string(1, static_cast<char>('a' + i))), .boot = {i + 1, 1}, .since = since};
    switch (states[i]) {
      case 'A':
        member.state = MemberState::alive;
        break;
      case 'S':
        member.state = MemberState::suspect;
        break;
      case 'U':
        member.state = MemberState::unreachable;
        break;
      case 'X':
        member.state = MemberState::stopped;
        break;
      default:
        member.boot = {};
    }
    all.push_back(std::move(member));
  }
  return all;
}

std::vector<NodeId> removed(const PolicyActions& actions) {
  std::vector<NodeId> ids;
  for (const auto& action : actions)
    if (const auto* removal = std::get_if<RemoveSilent>(&action)) ids.push_back(removal->id);
  return ids;
}

}  // namespace

TEST_CASE("policy: who may go on, at both sides of each limit") {
  struct Row {
    Kind kind;
    std::string_view states;
    bool expected;
  };
  for (const auto& row : std::array{
           Row{Kind::mark, "AUUUU", true},
           Row{Kind::keep_majority, "AAA", true},
           Row{Kind::keep_majority, "AAU", true},
           Row{Kind::keep_majority, "AUU", false},
           Row{Kind::keep_majority, "UAA", true},
           Row{Kind::keep_majority, "ASU", true},   // a suspect is still here
           Row{Kind::keep_majority, "AXX", false},  // who stopped may be started on the other side
           Row{Kind::keep_majority, "A??", false},
           Row{Kind::keep_majority, "AAUU", true},   // half, with the smallest id
           Row{Kind::keep_majority, "UUAA", false},  // half, without it
           Row{Kind::keep_majority, "A", true},
           Row{Kind::static_quorum, "AAAUU", true},
           Row{Kind::static_quorum, "AAUUU", false},
           Row{Kind::static_quorum, "AAUUAUUUU", true},
           Row{Kind::keep_oldest, "AAUUU", true},
           Row{Kind::keep_oldest, "UAAAU", false},
           Row{Kind::keep_oldest, "UAAAA", true},   // the oldest is alone
           Row{Kind::keep_oldest, "AUUUU", false},  // and so gives up
           Row{Kind::keep_oldest, "AU", true},      // of two, the oldest
           Row{Kind::keep_oldest, "UA", false},
           Row{Kind::keep_oldest, "?AAUU", true},  // who never ran is not the oldest
       }) {
    CAPTURE(name(row.kind));
    CAPTURE(row.states);
    CHECK(may_go_on(members(row.states), {.kind = row.kind, .quorum = 3}) == row.expected);
  }
}

TEST_CASE("policy: whatever the cut, at most one side goes on") {
  for (std::size_t size = 1; size <= 9; ++size)
    for (unsigned cut = 0; cut < 1u << size; ++cut)
      for (const auto kind : {Kind::keep_majority, Kind::static_quorum, Kind::keep_oldest}) {
        CAPTURE(name(kind));
        std::string here, there;
        for (std::size_t i = 0; i < size; ++i) {
          here += (cut >> i & 1) != 0 ? 'A' : 'U';
          there += (cut >> i & 1) != 0 ? 'U' : 'A';
        }
        if (here.find('A') == std::string::npos || there.find('A') == std::string::npos) continue;
        CAPTURE(here);
        const PartitionPolicyConfig config{.kind = kind, .quorum = size / 2 + 1};
        CHECK_FALSE((may_go_on(members(here), config) && may_go_on(members(there), config)));
        if (kind == Kind::keep_majority)  // and of two sides one does
          CHECK((may_go_on(members(here), config) || may_go_on(members(there), config)));
      }
}

TEST_CASE("policy: a decision waits until nothing changed for `stable_after`; a suspicion is no change") {
  PartitionPolicy policy({.kind = Kind::keep_majority, .stable_after = 20s}, "a");
  CHECK(policy.on_members(kNow, members("AAA")).empty());
  CHECK(policy.on_members(kNow + 5s, members("AAU")).empty());
  CHECK(policy.on_members(kNow + 15s, members("AUU")).empty());
  CHECK(policy.on_members(kNow + 20s, members("SUU")).empty());
  CHECK(policy.next_deadline() == kNow + 35s);
  CHECK(policy.on_time(kNow + 35s - 1ns).empty());
  CHECK(policy.quorum().found);
  const auto lost = policy.on_time(kNow + 35s);
  REQUIRE(lost.size() == 1);
  CHECK_FALSE(std::get<QuorumChanged>(lost[0]).now.found);
  CHECK_FALSE(policy.quorum().found);
  CHECK(policy.next_deadline() == kNever);
  CHECK(policy.on_time(kNow + 36s).empty());
  CHECK(policy.on_members(kNow + 40s, members("AAU")).empty());
  const auto found = policy.on_time(kNow + 60s);
  REQUIRE(found.size() == 1);
  CHECK(std::get<QuorumChanged>(found[0]).now.found);
}

TEST_CASE("policy: members that come and go put no decision off that does not depend on them") {
  PartitionPolicy policy({.kind = Kind::keep_majority, .stable_after = 20s}, "a");
  CHECK(policy.on_members(kNow, members("AAAAA")).empty());
  for (auto when = kNow + 5s; when < kNow + 25s; when += 5s)
    CHECK(policy.on_members(when, members((when - kNow) % 10s == 0s ? "AAUUU" : "AUUUU")).empty());
  const auto lost = policy.on_members(kNow + 25s, members("AUUUU"));
  REQUIRE(lost.size() == 1);
  CHECK(std::get<QuorumChanged>(lost[0]).now == Quorum{false, 1, 5});
}

TEST_CASE("policy: who starts has no quorum until it first sees enough members, and then at once") {
  PartitionPolicy policy({.kind = Kind::keep_majority, .stable_after = 20s}, "a");
  const auto lost = policy.on_members(kNow, members("A????"));
  REQUIRE(lost.size() == 1);
  CHECK(std::get<QuorumChanged>(lost[0]).now == Quorum{false, 1, 5});
  CHECK_FALSE(policy.quorum().may_edit());
  CHECK(policy.on_members(kNow + 1s, members("AA???")).empty());
  const auto found = policy.on_members(kNow + 2s, members("AAA??"));
  REQUIRE(found.size() == 1);
  CHECK(std::get<QuorumChanged>(found[0]).now == Quorum{true, 3, 5});
  CHECK(policy.on_members(kNow + 3s, members("AAX??")).empty());  // from now on decisions wait
  CHECK(policy.next_deadline() == kNow + 23s);
  CHECK(policy.on_members(kNow + 4s, members("AAA??")).empty());
  CHECK(policy.next_deadline() == kNever);
}

TEST_CASE("policy: a ring from which nobody is missing may grow to its quorum, and has none until then") {
  PartitionPolicy policy({.kind = Kind::static_quorum, .quorum = 3}, "a");
  CHECK(policy.on_members(kNow, members("A")).size() == 1);
  CHECK_FALSE(policy.quorum().found);
  CHECK(policy.quorum().may_edit());
  CHECK(policy.on_members(kNow, members("AA")).empty());
  CHECK(policy.quorum().may_edit());
  CHECK(policy.on_members(kNow, members("AX")).empty());
  CHECK_FALSE(policy.quorum().may_edit());
  CHECK(policy.on_members(kNow, members("AAA")).size() == 1);
  CHECK(policy.quorum().found);
}

TEST_CASE("policy: the first of the greater side removes who was unreachable long enough, and nobody else") {
  const PartitionPolicyConfig config{.kind = Kind::remove_after, .remove_after = 60s, .stable_after = 20s};
  struct Row {
    NodeId self;
    std::string_view states;
    std::vector<NodeId> expected;
  };
  for (const auto& row : std::array{Row{"a", "AAAUU", {"d", "e"}}, Row{"b", "AAAUU", {}},  // not the first
                                    Row{"b", "UAAAX", {"a"}},  // who stopped stays a member
                                    Row{"a", "AAUUU", {}},     // not the greater side
                                    Row{"a", "AAAA?", {}}}) {
    CAPTURE(row.self.str());
    CAPTURE(row.states);
    PartitionPolicy policy(config, row.self);
    CHECK(policy.on_members(kNow, members(row.states, kNow)).empty());
    CHECK(removed(policy.on_time(kNow + 20s)).empty());
    CHECK(removed(policy.on_time(kNow + 60s - 1ns)).empty());
    CHECK(removed(policy.on_time(kNow + 60s)) == row.expected);
    CHECK(policy.quorum().found);
  }
  // Not while more may be on their way out.
  PartitionPolicy hasty({.kind = Kind::remove_after, .remove_after = 1s, .stable_after = 20s}, "a");
  CHECK(hasty.on_members(kNow, members("AAAAU", kNow)).empty());
  CHECK(hasty.on_members(kNow + 10s, members("AAUUU", kNow)).empty());
  CHECK(hasty.next_deadline() == kNow + 30s);
  CHECK(hasty.on_time(kNow + 30s).empty());
  // Who comes back in time is not removed.
  PartitionPolicy policy(config, "a");
  CHECK(policy.on_members(kNow, members("AAU")).empty());
  CHECK(policy.on_members(kNow + 50s, members("AAA", kNow + 50s)).empty());
  CHECK(removed(policy.on_time(kNow + 10h)).empty());
}

TEST_CASE("policy: the default does nothing, and what cannot work is refused") {
  PartitionPolicy policy({}, "a");
  CHECK(policy.on_members(kNow, members("AUUUU")).empty());
  CHECK(policy.on_time(kNow + 1000h).empty());
  CHECK(policy.next_deadline() == kNever);
  CHECK(policy.quorum().found);
  CHECK_THROWS_AS(PartitionPolicy({.kind = Kind::static_quorum}, "a"), std::invalid_argument);
  CHECK_THROWS_AS(PartitionPolicy({.stable_after = -1s}, "a"), std::invalid_argument);
  for (const auto kind :
       {Kind::mark, Kind::remove_after, Kind::keep_majority, Kind::static_quorum, Kind::keep_oldest})
    CHECK(parse_partition_policy(name(kind)).value() == kind);
  CHECK_FALSE(parse_partition_policy("keep"));
}
