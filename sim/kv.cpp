// cluster-sim kv: its options, its runs, and what came of them.
#include "kv.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "cluster/proto/kv_bucket.hpp"
#include "cluster/sim/faults.hpp"
#include "cluster/sim/kv_scenario.hpp"
#include "exit.hpp"
#include "options.hpp"
#include "report.hpp"

namespace cluster::sim {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kProgram = "cluster-sim kv";
constexpr std::size_t kKvShrinkRuns = 100;
constexpr std::size_t kViolationsShown = 20;

struct KvOptions {
  KvScenario scenario{};
  std::size_t seeds = 1;
  bool json = false;
  bool shrink = true;
};

/// As typed: what is not is as in the scenario that `--break` brings along.
struct KvTyped {
  std::optional<std::uint64_t> seed;
  std::optional<std::size_t> nodes, clients, keys, zones, disks_at_once;
  std::optional<std::uint32_t> n, r, w;
  std::optional<double> ttl, batches;
  std::optional<std::string> duration, faults, rule, bug;
  bool no_chaos = false, no_shrink = false;
};

void declare(CLI::App& app, KvOptions& options, KvTyped& typed) {
  const KvScenario usual;
  const auto number = [&app](const char* name, auto& into, const char* what, auto otherwise) {
    app.add_option(name, into, what + (" (default " + std::to_string(otherwise) + ")"))->check(not_a_count);
  };
  number("--nodes", typed.nodes, "in the ring at first; two more may join", usual.nodes);
  number("--seed", typed.seed, "where all chance comes from", usual.seed);
  app.add_option("--seeds", options.seeds, "run so many seeds, from --seed on")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--duration", typed.duration,
                 "virtual time in which something fails, as 60s or 10m (default 60s)");
  number("-N,--copies", typed.n, "replicas of each key", usual.bucket.n);
  number("-R,--read-quorum", typed.r, "replicas that must answer a read", usual.bucket.r);
  number("-W,--write-quorum", typed.w, "replicas that must have a write on their disks", usual.bucket.w);
  app.add_option("--rule", typed.rule,
                 "what becomes of values written without knowledge of each other:\n"
                 "siblings (the default), last (the one written last by the clocks), union (merged)");
  app.add_option("--ttl", typed.ttl, "the share of values that have a time to live (default 0)")
      ->check(not_a_count);
  app.add_option("--batches", typed.batches,
                 "the share of turns in which a client asks for several things at once (default 0)")
      ->check(not_a_count);
  number("--zones", typed.zones, "over which the nodes are spread; 0: they have none", usual.zones);
  number("--clients", typed.clients, "each does one thing after the other", usual.clients);
  number("--keys", typed.keys, "that they read and write", usual.keys);
  app.add_option("--faults", typed.faults,
                 "all, none, or some of crashes, power (all crash at once), disks (a node loses its disk),\n"
                 "full (its disk takes no more until it is started again), pauses, partitions,\n"
                 "network (loss, delay, doubles), clocks, joins, removals (of dead\n"
                 "members), leaves (of live ones), weights, zones (whole ones fail). With W = 1, where the\n"
                 "loss of a disk may lose what was acknowledged, all are all but disks and removals");
  app.add_flag("--no-chaos", typed.no_chaos, "as --faults none");
  number("--disks-at-once", typed.disks_at_once, "disks lost together, at most W - 1 of them without a loss",
         usual.disks_at_once);
  app.add_option("--break", typed.bug,
                 help_of("plant a mistake, to see it found within so many seeds:", kv_planted_bugs()));
  app.add_flag("--json", options.json, "the summary as JSON");
  app.add_flag("--no-shrink", typed.no_shrink, "do not look for the shortest command that fails");
}

template <class T>
void take(const std::optional<T>& from, T& into) {
  if (from) into = *from;
}

