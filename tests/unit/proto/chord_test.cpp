#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cluster/sim/chord_cluster.hpp"

using namespace cluster;
using namespace cluster::proto;
using cluster::sim::ChordCluster;

namespace {

ChordId target(const ChordCluster& ring, int i) { return ring.space().place("key " + std::to_string(i)); }

std::string first_violation(const ChordCluster& ring) {
  const auto& all = ring.checker().first_violations();
  return all.empty() ? "" : all.begin()->first + ": " + all.begin()->second;
}

/// Asks every member for `count` keys, both ways, and checks each answer against the definition.
void check_lookups(ChordCluster& ring, int count) {
  std::size_t asked = 0;
  for (const auto node : ring.members())
    for (int i = 0; i < count; ++i, asked += 2) {
      ring.lookup(node, target(ring, i), ChordMode::iterative);
      ring.lookup(node, target(ring, i), ChordMode::recursive);
    }
  ring.run_lookups();
  const auto outcomes = ring.take_outcomes();
  CHECK(outcomes.size() == asked);
  CHECK(ring.answered_twice() == 0);
  for (const auto& outcome : outcomes) {
    REQUIRE_MESSAGE(outcome.answer.has_value(), outcome.answer.error().to_string());
    CHECK(outcome.right);
    CHECK(outcome.answer->path.size() >= outcome.answer->hops);
  }
}

}  // namespace

TEST_CASE("chord: nodes that join through any member, one by one or at once, come to the ideal ring") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto nodes = 2 + rng.below(24);
    ChordCluster ring({.nodes = nodes, .seed = seed, .chord = {.successors = 1 + rng.below(8)}});
    ring.create(0);
    for (std::size_t i = 1; i < nodes; ++i) {
      ring.join(i, ring.random_member(rng));
      if (rng.chance(0.5)) ring.simulator().run_for(std::chrono::milliseconds(rng.below(2000)));
    }
    ring.simulator().run_for(2s);
    CHECK(ring.members().size() == nodes);
    CHECK_MESSAGE(ring.run_until_ideal(30s).has_value(), ring.flaw());
    CHECK_MESSAGE(ring.checker().violations() == 0, first_violation(ring));
    check_lookups(ring, 20);
  }
}

TEST_CASE("chord: in a formed ring each finger is the first node at or after its start, and stays so") {
  ChordCluster ring({.nodes = 40, .seed = 5, .chord = {.bits = 16}});
  ring.form(40);
  CHECK(ring.flaw().empty());
  for (int i = 0; i < 20; ++i) {
    ring.simulator().run_for(1s);
    REQUIRE_MESSAGE(ring.flaw().empty(), ring.flaw());
  }
  std::uint64_t set = 0;
  for (const auto node : ring.members()) set += ring.node(node).counters().fingers_set;
  CHECK(set == 0);  // a right finger is seen to be right without a lookup
}

TEST_CASE("chord: one node alone owns everything") {
  ChordCluster ring({.nodes = 1, .seed = 1});
  ring.create(0);
  ring.simulator().run_for(10s);
  check_lookups(ring, 5);
  CHECK(ring.messages() == 0);
}

TEST_CASE("chord: any r - 1 consecutive successors may die at once, and the ring has healed 6 s later") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const std::size_t r = 2 + rng.below(7), nodes = 2 * r + 8 + rng.below(30);
    ChordCluster ring({.nodes = nodes, .seed = seed, .chord = {.successors = r}});
    ring.form(nodes);
    ring.simulator().run_for(std::chrono::milliseconds(rng.below(5000)));
    const auto victim = ring.node(ring.random_member(rng)).successors();
    for (std::size_t i = 0; i + 1 < r; ++i) {
      const auto members = ring.members();
      const auto dies = std::ranges::find_if(
          members, [&](std::size_t node) { return ring.node(node).self() == victim[i]; });
      REQUIRE(ring.kill(*dies));
    }
    CHECK_MESSAGE(ring.run_until_ideal(6s).has_value(), ring.flaw());
    CHECK_MESSAGE(ring.checker().violations() == 0, first_violation(ring));
    check_lookups(ring, 10);
  }
}

