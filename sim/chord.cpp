// cluster-sim chord: one run, its options, and what came of it.
#include "chord.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cluster/sim/faults.hpp"
#include "exit.hpp"
#include "options.hpp"

namespace cluster::sim {
namespace {

using Json = nlohmann::ordered_json;

struct ChordOptions {
  ChordScenario scenario{};
  std::string route = "fingers", hash = "sha1", stabilize, figures;
  bool recursive = false, json = false, local = false, show = false;
};

void declare(CLI::App& app, ChordOptions& options) {
  auto& scenario = options.scenario;
  app.add_option("--nodes", scenario.nodes, "how many nodes")->capture_default_str();
  app.add_option("--seed", scenario.seed, "where all chance comes from")
      ->check(not_a_count)
      ->capture_default_str();
  app.add_option("--lookups", scenario.lookups, "of random keys, by random nodes")->capture_default_str();
  app.add_option("--fail", scenario.fail, "the share of nodes that die at once, right before the lookups");
  app.add_option("--churn", scenario.churn_per_s, "joins a second, and as many crashes, during the lookups");
  app.add_option("--lookups-per-s", scenario.lookups_per_s, "with --churn: how fast they are made")
      ->capture_default_str();
  app.add_option("--stabilize", options.stabilize, "between stabilizations of a node (default 1s)");
  app.add_option("--bits", scenario.bits, "of an identifier: 8 to 160")->capture_default_str();
  app.add_option("--hash", options.hash, "sha1 or sha256")->check(CLI::IsMember({"sha1", "sha256"}));
  app.add_option("--successors", scenario.successors, "length of the successor lists")->capture_default_str();
  app.add_option("--route", options.route,
                 "fingers: as in the paper's figures; both: over the successor lists too, as nodes do")
      ->check(CLI::IsMember({"fingers", "both"}))
      ->capture_default_str();
  app.add_flag("--recursive", options.recursive,
               "each node hands the lookup on, instead of the asker asking");
  app.add_flag("--join", scenario.join, "begin with one node and joins, not with an ideal ring");
  app.add_flag("--json", options.json, "the summary as JSON");
  auto* const local =
      app.add_flag("--local", options.local, "a small ring made by joins, verified finger by finger");
  app.add_flag("--show", options.show, "with --local: print every finger table")
      ->needs(local)
      ->excludes("--json");
  auto* const figures =
      app.add_option("--figures", options.figures,
                     "run the paper's experiments: plots into this folder, tables to the output");
  // What would not be heeded is not passed over.
  for (const auto* of_lookups : {"--lookups", "--fail", "--churn", "--lookups-per-s", "--stabilize",
                                 "--route", "--recursive", "--join"}) {
    local->excludes(of_lookups);
    figures->excludes(of_lookups);
  }
  for (const auto* not_chosen : {"--local", "--json", "--nodes", "--bits", "--hash", "--successors"})
    figures->excludes(not_chosen);
}

Json json_of(const Spread& spread) {
  return {{"mean", std::round(spread.mean * 1000) / 1000}, {"p1", spread.p1}, {"p99", spread.p99}};
}

Json ms_of(const std::optional<Duration>& duration) {
  return duration ? Json(*duration / 1ms) : Json(nullptr);
}

std::string to_json(const ChordReport& report) {
  const auto& scenario = report.scenario;
  const Json json{{"nodes", scenario.nodes},
                  {"seed", scenario.seed},
                  {"lookups", report.lookups},
                  {"failed_lookups", report.failed_lookups},
                  {"path_length", json_of(report.path_length)},
                  {"half_log2_nodes", 0.5 * std::log2(static_cast<double>(scenario.nodes))},
                  {"timeouts_mean", std::round(report.timeouts.mean * 1000) / 1000},
                  {"timeouts", json_of(report.timeouts)},
                  {"invariant_violations", report.invariant_violations},
                  {"violations", report.first_violations},
                  {"invariant_checks", report.checks},
                  {"nodes_died", report.died},
                  {"nodes_spared", report.spared},
                  {"nodes_joined", report.joined},
                  {"ideal_ms", ms_of(report.ideal_after)},
                  {"healed_ms", ms_of(report.healed_after)},
                  {"messages", report.messages},
                  {"virtual_s", std::chrono::duration<double>(report.virtual_time).count()}};
  return json.dump();
}

void print(const ChordReport& report) {
  const auto& scenario = report.scenario;
  auto& out = std::cout;
  const auto row = [&](const char* name) -> std::ostream& {
    return out << "  " << std::left << std::setw(24) << name;
  };
  const auto spread = [](const Spread& of) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(2) << "mean " << of.mean << std::setprecision(0) << ", p1 "
         << of.p1 << ", p99 " << of.p99 << ", max " << of.max;
    return text.str();
  };
  out << scenario.nodes << " nodes, seed " << scenario.seed << ", " << scenario.bits << " bits, "
      << scenario.successors << " successors\n";
  if (report.joined > 0) row("joined") << report.joined << '\n';
  if (scenario.join)
    row("ideal") << (report.ideal_after
                         ? std::to_string(*report.ideal_after / 1ms) + " ms after the last join"
                         : "no")
                 << '\n';
  if (report.died > 0)
    row("died") << report.died << ", " << report.spared
                << " spared so that each member keeps a live successor\n";
  row("lookups") << report.lookups << ", " << report.failed_lookups << " failed\n";
  row("path length") << spread(report.path_length) << "; 1/2 log2 N = " << std::setprecision(3)
                     << 0.5 * std::log2(static_cast<double>(scenario.nodes)) << '\n';
  row("timeouts a lookup") << spread(report.timeouts) << '\n';
  if (scenario.fail > 0)
    row("healed") << (report.healed_after ? std::to_string(*report.healed_after / 1ms) + " ms after the crash"
                                          : "no")
                  << '\n';
  row("invariant") << report.checks << " checks, " << report.invariant_violations << " violations\n";
  for (const auto& [name, text] : report.first_violations) row("") << name << ": " << text << '\n';
  row("messages") << report.messages << '\n';
}

}  // namespace

