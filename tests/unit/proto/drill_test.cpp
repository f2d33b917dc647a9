#include "cluster/proto/drill.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/codec_types.hpp"

namespace cluster::proto {
namespace {

DrillPlan plan_of(std::string_view sides, std::uint32_t cut_ms = 5'000) {
  return {.id = "d1", .sides = parse_drill_sides(sides).value(), .before_ms = 1'000, .cut_ms = cut_ms};
}

TEST_CASE("drill: sides are read with spaces or without, and told as text") {
  struct Row {
    const char* text;
    const char* sides;
  };
  const std::array rows{Row{"a|b", "a | b"}, Row{"a,b | c,d", "a,b | c,d"}, Row{" a , b|c ,d ", "a,b | c,d"},
                        Row{"a|b|c,d,e", "a | b | c,d,e"}, Row{"ä b|c-d", "ä b | c-d"}};
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto sides = parse_drill_sides(row.text);
    REQUIRE(sides);
    CHECK(to_text(*sides) == row.sides);
    CHECK(parse_drill_sides(to_text(*sides)).value() == *sides);
  }
}

TEST_CASE("drill: what is no partition is refused") {
  const std::string id_too_long(256, 'x');
  for (const std::string& text :
       {std::string(), std::string("a"), std::string("a,b"), std::string("|"), std::string("a|"),
        std::string("|b"), std::string("a||b"), std::string("a,|b"), std::string(",a|b"), std::string("a|a"),
        std::string("a,b|b,c"), std::string("a,a|b"), std::string("a\n|b"), id_too_long + "|b"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_drill_sides(text));
  }
  std::string many = "x";
  for (std::size_t i = 1; i < kDrillMembersMax; ++i) many += "|n" + std::to_string(i);
  CHECK(parse_drill_sides(many));
  CHECK_FALSE(parse_drill_sides(many + "|more"));
}

TEST_CASE("drill: a time has a unit or is in seconds, and is 1 s to 10 min") {
  struct Row {
    const char* text;
    std::uint32_t ms;  // 0: refused
  };
  const std::array rows{Row{"10s", 10'000},    Row{"10", 10'000},
                        Row{"1500ms", 1'500},  Row{"2m", 120'000},
                        Row{"1s", 1'000},      Row{"999ms", 0},
                        Row{"10m", 600'000},   Row{"601s", 0},
                        Row{"0", 0},           Row{"", 0},
                        Row{"s", 0},           Row{"10 s", 0},
                        Row{"-1s", 0},         Row{"1.5s", 0},
                        Row{"1h", 0},          Row{"10sec", 0},
                        Row{"1000ms", 1'000},  Row{"4294967295m", 0},
                        Row{"99999999999s", 0}};
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto ms = parse_drill_time(row.text);
    CHECK(ms.has_value() == (row.ms != 0));
    if (ms) CHECK(*ms == row.ms);
  }
}

TEST_CASE("drill: a plan cuts members of different sides, and nobody from those without a side") {
  auto plan = plan_of("a,b | c | d");
  plan.uncut = {"e"};
  CHECK(plan.cuts("a", "c"));
  CHECK(plan.cuts("d", "c"));
  CHECK_FALSE(plan.cuts("a", "b"));
  CHECK_FALSE(plan.cuts("a", "e"));
  CHECK_FALSE(plan.cuts("e", "d"));
  CHECK_FALSE(plan.cuts("e", "e"));
  CHECK(plan.others("c") == std::vector<NodeId>{"a", "b", "d", "e"});
  CHECK(check(plan));
  auto bad = plan;
  bad.uncut = {"a"};
  CHECK_FALSE(check(bad));
  bad = plan;
  bad.cut_ms = 999;
  CHECK_FALSE(check(bad));
  bad = plan;
  bad.before_ms = 10'001;
  CHECK_FALSE(check(bad));
  bad = plan;
  bad.id.clear();
  CHECK_FALSE(check(bad));
}

/// Drills of all members over a network that is cut as they ask for it, with delays and what else a test asks
/// for, in virtual time.
class Rehearsal {
 public:
  explicit Rehearsal(DrillPlan plan, std::uint64_t seed = 1) : rng(seed) {
    auto all = plan.others(NodeId());
    for (const auto& id : all) members.emplace(id, Member{Drill(now + rng.below(20) * 1ms, plan, id)});
  }

  struct Member {
    Drill drill;
    std::vector<NodeId> cut_from{};
    std::string ring = "ring";
    std::vector<NodeId> missing{};
    bool killed = false;
    bool back = false;  // it was killed, and a new process answers
  };

  void perform(const NodeId& self, const DrillActions& actions) {
    for (const auto& action : actions) {
      auto& member = members.at(self);
      if (const auto* cut = std::get_if<DrillCut>(&action)) {
        member.cut_from = cut->peers;
        CHECK(cut->time == std::chrono::milliseconds(member.drill.plan().cut_ms));
      } else if (std::holds_alternative<DrillHeal>(action)) {
        member.cut_from.clear();
      } else if (const auto* out = std::get_if<DrillCast>(&action)) {
        if (refuses && refuses(out->to))
          member.drill.on_cast_refused(out->to);
        else
          for (unsigned copy = 0; copy < copies; ++copy) post(self, out->to, out->probe, false);
      } else if (const auto* call = std::get_if<DrillCall>(&action)) {
        post(self, call->to, call->probe, true);
      }
    }
  }

  /// A message is lost if either end is cut from the other when it is sent or when it arrives.
  void post(const NodeId& from, const NodeId& to, const DrillProbe& probe, bool is_call) {
    const bool lost = is_cut(from, to);
    const auto delay = 1ms + rng.below(jitter_ms + 1) * 1ms;
    waiting.emplace(now + delay, [this, from, to, probe, is_call, lost] {
      const bool arrives = !lost && !is_cut(from, to) && !members.at(to).killed;
      if (arrives && is_call) members.at(to).drill.on_call(from, probe);
      if (arrives && !is_call) perform(to, members.at(to).drill.on_cast(now, from, probe));
      if (is_call && !members.at(from).killed)
        members.at(from).drill.on_answer(to, arrives               ? DrillAnswer::answered
                                             : members.at(to).back ? DrillAnswer::left
                                                                   : DrillAnswer::unknown);
    });
  }

  [[nodiscard]] bool is_cut(const NodeId& a, const NodeId& b) const {
    const auto has = [](const std::vector<NodeId>& list, const NodeId& id) {
      return std::ranges::count(list, id) != 0;
    };
    return has(members.at(a).cut_from, b) || has(members.at(b).cut_from, a);
  }

  /// Runs until `done` or for `limit`.
  bool run(const std::function<bool()>& done, Duration limit = 20min) {
    const Instant end = now + limit;
    while (!done()) {
      Instant next = waiting.empty() ? kNever : waiting.begin()->first;
      for (const auto& [id, member] : members)
        if (!member.killed) next = std::min(next, member.drill.next_deadline());
      if (next > end) return false;
      now = std::max(now, next);
      while (!waiting.empty() && waiting.begin()->first <= now) {
        const auto deliver = std::move(waiting.begin()->second);
        waiting.erase(waiting.begin());
        deliver();
      }
      for (auto& [id, member] : members)
        if (!member.killed) perform(id, member.drill.on_time(now, {member.ring, member.missing}));
    }
    return true;
  }
  bool run_to(DrillPhase phase) {
    return run([&] {
      return std::ranges::all_of(members, [&](const auto& entry) {
        return entry.second.killed || entry.second.drill.phase() >= phase;
      });
    });
  }
  [[nodiscard]] DrillAccount account(const NodeId& id) const { return members.at(id).drill.account(now); }
  [[nodiscard]] DrillLink link(const NodeId& id, const NodeId& peer) const {
    const auto links = account(id).links;
    return *std::ranges::find(links, peer, &DrillLink::peer);
  }

  Instant now{};
  Rng rng;
  unsigned jitter_ms = 5;
  unsigned copies = 1;
  std::function<bool(const NodeId&)> refuses;
  std::map<NodeId, Member> members;
  std::multimap<Instant, std::function<void()>> waiting;
};

TEST_CASE(
    "drill: across the cut probes are lost, within a side none, and all come to their end by themselves") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    auto plan = plan_of("a,b | c,d");
    plan.uncut = {"e"};
    Rehearsal r(plan, seed);
    REQUIRE(r.run_to(DrillPhase::done));
    for (const auto& [id, member] : r.members) {
      CAPTURE(id);
      const auto account = r.account(id);
      CHECK(account.cut_ms >= 4'900);
      CHECK(account.cut_ms <= 5'000);
      CHECK(account.together_ms.value() < 1'000);
      for (const auto& link : account.links) {
        CAPTURE(link.peer);
        const auto back = r.link(link.peer, id);
        CHECK(link.cut == plan.cuts(id, link.peer));
        CHECK(link.doubled == 0);
        CHECK(link.casts > 100);
        CHECK(link.calls * 5 >= link.casts - 5);
        CHECK(link.calls == link.answered + link.unknown);
        const auto lost = back.casts - link.delivered;
        if (link.cut) {
          CHECK(lost > 80);
          CHECK(lost < 110);
          CHECK(link.unknown > 10);
        } else {
          CHECK(lost == 0);
          CHECK(link.unknown == 0);
        }
      }
    }
  }
}

TEST_CASE(
    "drill: no more than 20 casts a second go to a member, and with many members no more than 320 in all") {
  std::string sides = "n0";
  for (int i = 1; i < 40; ++i) sides += (i == 20 ? "|n" : ",n") + std::to_string(i);
  const auto plan = plan_of(sides, 2'000);
  Drill drill(Instant{}, plan, "n0");
  std::size_t casts = 0;
  std::map<NodeId, int> by_member;
  for (Instant now{}; now < Instant{} + 1s; now += 1ms)
    for (const auto& action : drill.on_time(now, {}))
      if (const auto* out = std::get_if<DrillCast>(&action)) {
        ++casts;
        ++by_member[out->to];
      }
  CHECK(casts <= 320);
  CHECK(casts >= 300);
  CHECK(by_member.size() == 39);
  for (const auto& [id, count] : by_member) CHECK(count <= 20);
}

TEST_CASE("drill: healed early at one member, it ends at all of its side, and at all it can reach") {
  Rehearsal r(plan_of("a,b | c,d", 600'000));
  REQUIRE(r.run_to(DrillPhase::cut));
  r.run([] { return false; }, 3s);
  r.perform("a", r.members.at("a").drill.on_heal(r.now));
  REQUIRE(r.run([&] { return r.members.at("b").drill.phase() == DrillPhase::healed; }, 1s));
  CHECK(r.members.at("c").drill.phase() == DrillPhase::cut);
  r.members.at("c").cut_from.clear();  // as the network layer does when somebody who had been there dials
  REQUIRE(r.run_to(DrillPhase::done));
  CHECK(r.account("d").cut_ms < 10'000);
}

TEST_CASE("drill: healed before it has begun, nothing is cut") {
  Rehearsal r(plan_of("a | b", 600'000));
  r.perform("b", r.members.at("b").drill.on_heal(r.now));
  REQUIRE(r.run_to(DrillPhase::done));
  for (const char* id : {"a", "b"}) {
    CHECK(r.account(id).cut_ms == 0);
    CHECK(r.link(id, id[0] == 'a' ? "b" : "a").casts > 0);
  }
  CHECK(r.link("a", "b").delivered == r.link("b", "a").casts);
  CHECK(r.members.at("a").drill.on_heal(r.now).empty());
}

TEST_CASE("drill: who is cut off from nobody takes part, and has nothing to cut or to heal") {
  auto plan = plan_of("a | b", 1'000);
  plan.uncut = {"c"};
  Drill drill(Instant{}, plan, "c");
  std::size_t probes = 0;
  for (Instant now{}; drill.phase() != DrillPhase::done; now = drill.next_deadline())
    for (const auto& action : drill.on_time(now, {})) {
      CHECK_FALSE(std::holds_alternative<DrillCut>(action));
      CHECK_FALSE(std::holds_alternative<DrillHeal>(action));
      ++probes;
    }
  CHECK(probes > 80);
}

TEST_CASE("drill: it ends although a member has died, and says that they are not together") {
  Rehearsal r(plan_of("a,b | c,d", 2'000));
  REQUIRE(r.run_to(DrillPhase::cut));
  r.members.at("d").killed = true;
  for (const char* id : {"a", "b", "c"}) r.members.at(id).missing = {"d"};
  const Instant begun = r.now;
  REQUIRE(r.run_to(DrillPhase::done));
  CHECK(r.now - begun <= 2s + Drill::kHealedMax + Drill::kLast + 1s);
  CHECK_FALSE(r.account("a").together_ms.has_value());
  CHECK(r.link("a", "d").missed == 1);
  CHECK_FALSE(r.link("a", "d").back_ms.has_value());
}

TEST_CASE("drill: a member that was killed and is back, in whichever phase, is not waited for") {
  for (const auto phase : {DrillPhase::before, DrillPhase::cut, DrillPhase::healed}) {
    CAPTURE(name(phase));
    Rehearsal r(plan_of("a,b | c", 2'000));
    REQUIRE(r.run_to(phase));
    r.members.at("c").killed = r.members.at("c").back = true;
    const Instant begun = r.now;
    REQUIRE(r.run_to(DrillPhase::done));
    CHECK(r.now - begun < 3s + Drill::kHealedMin + Drill::kLast + 1s);
    CHECK(r.account("a").together_ms.has_value());
  }
}

TEST_CASE("drill: one that never cut anything waits for no member that has died") {
  Rehearsal r(plan_of("a,b | c", 600'000));
  r.members.at("c").killed = true;
  for (const char* id : {"a", "b"}) r.members.at(id).missing = {"c"};
  r.perform("a", r.members.at("a").drill.on_heal(r.now));
  const Instant begun = r.now;
  REQUIRE(r.run_to(DrillPhase::done));
  CHECK(r.now - begun < Drill::kHealedMin + Drill::kLast + 1s);
}

TEST_CASE(
    "drill: members are together once all hold the same ring and all are alive, counted from the healing") {
  Rehearsal r(plan_of("a | b", 2'000));
  REQUIRE(r.run_to(DrillPhase::cut));
  r.members.at("a").ring = "of a";
  r.members.at("a").missing = {"b"};
  REQUIRE(r.run_to(DrillPhase::healed));
  r.run([] { return false; }, 3s);
  CHECK_FALSE(r.account("b").together_ms.has_value());
  r.members.at("a").ring = "ring";
  r.run([] { return false; }, 1s);
  CHECK_FALSE(r.account("a").together_ms.has_value());  // b is missing still
  r.members.at("a").missing.clear();
  REQUIRE(r.run_to(DrillPhase::done));
  CHECK(r.account("a").together_ms.value() >= 4'000);
  CHECK(r.account("a").together_ms.value() < 4'500);
  const auto link = r.link("a", "b");
  CHECK(link.missed == 1);
  CHECK(link.missed_ms.value() < 100);
  CHECK(link.back_ms.value() >= 4'000);
}

TEST_CASE("drill: doubled, disordered and refused probes are counted as what they are") {
  Rehearsal r(plan_of("a | b", 1'000));
  r.copies = 2;
  r.jitter_ms = 120;  // over two beats
  r.refuses = [](const NodeId& to) { return to == NodeId("b"); };
  REQUIRE(r.run_to(DrillPhase::done));
  CHECK(r.link("a", "b").refused == r.link("a", "b").casts);
  CHECK(r.link("b", "a").delivered == 0);
  CHECK(r.link("a", "b").delivered > 0);
  CHECK(r.link("a", "b").doubled > 0);
  CHECK(r.link("a", "b").doubled <= r.link("a", "b").delivered);
  CHECK(r.link("a", "b").disordered > 0);
}

TEST_CASE("drill: a cast of the cut's time that arrives is late; strange ones and strangers' are ignored") {
  Drill drill(Instant{}, plan_of("a | b"), "a");
  const auto probe = [](std::uint64_t number, DrillPhase phase, const char* id = "d1") {
    return DrillProbe{.drill = id, .number = number, .phase = phase};
  };
  static_cast<void>(drill.on_cast(Instant{}, "b", probe(1, DrillPhase::before)));
  static_cast<void>(drill.on_cast(Instant{}, "b", probe(2, DrillPhase::cut)));
  static_cast<void>(drill.on_cast(Instant{}, "b", probe(3, DrillPhase::before, "d2")));
  static_cast<void>(drill.on_cast(Instant{}, "b", probe(0, DrillPhase::before)));
  static_cast<void>(drill.on_cast(Instant{}, "b", probe(Drill::kNumberMax + 1, DrillPhase::before)));
  static_cast<void>(drill.on_cast(Instant{}, "stranger", probe(1, DrillPhase::healed)));
  drill.on_call("b", probe(1, DrillPhase::before));
  drill.on_call("b", probe(1, DrillPhase::before));
  drill.on_call("stranger", probe(1, DrillPhase::before));
  drill.on_answer("stranger", DrillAnswer::answered);
  drill.on_cast_refused("stranger");
  const auto links = drill.account(Instant{}).links;
  REQUIRE(links.size() == 1);
  CHECK(links[0].delivered == 2);
  CHECK(links[0].late == 1);
  CHECK(links[0].doubled == 1);
  CHECK(drill.phase() == DrillPhase::before);
}

TEST_CASE("drill: a plan, a probe and an account survive the wire") {
  auto plan = plan_of("a,b | c");
  plan.uncut = {"e"};
  const auto read = wire::decode<DrillPlan>(wire::encode(plan)).value();
  CHECK(read.sides == plan.sides);
  CHECK(read.uncut == plan.uncut);
  CHECK(read.cut_ms == plan.cut_ms);
  const DrillProbe probe{"d1", 7, DrillPhase::healed, true, "ring"};
  const auto probe_read = wire::decode<DrillProbe>(wire::encode(probe)).value();
  CHECK(probe_read.number == 7);
  CHECK(probe_read.phase == DrillPhase::healed);
  CHECK(probe_read.together);
  DrillAccount account{.phase = DrillPhase::cut, .links = {{.peer = "b", .missed_ms = 5}}};
  const auto account_read = wire::decode<DrillAccount>(wire::encode(account)).value();
  CHECK(account_read.links.at(0).missed_ms == 5u);
  CHECK_FALSE(account_read.links.at(0).back_ms.has_value());
  // A phase that there is not has no name.
  CHECK_FALSE(wire::decode<DrillProbe>(wire::encode(DrillProbe{.drill = "d1", .phase = DrillPhase{4}})));
  CHECK_FALSE(wire::decode<DrillAccount>(wire::encode(DrillAccount{.phase = DrillPhase{4}, .links = {}})));
}

}  // namespace
}  // namespace cluster::proto