TEST_CASE("chord: who leaves tells its neighbours, so that no lookup meets it half a second later") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    ChordCluster ring({.nodes = 20, .seed = seed});
    ring.form(20);
    ring.simulator().run_for(3s);
    Rng rng(seed);
    ring.leave(ring.random_member(rng));
    CHECK_MESSAGE(ring.run_until_ideal(500ms, false).has_value(), ring.flaw(false));
    CHECK_MESSAGE(ring.run_until_ideal(6s).has_value(), ring.flaw());
    CHECK_MESSAGE(ring.checker().violations() == 0, first_violation(ring));
    check_lookups(ring, 10);
  }
}

TEST_CASE("chord: right after a crash a lookup goes around the dead, and is answered once") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    ChordCluster ring({.nodes = 60, .seed = seed});
    ring.form(60);
    Rng rng(seed);
    for (int i = 0; i < 15; ++i) ring.kill(ring.random_member(rng));
    std::size_t asked = 0;
    for (const auto node : ring.members())
      for (int i = 0; i < 4; ++i, ++asked)
        ring.lookup(node, target(ring, i), i % 2 == 0 ? ChordMode::iterative : ChordMode::recursive);
    ring.run_lookups();
    const auto outcomes = ring.take_outcomes();
    CHECK(outcomes.size() == asked);
    CHECK(ring.answered_twice() == 0);
    for (const auto& outcome : outcomes) {
      REQUIRE_MESSAGE(outcome.answer.has_value(), outcome.answer.error().to_string());
      CHECK(outcome.right);
    }
  }
}

TEST_CASE("chord: a lookup that may take no hop but one ends with an error, not in silence") {
  ChordCluster ring({.nodes = 64, .seed = 2, .chord = {.successors = 1, .hops_max = 1}});
  ring.form(64);
  for (const auto mode : {ChordMode::iterative, ChordMode::recursive})
    for (int i = 0; i < 50; ++i) ring.lookup(0, target(ring, i), mode);
  ring.run_lookups();
  const auto outcomes = ring.take_outcomes();
  CHECK(outcomes.size() == 100);
  CHECK(std::ranges::count_if(outcomes, [](const auto& o) { return !o.answer; }) > 50);
  for (const auto& outcome : outcomes) CHECK(outcome.took <= 5s);
}

TEST_CASE("chord: lookups of a node that leaves are answered with 'cancelled'") {
  ChordCluster ring({.nodes = 30, .seed = 3});
  ring.form(30);
  for (int i = 0; i < 10; ++i) ring.lookup(4, target(ring, i));
  const auto open = ring.open_lookups();
  CHECK(open > 0);
  ring.leave(4);
  CHECK(ring.open_lookups() == 0);
  CHECK(std::ranges::count_if(ring.take_outcomes(), [](const auto& outcome) {
          return !outcome.answer && outcome.answer.error().code() == Errc::cancelled;
        }) == static_cast<std::ptrdiff_t>(open));
}

TEST_CASE("chord: a node that died is let in again under its old identifier") {
  ChordCluster ring({.nodes = 20, .seed = 4});
  ring.form(20);
  ring.simulator().run_for(2s);
  REQUIRE(ring.kill(7));
  ring.join(7, 3);
  ring.simulator().run_for(8s);
  CHECK(ring.is_member(7));
  CHECK(ring.joins_failed() == 0);
  CHECK_MESSAGE(ring.run_until_ideal(6s).has_value(), ring.flaw());
}

TEST_CASE("chord: who came back at another endpoint is known there by all, whoever still has a link to it") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const std::size_t nodes = 3 + rng.below(24);
    ChordCluster ring({.nodes = nodes, .seed = seed, .chord = {.successors = 1 + rng.below(8)}});
    ring.form(nodes);
    ring.simulator().run_for(2s);
    for (int i = 0; i < 3; ++i) {
      const auto node = static_cast<std::size_t>(rng.below(nodes));
      ring.kill_anyway(node);
      ring.simulator().run_for(std::chrono::milliseconds(rng.below(3) * rng.below(2000)));
      ring.move(node);
      ring.join(node, ring.random_member(rng));
      ring.simulator().run_for(12s);
      if (!ring.is_member(node)) ring.join(node, ring.random_member(rng));
      if (rng.chance(0.5)) ring.close_links();
      ring.simulator().run_for(4s);
    }
    CHECK_MESSAGE(ring.run_until_ideal(30s).has_value(), ring.flaw());
    ring.close_links();
    ring.simulator().run_for(5s);
    CHECK_MESSAGE(ring.flaw().empty(), ring.flaw());
    check_lookups(ring, 5);
  }
}