Result<KvOptions> interpret(KvOptions options, const KvTyped& typed) {
  auto& scenario = options.scenario;
  if (typed.bug) {
    const auto bugs = kv_planted_bugs();
    const auto found = std::ranges::find(bugs, *typed.bug, &KvPlantedBug::name);
    if (found == bugs.end()) {
      std::string names;
      for (const auto& bug : bugs) names += (names.empty() ? "" : ", ") + std::string(bug.name);
      return Error(Errc::invalid_argument, "'" + *typed.bug + "' cannot be broken: choose " + names);
    }
    scenario = scenario_for(found->bug);
  }
  take(typed.seed, scenario.seed);
  take(typed.nodes, scenario.nodes);
  take(typed.clients, scenario.clients);
  take(typed.keys, scenario.keys);
  take(typed.zones, scenario.zones);
  take(typed.disks_at_once, scenario.disks_at_once);
  take(typed.n, scenario.bucket.n);
  take(typed.r, scenario.bucket.r);
  take(typed.w, scenario.bucket.w);
  take(typed.ttl, scenario.ttl);
  take(typed.batches, scenario.batches);
  if (typed.rule)
    if (auto ok = set_rule(*typed.rule, scenario.bucket); !ok) return std::move(ok).error();
  options.shrink = !typed.no_shrink;
  if (typed.duration) {
    const auto duration = parse_duration(*typed.duration);
    if (!duration) return duration.error();
    scenario.duration = *duration;
  }
  if (typed.no_chaos && typed.faults)
    return Error(Errc::invalid_argument, "--faults and --no-chaos exclude each other");
  if (typed.faults) {
    auto faults = parse_kv_faults(*typed.faults);
    if (!faults) return faults.error();
    scenario.faults = std::move(faults).value();
  } else if (typed.no_chaos) {
    scenario.faults.clear();
  } else if (scenario.bucket.w == 1) {
    scenario.faults.erase(KvFault::disks);
    scenario.faults.erase(KvFault::removals);
  }
  if (auto ok = scenario.check(); !ok) return std::move(ok).error();
  return options;
}

/// What the store promises nothing of is said, not hidden.
void say_limits(const KvScenario& scenario) {
  const auto& bucket = scenario.bucket;
  if (bucket.r + bucket.w <= bucket.n) std::cerr << "R + W <= N: reads may be stale\n";
  const bool disks = scenario.faults.contains(KvFault::disks) || scenario.faults.contains(KvFault::removals);
  if (disks && scenario.disks_at_once >= bucket.w)
    std::cerr << "as many disks as W are lost at once: acknowledged writes may be\n";
}

/// Some seeds as one: sums, the slowest, the first mistakes.
struct KvSummary {
  std::uint64_t runs = 0;
  KvVerdict sum{};
  std::vector<std::uint64_t> failed{};

  void add(std::uint64_t seed, const KvVerdict& verdict) {
    ++runs;
    if (!verdict.violations.empty()) failed.push_back(seed);
    sum.violations.insert(sum.violations.end(), verdict.violations.begin(), verdict.violations.end());
    for (const auto count : {&KvVerdict::acknowledged, &KvVerdict::unknown, &KvVerdict::unavailable,
                             &KvVerdict::reads, &KvVerdict::lost, &KvVerdict::stale, &KvVerdict::siblings,
                             &KvVerdict::conditions, &KvVerdict::conditions_unmet, &KvVerdict::replaced,
                             &KvVerdict::forgotten, &KvVerdict::disks_lost, &KvVerdict::left})
      sum.*count += verdict.*count;
    sum.converged = std::max(sum.converged, verdict.converged);
    sum.virtual_time += verdict.virtual_time;
    sum.events += verdict.events;
    sum.trace = verdict.trace;
  }
};

std::string kv_json(const KvScenario& scenario, const KvSummary& summary, const std::string& replay) {
  const auto& sum = summary.sum;
  const auto& bucket = scenario.bucket;
  auto shown = sum.violations;
  shown.resize(std::min(shown.size(), kViolationsShown));
  Json json{{"nodes", scenario.nodes},
            {"seed", scenario.seed},
            {"n", bucket.n},
            {"r", bucket.r},
            {"w", bucket.w},
            {"rule", proto::resolve_name(bucket)},
            {"zones", scenario.zones},
            {"clients", scenario.clients},
            {"keys", scenario.keys},
            {"faults", to_text(scenario.faults)},
            {"writes_acknowledged", sum.acknowledged},
            {"writes_unknown", sum.unknown},
            {"reads", sum.reads},
            {"unavailable", sum.unavailable},
            {"lost", sum.lost},
            {"stale", sum.stale},
            {"siblings", sum.siblings},
            {"conditions", sum.conditions},
            {"conditions_unmet", sum.conditions_unmet},
            {"replaced", sum.replaced},
            {"forgotten", sum.forgotten},
            {"disks_lost", sum.disks_lost},
            {"left", sum.left},
            {"converged_ms", sum.converged / 1ms},
            {"virtual_s", std::chrono::duration<double>(sum.virtual_time).count()},
            {"events", sum.events}};
  if (summary.runs == 1) {
    json["trace_hash"] = sum.trace;
  } else {
    json["seeds"] = summary.runs;
    json["seeds_failed"] = summary.failed;
  }
  json["violations"] = shown;
  json["violations_total"] = sum.violations.size();
  if (!replay.empty()) json["replay"] = replay;
  return json.dump();
}

