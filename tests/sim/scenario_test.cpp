// Whole scenarios: what must hold under any faults, and that the checkers would see it if it did not.
#include "cluster/sim/scenario.hpp"

#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "cluster/sim/planted_bugs.hpp"
#include "cluster/sim/storm_checker.hpp"
#include "seeds.hpp"

using namespace cluster;
using namespace cluster::sim;

namespace {

Scenario chaos(std::uint64_t seed, std::size_t nodes) {
  Scenario scenario{.nodes = nodes, .seed = seed};
  add_chaos(scenario);
  return scenario;
}

constexpr std::array<std::size_t, 4> kSizes{5, 16, 32, 64};

std::string text(const std::vector<std::string>& lines) {
  std::string joined;
  for (const auto& line : lines) joined += line + '\n';
  return joined;
}

struct Silence {
  std::size_t told = 0;  // of the others
  Duration last{};       // until the last of them knew
};

/// A node's packets are dropped from some moment on: no connection tells of its end.
Silence silence_to_last_report(std::size_t nodes, std::uint64_t seed) {
  struct Reports : Witness {
    void on_health(std::size_t place, const proto::StateChanged& change) override {
      if (change.to == proto::MemberState::unreachable && change.id == cluster->id(victim) && place != victim)
        ++silence.told, silence.last = cluster->simulator().now() - began;
    }
    RingCluster* cluster = nullptr;
    std::size_t victim = 0;
    Instant began{};
    Silence silence{};
  };
  RingCluster cluster({.seed = seed, .detector = true, .keep_events = false});
  std::vector<ProcessStart> starts;
  for (std::size_t place = 0; place < nodes; ++place) starts.push_back({.id = node_name(place, nodes)});
  cluster.form(starts);
  Rng rng(seed);
  cluster.simulator().run_for(2s + Duration(rng.between(0, 1'000'000'000)));
  Reports reports;
  reports.cluster = &cluster;
  reports.victim = static_cast<std::size_t>(rng.below(nodes));
  reports.began = cluster.simulator().now();
  cluster.add_witness(reports);
  std::vector<std::size_t> others;
  for (std::size_t place = 0; place < nodes; ++place)
    if (place != reports.victim) others.push_back(place);
  cluster.network().cut({{reports.victim}, others});
  cluster.simulator().run_for(20s);
  return reports.silence;
}

}  // namespace

TEST_CASE(
    "scenario: whatever befalls a ring, no edit is lost, nobody removed comes back, all agree in time, and "
    "the "
    "detectors end up right") {
  for (std::uint64_t seed = 1; seed <= seeds(60); ++seed) {
    CAPTURE(seed);
    const auto report = run(chaos(seed, 3 + seed % 10));
    CHECK_MESSAGE(report.violations.empty(), text(report.violations));
  }
}

TEST_CASE("scenario: a ring in which nodes leave, die and come back all the time loses nothing") {
  for (std::uint64_t seed = 1; seed <= seeds(4); ++seed) {
    CAPTURE(seed);
    const auto report = run({.nodes = 30,
                             .seed = seed,
                             .duration = 2min,
                             .network = {.loss = 0.02},
                             .skew = 1s,
                             .edits_per_s = 1,
                             .churn_per_s = 0.3});
    CHECK_MESSAGE(report.violations.empty(), text(report.violations));
    CHECK(report.edits_total > 50);
    CHECK(report.detection_ms.count > 0);
  }
}

TEST_CASE("scenario: of a large ring that crashed as a whole, those that come back find each other") {
  struct Row {
    std::size_t nodes;
    std::size_t back;
  };
  for (const auto& row : {Row{100, 10}, Row{200, 5}, Row{200, 20}})
    for (std::uint64_t seed = 1; seed <= seeds(3); ++seed) {
      CAPTURE(seed);
      CAPTURE(row.nodes);
      Scenario scenario{.nodes = row.nodes, .seed = seed, .edits_per_s = 0.5};
      Fault dead{.kind = Fault::Kind::kill, .groups = {{}}, .from = 10s};
      Fault back{.kind = Fault::Kind::kill, .groups = {{}}, .from = 12s, .until = 30s};
      for (std::size_t place = 0; place < row.nodes; ++place)
        (place < row.nodes - row.back ? dead : back).groups[0].places.push_back(place);
      scenario.faults = {dead, back};
      const auto report = run(scenario);
      CHECK_MESSAGE(report.violations.empty(), text(report.violations));
    }
}

TEST_CASE("scenario: a ring that crashes as a whole and starts again agrees, and its burst is no storm") {
  for (std::uint64_t seed = 1; seed <= seeds(12); ++seed) {
    CAPTURE(seed);
    const auto nodes = 30 + 34 * (seed - 1) / 11 % 35;
    Scenario scenario{.nodes = nodes, .seed = seed, .duration = 8s, .handshake = false};
    const auto all = "0-" + std::to_string(nodes - 1) + "@2s..7s";
    scenario.faults = {parse_fault(seed % 3 == 0 ? Fault::Kind::stop : Fault::Kind::kill, all).value()};
    const auto report = run(scenario);
    CHECK_MESSAGE(report.violations.empty(), text(report.violations));
    CHECK(report.converged);
  }
}

TEST_CASE("scenario: where all begin, end or lose their connections at once, the burst is no storm") {
  using Kind = Fault::Kind;
  struct Row {
    std::size_t nodes;
    std::uint64_t seed;
    bool join;
    Kind kind{};
    const char* fault = nullptr;
  };
  for (const auto& row :
       {Row{40, 1, true}, Row{64, 1, true}, Row{30, 4, true}, Row{22, 71, false, Kind::kill, "0-21@2s..7s"},
        Row{64, 1, false, Kind::kill, "30%@2s..7s"}, Row{64, 72, false, Kind::stop, "0-63@2s..7s"},
        Row{64, 72, false, Kind::reset, "0-63@2s"}, Row{200, 72, false, Kind::kill, "0-99@2s..7s"}}) {
    if (kSanitized && row.nodes > 100) continue;
    CAPTURE(row.nodes);
    CAPTURE(row.seed);
    Scenario scenario{.nodes = row.nodes,
                      .seed = row.seed,
                      .duration = row.join ? 2s : 8s,
                      .handshake = row.nodes <= 40,
                      .join = row.join};
    if (row.fault != nullptr) scenario.faults = {parse_fault(row.kind, row.fault).value()};
    const auto report = run(scenario);
    CHECK_MESSAGE(report.violations.empty(), text(report.violations));
  }
}

TEST_CASE("storm checker: messages need news, which excuse so many for so long") {
  constexpr std::size_t nodes = 10;
  constexpr auto without = nodes * StormChecker::kMessagesMax * StormChecker::kWindow.count();
  constexpr auto with = without + nodes * StormChecker::kMessagesPerNews;
  const Instant start{};
  {
    StormChecker none(nodes);
    CHECK(none.calm(start + 1s, without));
    CHECK_FALSE(none.calm(start + 2s, without + 1));
  }
  {
    StormChecker slow(nodes);  // what was sent before the window does not count
    CHECK(slow.calm(start + 1s, without));
    CHECK(slow.calm(start + 6s, without));
    CHECK(slow.calm(start + 6s + 1ms, 2 * without));
  }
  for (const bool late : {false, true}) {
    CAPTURE(late);
    StormChecker one(nodes);
    CHECK(one.calm(start + 1s, 0));
    one.news();
    CHECK(one.calm(start + 2s, 0));
    CHECK(one.calm(start + 8s, 0));
    const auto when = start + (late ? 12s + 1ms : 11s);
    CHECK(one.calm(when, late ? without : with));
    CHECK_FALSE(one.calm(when, (late ? without : with) + 1));
  }
}

TEST_CASE("scenario: an echo without end is found by its traffic alone") {
  for (const std::size_t nodes : {5, 48}) {
    CAPTURE(nodes);
    Scenario scenario{.nodes = nodes, .duration = 30s, .edits_per_s = 0.5};
    CHECK(run(scenario).violations.empty());
    scenario.planted = "echo";
    const auto report = run(scenario);
    REQUIRE_FALSE(report.violations.empty());
    CHECK(report.violations.front().starts_with("a storm"));
  }
}

TEST_CASE("scenario: clocks that jump by the hour that they may differ lose no edit") {
  for (const auto jump : {1h, -1h})
    for (std::uint64_t seed = 1; seed <= seeds(4); ++seed) {
      CAPTURE(seed);
      CAPTURE(jump.count());
      Scenario scenario{.nodes = 8, .seed = seed, .network = {.loss = 0.02}, .edits_per_s = 3};
      scenario.faults = {{.kind = Fault::Kind::clock,
                          .groups = {{.places = {3, 5}}},
                          .from = 5s,
                          .until = 30s,
                          .jump = jump},
                         {.kind = Fault::Kind::kill, .groups = {{.places = {5}}}, .from = 12s, .until = 20s},
                         {.kind = Fault::Kind::kill, .groups = {{.places = {3}}}, .from = 28s, .until = 35s}};
      const auto report = run(scenario);
      CHECK_MESSAGE(report.violations.empty(), text(report.violations));
    }
}

TEST_CASE("scenario: whose clock jumps further ahead answers edits that nobody would take with an error") {
  for (const std::size_t nodes : {2, 5})
    for (std::uint64_t seed = 100; seed < 100 + seeds(2); ++seed) {
      CAPTURE(seed);
      Scenario scenario{.nodes = nodes, .seed = seed, .edits_per_s = 5};
      scenario.faults = {
          {.kind = Fault::Kind::clock, .groups = {{.places = {1}}}, .from = 10s, .until = 40s, .jump = 2h}};
      const auto report = run(scenario);
      CHECK_MESSAGE(report.violations.empty(), text(report.violations));
    }
}

TEST_CASE("scenario: nodes that lost their disks come back into the ring, and not to one that has left it") {
  struct Row {
    std::size_t nodes;
    std::uint64_t seed;
    double churn_per_s;
    std::size_t wiped;
    Duration from, until;
  };
  for (const auto& row :
       {Row{5, 5'024, 0.4, 0, 58'493ms, 73'812ms}, Row{9, 77'100, 2, 5, 63'340ms, 66'318ms}}) {
    CAPTURE(row.seed);
    Scenario scenario{.nodes = row.nodes, .seed = row.seed, .duration = row.until + 1s};
    scenario.churn_per_s = row.churn_per_s;
    scenario.faults = {{.kind = Fault::Kind::wipe,
                        .groups = {{.places = {row.wiped}}},
                        .from = row.from,
                        .until = row.until}};
    const auto report = run(scenario);
    CHECK_MESSAGE(report.violations.empty(), text(report.violations));
  }
}

TEST_CASE("scenario: every bug that can be planted is found within the stated number of seeds") {
  for (const auto& bug : planted_bugs()) {
    CAPTURE(std::string(bug.name));
    std::uint64_t found = 0;
    for (std::uint64_t seed = 1; seed <= bug.seeds && found == 0; ++seed) {
      auto scenario = chaos(seed, 8);
      scenario.planted = bug.name;
      if (!run(scenario).violations.empty()) found = seed;
    }
    CHECK(found > 0);
  }
}

TEST_CASE("scenario: of a failing one the search keeps what makes it fail") {
  auto scenario = chaos(1, 8);
  scenario.planted = "digest";
  const auto smallest = shrink(scenario, 40);
  CHECK_FALSE(run(smallest).violations.empty());
  CHECK(smallest.nodes < scenario.nodes);
  CHECK(smallest.faults.size() < scenario.faults.size());
  CHECK(smallest.edits_per_s > 0);
}

TEST_CASE("scenario: a seed gives one course of events, another seed another") {
  const auto trace = [](std::uint64_t seed) { return run(chaos(seed, 6)).trace_hash; };
  CHECK(trace(5) == trace(5));
  CHECK(trace(5) != trace(6));
}

TEST_CASE("scenario: single nodes that meet the first become one ring") {
  const auto report = run({.nodes = 20, .duration = 30s, .join = true});
  CHECK_MESSAGE(report.violations.empty(), text(report.violations));
  CHECK(report.converged);
}

TEST_CASE("scenario: a pause of 3 s makes nobody unreachable; one of 20 s does, and it is mended") {
  for (std::uint64_t seed = 1; seed <= seeds(10); ++seed) {
    CAPTURE(seed);
    Scenario scenario{.nodes = 10, .seed = seed};
    scenario.faults = {parse_fault(Fault::Kind::pause, "4@10s+3s").value()};
    CHECK(run(scenario).accusations == 0);
    scenario.faults = {parse_fault(Fault::Kind::pause, "4@10s+20s").value()};
    const auto report = run(scenario);
    CHECK(report.accusations >= 9);
    CHECK_MESSAGE(report.violations.empty(), text(report.violations));
  }
}

TEST_CASE("scenario: a dead process is known to all within 6 s") {
  for (std::uint64_t seed = 1; seed <= seeds(12); ++seed) {
    CAPTURE(seed);
    Scenario scenario{.nodes = kSizes[seed % kSizes.size()], .seed = seed};
    scenario.faults = {parse_fault(Fault::Kind::kill, "2@10s").value()};
    const auto dead = run(scenario);
    CHECK(dead.detection_ms.count == scenario.nodes - 1);
    CHECK(dead.detection_ms.max <= 6'000);
    CHECK(dead.false_positives == 0);
  }
}

TEST_CASE("scenario: a silent host is known to all within 10 s in 99 of 100 cases, in rings of up to 64") {
  std::size_t rings = 0, late = 0;
  for (std::uint64_t seed = 1; seed <= seeds(100); ++seed) {
    CAPTURE(seed);
    const auto nodes = kSizes[seed % kSizes.size()];
    const auto silence = silence_to_last_report(nodes, seed);
    CHECK(silence.told == nodes - 1);
    CHECK(silence.last <= 12s);
    ++rings;
    late += silence.last > 10s ? 1 : 0;
  }
  MESSAGE("of " << rings << " silent hosts " << late << " were not known to all within 10 s");
  CHECK(100 * late <= rings);
}

TEST_CASE(
    "scenario: in a large ring a node has O(log N) connections, and all know of a dead process within 6 s") {
  for (const std::size_t nodes : {150, 1000}) {
    if (kSanitized && nodes > 200) continue;
    CAPTURE(nodes);
    // The small one for long enough that connections on demand are closed as well.
    Scenario scenario{.nodes = nodes, .seed = 3, .duration = nodes > 200 ? 20s : 4min};
    scenario.faults = {parse_fault(Fault::Kind::kill, "17@8s").value()};
    const auto report = run(scenario);
    CHECK_MESSAGE(report.violations.empty(), text(report.violations));
    CHECK(report.detection_ms.count == nodes - 1);
    CHECK(report.detection_ms.max <= 6'000);
    CHECK(report.false_positives == 0);
    MESSAGE(nodes << " nodes: " << report.links_per_node << " connections a node, at most "
                  << report.links_max);
    // Those that are kept, and what was said to others in the last minute or so, whatever N.
    const auto kept = static_cast<double>(proto::standing_links(nodes));
    CHECK(report.links_per_node >= kept / 2);
    CHECK(report.links_per_node <= kept + 32);
    CHECK(static_cast<double>(report.links_max) <= kept + 64);
    if (nodes < 200) CHECK(report.links.closed_idle > 0);
  }
}

TEST_CASE("scenario: nodes with another cookie, however many and however long they dial, stay outside") {
  const auto report =
      run({.nodes = 6, .seed = 4, .duration = 30s, .network = {.loss = 0.05}, .intruders = 4});
  CHECK_MESSAGE(report.violations.empty(), text(report.violations));
  CHECK(report.links.wrong_cookies > 100);
}

TEST_CASE("scenario: a ring of ten thousand nodes runs, idle and whole") {
  if (kSanitized) return;  // too large where every step is checked
  const auto report = run({.nodes = 10'000, .duration = 3s});
  CHECK_MESSAGE(report.violations.empty(), text(report.violations));
  CHECK(report.converged);
  CHECK(report.bytes_per_node_per_s <= 100);
}

TEST_CASE("scenario: pauses of one node that overlap end with the last of them") {
  Scenario scenario{.nodes = 5, .duration = 60s};
  scenario.faults = {parse_fault(Fault::Kind::pause, "2@5s+25s").value(),
                     parse_fault(Fault::Kind::pause, "2@6s+1s").value()};
  CHECK(run(scenario).accusations >= 4);
}

TEST_CASE("scenario: one that cannot be is refused with a reason") {
  Scenario scenario;
  scenario.faults = {parse_fault(Fault::Kind::kill, "9@10s").value()};
  CHECK(scenario.check().error().message() == "'9@10s': the nodes are 0 to 4");
  scenario = {};
  scenario.faults = {parse_fault(Fault::Kind::kill, "1@10s..70s").value()};
  CHECK(scenario.check().error().message() == "'1@10s..70s' ends after the run of 60s");
  scenario = {.planted = "nothing"};
  CHECK_FALSE(scenario.check());
  scenario = {.nodes = 0};
  CHECK_FALSE(scenario.check());
}