TEST_CASE("chord: a ring that was cut in two for a minute becomes one again") {
  ChordCluster ring({.nodes = 24, .seed = 6, .chord = {.successors = 4}});
  ring.form(24);
  ring.simulator().run_for(2s);
  std::vector<std::size_t> left, right;
  for (std::size_t i = 0; i < 24; ++i) (i < 12 ? left : right).push_back(i);
  ring.network().partition({left, right});
  ring.simulator().run_for(60s);
  CHECK(!ring.flaw(false).empty());
  ring.network().heal();
  CHECK_MESSAGE(ring.run_until_ideal(60s).has_value(), ring.flaw());
  check_lookups(ring, 10);
}

TEST_CASE("chord: a join through a node that is in no ring, or in a ring of other identifiers, is refused") {
  const ChordContact a{NodeId("a"), {"localhost", 1}}, b{NodeId("b"), {"localhost", 2}};
  const auto exchange = [&](Chord& joiner, Chord& other) -> std::optional<Error> {
    auto actions = joiner.join(Instant{} + 1s, 5, b);
    REQUIRE(actions.size() == 1);
    const auto& ask = std::get<ChordSend>(actions[0]);
    CHECK(ask.endpoint == b.endpoint);
    const auto answers = other.on_message(Instant{} + 1s, a.id, ask.message);
    REQUIRE(answers.size() == 1);
    for (const auto& action :
         joiner.on_message(Instant{} + 1s, b.id, std::get<ChordSend>(answers[0]).message))
      if (const auto* done = std::get_if<ChordJoinDone>(&action)) {
        CHECK(done->command == 5);
        if (!done->result) return done->result.error();
      }
    return {};
  };
  Chord joiner({.self = a}, Rng(1)), idle({.self = b}, Rng(2)), other({.self = b, .bits = 64}, Rng(3));
  static_cast<void>(other.create(Instant{}));
  const auto refused = exchange(joiner, idle);
  REQUIRE(refused);
  CHECK(refused->code() == Errc::refused);
  CHECK(refused->message() == "'b' is in no Chord ring");
  CHECK(joiner.state() == Chord::State::idle);
  const auto incompatible = exchange(joiner, other);
  REQUIRE(incompatible);
  CHECK(incompatible->code() == Errc::incompatible);
  CHECK(incompatible->message() == "the Chord ring of 'b' has 64 bits of sha1, this node 160 bits of sha1");
}

namespace {

/// Nodes whose messages take no time.
struct Mesh {
  explicit Mesh(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const ChordContact self{NodeId("n" + std::to_string(i)),
                              {"localhost", static_cast<std::uint16_t>(i + 1)}};
      nodes.emplace_back(ChordConfig{.self = self}, Rng(i));
    }
  }
  [[nodiscard]] ChordContact contact(std::size_t i) const { return nodes[i].config().self; }
  void perform(std::size_t from, const ChordActions& actions) {
    for (const auto& action : actions)
      if (const auto* sent = std::get_if<ChordSend>(&action)) {
        const auto to = std::ranges::find(nodes, sent->to, [](const Chord& node) { return node.self().id; });
        perform(static_cast<std::size_t>(to - nodes.begin()),
                to->on_message(now, nodes[from].self().id, sent->message));
      }
  }
  void fire() {
    for (std::size_t i = 0; i < nodes.size(); ++i) perform(i, nodes[i].on_time(now));
  }
  void run(Duration time) {
    for (const Instant end = now + time; now < end; now += 50ms) fire();
  }
  void check_ring_of_all() const {
    auto ring = nodes;
    std::ranges::sort(ring, {}, [](const Chord& node) { return node.self().place; });
    for (std::size_t i = 0; i < ring.size(); ++i) {
      CAPTURE(i);
      REQUIRE(!ring[i].successors().empty());
      CHECK(ring[i].successors().front() == ring[(i + 1) % ring.size()].self());
      CHECK(ring[i].predecessor() == ring[(i + ring.size() - 1) % ring.size()].self());
    }
  }

  Instant now{};
  std::vector<Chord> nodes{};
};

}  // namespace