std::string kv_text(const KvScenario& scenario, const KvSummary& summary) {
  std::ostringstream out;
  const auto row = [&](const char* name) -> std::ostream& {
    return out << "  " << std::left << std::setw(16) << name;
  };
  const auto& sum = summary.sum;
  const auto& bucket = scenario.bucket;
  out << scenario.nodes << " nodes, ";
  if (summary.runs == 1)
    out << "seed " << scenario.seed;
  else
    out << summary.runs << " seeds";
  out << ", N " << bucket.n << ", R " << bucket.r << ", W " << bucket.w << ", " << proto::resolve_name(bucket)
      << ", " << to_text(std::chrono::floor<std::chrono::seconds>(sum.virtual_time)) << " of virtual time, "
      << sum.events << " events\n";
  row("faults") << to_text(scenario.faults) << "; " << sum.disks_lost << " disks lost, " << sum.left
                << " members left alive\n";
  row("writes") << sum.acknowledged << " acknowledged or read, " << sum.unknown << " with unknown outcome\n";
  row("conditions") << sum.conditions << " fulfilled, " << sum.conditions_unmet << " not; " << sum.replaced
                    << " writes replaced all\n";
  row("reads") << sum.reads << ", " << sum.siblings << " with siblings\n";
  row("unavailable") << sum.unavailable << " requests\n";
  row("deleted keys") << sum.forgotten << " forgotten\n";
  row("replicas alike") << sum.converged / 1ms << " ms after the last fault"
                        << (summary.runs > 1 ? ", at worst" : "") << '\n';
  row("lost") << sum.lost << " writes\n";
  row("stale") << sum.stale << " reads\n";
  if (summary.failed.empty()) {
    out << "All checks passed.\n";
    return out.str();
  }
  out << "FAILED, seed " << summary.failed.front();
  if (summary.failed.size() > 1) out << " and " << summary.failed.size() - 1 << " more";
  out << ":\n";
  for (std::size_t i = 0; i < std::min(sum.violations.size(), kViolationsShown); ++i)
    out << "  " << sum.violations[i] << '\n';
  if (sum.violations.size() > kViolationsShown)
    out << "  and " << sum.violations.size() - kViolationsShown << " more\n";
  return out.str();
}

/// The shortest command that fails as this scenario does.
std::string replay_of(const KvScenario& scenario, bool shorter) {
  auto found = scenario;
  if (shorter) {
    std::cerr << "looking for a shorter command that fails...\n";
    found = shrink(scenario, kKvShrinkRuns, [](const KvScenario& next) {
      std::cerr << "  " << next.nodes << " nodes, " << to_text(next.duration) << ", faults "
                << to_text(next.faults) << '\n';
    });
  }
  std::vector<std::string> words{"kv"};
  std::ranges::move(found.arguments(), std::back_inserter(words));
  return command_line(words);
}

int run_kv(const KvOptions& options) {
  KvSummary summary;
  auto scenario = options.scenario;
  auto said_at = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < options.seeds; ++i) {
    scenario.seed = options.scenario.seed + i;
    summary.add(scenario.seed, run(scenario));
    if (std::chrono::steady_clock::now() - said_at < std::chrono::seconds(5)) continue;
    said_at = std::chrono::steady_clock::now();
    std::cerr << i + 1 << " of " << options.seeds << " seeds, " << summary.failed.size() << " failed\n";
  }
  const bool failed = !summary.failed.empty();
  if (failed) scenario.seed = summary.failed.front();
  const auto replay = failed ? replay_of(scenario, options.shrink) : "";
  std::cout << (options.json ? kv_json(options.scenario, summary, replay) + "\n"
                             : kv_text(options.scenario, summary));
  if (failed) std::cerr << "seed " << scenario.seed << " fails; replay: " << replay << '\n';
  return failed ? kCheckFailed : kOk;
}

}  // namespace

int run_kv(const std::vector<std::string>& arguments) {
  KvOptions declared;
  KvTyped typed;
  CLI::App app{
      "Runs the key-value store on a virtual clock while clients read and write and nodes fail, and checks\n"
      "that nothing acknowledged is lost and nothing read is stale. One seed, one course of events.\n"
      "Exit code: 0 all checks passed, 1 one failed, 2 wrong usage.",
      kProgram};
  declare(app, declared, typed);
  auto words = arguments;
  std::ranges::reverse(words);
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return kOk;
  } catch (const CLI::ParseError& fault) {
    return fail_usage(kProgram, fault.what());
  }
  const auto options = interpret(std::move(declared), typed);
  if (!options) return fail_usage(kProgram, options.error().message());
  say_limits(options->scenario);
  return run_kv(*options);
}

}  // namespace cluster::sim