int run_chord(const std::vector<std::string>& arguments) {
  ChordOptions options;
  CLI::App app{
      "Runs a Chord ring on a virtual clock. After every event the ring is checked for Zave's invariant.\n"
      "Exit code: 0 all checks passed, 1 one failed, 2 wrong usage.",
      "cluster-sim chord"};
  declare(app, options);
  auto words = arguments;
  std::ranges::reverse(words);
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return kOk;
  } catch (const CLI::ParseError& fault) {
    return fail_usage("cluster-sim chord", fault.what());
  }
  auto& scenario = options.scenario;
  scenario.route_by_successors = options.route == "both";
  scenario.hash = options.hash == "sha1" ? proto::ChordHash::sha1 : proto::ChordHash::sha256;
  if (options.recursive) scenario.mode = proto::ChordMode::recursive;
  if (!options.stabilize.empty()) {
    const auto interval = parse_duration(options.stabilize);
    if (!interval) return fail_usage("cluster-sim chord", interval.error().message());
    scenario.stabilize_interval = *interval;
  }
  if (scenario.churn_per_s > 0 && scenario.lookups_per_s == 0) scenario.lookups_per_s = 10;
  if (const auto ok = scenario.check(); !ok) return fail_usage("cluster-sim chord", ok.error().message());
  if (!options.figures.empty()) {
    if (!std::filesystem::is_directory(options.figures) || ::access(options.figures.c_str(), W_OK) != 0)
      return fail_usage("cluster-sim chord",
                        "--figures: '" + options.figures + "' is no folder that can be written to");
    return draw_chord(options.figures, scenario.seed) ? kOk : kCheckFailed;
  }
  if (options.local) {
    const auto shown = options.json   ? ChordShown::json
                       : options.show ? ChordShown::tables
                                      : ChordShown::summary;
    return show_chord(scenario, shown) ? kOk : kCheckFailed;
  }
  const auto report = run(scenario);
  if (options.json)
    std::cout << to_json(report) << '\n';
  else
    print(report);
  // Under churn a lookup may meet what is not known yet; in a ring at rest, and right after a crash, none
  // may.
  const bool failed = report.invariant_violations > 0 ||
                      (scenario.churn_per_s == 0 && scenario.fail == 0 && report.failed_lookups > 0) ||
                      (scenario.fail > 0 && !report.healed_after) || (scenario.join && !report.ideal_after);
  return failed ? kCheckFailed : kOk;
}

}  // namespace cluster::sim