TEST_CASE("chord: a join is known to both neighbours at once, before their next turn") {
  Mesh mesh(12);
  mesh.perform(0, mesh.nodes[0].create(mesh.now));
  for (std::size_t i = 1; i < mesh.nodes.size(); ++i) {
    mesh.perform(i, mesh.nodes[i].join(mesh.now, 1, mesh.contact(0)));
    mesh.perform(i, mesh.nodes[i].on_time(mesh.now));
  }
  mesh.check_ring_of_all();
}

TEST_CASE("chord: two rings whose members meet each other become one") {
  Mesh mesh(10);
  const auto count = mesh.nodes.size();
  for (const std::size_t first : {0u, 1u}) {
    mesh.perform(first, mesh.nodes[first].create(mesh.now));
    for (std::size_t i = first + 2; i < count; i += 2)
      mesh.perform(i, mesh.nodes[i].join(mesh.now, 1, mesh.contact(first)));
    mesh.run(5s);
    CHECK(mesh.nodes[first].successors().size() == count / 2 - 1);
  }
  for (std::size_t i = 0; i < count; ++i)
    mesh.perform(i, mesh.nodes[i].meet(mesh.now, mesh.contact((i + 1) % count)));
  mesh.run(20s);
  mesh.check_ring_of_all();
}

TEST_CASE("chord: a join that nobody answers ends after its time, and who is in no ring looks nothing up") {
  const ChordContact a{NodeId("a"), {"localhost", 1}}, b{NodeId("b"), {"localhost", 2}};
  Chord chord({.self = a}, Rng(1));
  auto done = chord.lookup(Instant{}, 3, ChordId(1));
  REQUIRE(done.size() == 1);
  CHECK(std::get<ChordLookupDone>(done[0]).command == 3);
  CHECK(std::get<ChordLookupDone>(done[0]).answer.error().code() == Errc::refused);
  static_cast<void>(chord.join(Instant{}, 8, b));
  int ends = 0;
  for (Instant now{}; now <= Instant{} + 20s; now += 100ms)
    for (const auto& action : chord.on_time(now))
      if (const auto* end = std::get_if<ChordJoinDone>(&action)) {
        ++ends;
        CHECK(end->command == 8);
        CHECK(!end->result);
        CHECK(now >= Instant{} + 5s);
      }
  CHECK(ends == 1);
  CHECK(chord.next_deadline() == kNever);
}

TEST_CASE("chord: a neighbour whose link is lost is asked at once, not at the next turn") {
  ChordCluster ring({.nodes = 3, .seed = 1});
  ring.form(3);
  Chord chord = ring.node(0);
  const auto actions = chord.on_unanswered(Instant{} + 1ms, ring.node(1).self().id);
  REQUIRE(actions.size() == 1);
  CHECK(std::holds_alternative<ChordAsk>(std::get<ChordSend>(actions[0]).message));
  CHECK(chord.on_unanswered(Instant{} + 1ms, NodeId("stranger")).empty());
}

TEST_CASE("chord: messages in others' names and answers to nothing change nothing") {
  ChordCluster ring({.nodes = 5, .seed = 1});
  ring.form(5);
  Chord chord = ring.node(0);
  const auto successors = chord.successors();
  const auto stranger = ChordContact{NodeId("stranger"), {"localhost", 9}};
  const Instant now = Instant{} + 1ms;
  const auto refused = chord.on_message(now, stranger.id, ChordNotify{160, ring.node(1).self().contact()});
  REQUIRE(refused.size() == 1);
  CHECK(std::holds_alternative<ChordRefused>(refused[0]));
  for (std::uint64_t request = 0; request < 50; ++request) {
    CHECK(chord.on_message(now, stranger.id, ChordNeighbours{request, stranger, {stranger}}).empty());
    CHECK(chord.on_message(now, stranger.id, ChordNext{request, true, {stranger}, {}}).empty());
    CHECK(chord.on_message(now, stranger.id, ChordRefusal{request}).empty());
    CHECK(chord.on_message(now, stranger.id, ChordFound{request, stranger}).empty());
  }
  CHECK(chord.on_message(now, stranger.id, ChordGone{}).empty());
  CHECK(chord.on_message(now, stranger.id, ChordHint{}).empty());
  CHECK(chord.successors() == successors);
}
