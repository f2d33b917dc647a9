#include "options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>

#include "cluster/sim/planted_bugs.hpp"
#include "exit.hpp"

namespace cluster::sim {
namespace {

/// Words as they were typed: what they mean is parsed afterwards, so that each error names its option.
struct Typed {
  std::optional<std::string> duration, delay, skew, converge, healthy;
  std::vector<std::string> partitions, kills, wipes, stops, pauses, slows, clocks, resets;
};

/// Flags that switch something off.
struct Without {
  bool detector = false, handshake = false, shrink = false, chaos = false;
};

void declare(CLI::App& app, Options& options, Typed& typed, Without& without) {
  auto& scenario = options.scenario;
  app.add_option("--nodes", scenario.nodes, "how many nodes")->check(not_a_count)->capture_default_str();
  app.add_option("--seed", scenario.seed, "where all chance comes from")
      ->check(not_a_count)
      ->capture_default_str();
  app.add_option("--seeds", options.seeds, "run so many seeds, from --seed on")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--duration", typed.duration, "virtual time, as 60s or 10m (default 60s)");
  app.add_option("--delay", typed.delay,
                 "of each message: 5ms, 1ms..10ms, normal:10ms,3ms, lognormal:10ms,0.5 (default 1ms..10ms)");
  app.add_option("--loss", scenario.network.loss, "probability that a message is lost")->check(not_a_count);
  app.add_option("--duplicate", scenario.network.duplication, "probability that it arrives twice")
      ->check(not_a_count);
  app.add_option("--reorder", scenario.network.reordering,
                 "probability that it is held back, up to ten times")
      ->check(not_a_count);
  app.add_option("--skew", typed.skew, "wall clocks differ by up to this, either way");
  app.add_option("--edits", scenario.edits_per_s, "edits of the ring a second, in the whole cluster")
      ->check(not_a_count);
  app.add_option("--churn", scenario.churn_per_s, "nodes a second that go and come back")->check(not_a_count);
  app.add_option("--partition", typed.partitions,
                 "'A,B|C,D@10s..20s', '30%|70%@60s..90s', one way: 'A>B@10s'")
      ->allow_extra_args(false);
  app.add_option("--kill", typed.kills, "NODES@T[..T2]: kill -9, and start again")->allow_extra_args(false);
  app.add_option("--wipe", typed.wipes, "NODES@T[..T2]: the same, and the disk is gone")
      ->allow_extra_args(false);
  app.add_option("--stop", typed.stops, "NODES@T[..T2]: as SIGTERM")->allow_extra_args(false);
  app.add_option("--pause", typed.pauses, "NODES@T+SPAN: as SIGSTOP and SIGCONT")->allow_extra_args(false);
  app.add_option("--slow", typed.slows, "NODES:FACTOR[@T[..T2]]: messages are handled FACTOR ms late")
      ->allow_extra_args(false);
  app.add_option("--clock", typed.clocks, "NODES:JUMP@T[..T2]: the wall clock jumps, as 3:-90s@20s")
      ->allow_extra_args(false);
  app.add_option("--reset", typed.resets, "NODES@T: all connections break")->allow_extra_args(false);
  app.add_option("--intruders", scenario.intruders, "nodes with another cookie, which dial all the time")
      ->check(not_a_count);
  app.add_option("--mesh-max", scenario.mesh_max, "with more nodes each keeps few connections")
      ->check(not_a_count)
      ->capture_default_str();
  app.add_flag("--chaos", options.chaos, "add faults and edits drawn from the seed");
  app.add_flag("--no-chaos", without.chaos, "none, also where --break would add them");
  app.add_flag("--join", scenario.join, "begin as single nodes that meet the first, not as a ring");
  app.add_flag("--no-detector", without.detector, "gossip alone");
  app.add_flag("--no-handshake", without.handshake, "nodes believe each other: no keys, no cookies");
  app.add_flag("--plain-swim", scenario.plain_swim, "the failure detector without Lifeguard");
  app.add_option("--break", scenario.planted,
                 help_of("plant a bug, to see it found by --chaos within so many seeds:", planted_bugs()));
  app.add_option("--converge-within", typed.converge, "after the last fault and edit (default 20s)");
  app.add_option("--healthy-within", typed.healthy,
                 "after the last fault all detectors are right (default 60s)");
  app.add_flag("--json", options.json, "the summary as JSON");
  app.add_option("--trace", options.trace, "write what happens to this file, as JSON lines");
  app.add_option("--svg", options.svg, "draw the run into this file");
  app.add_flag("--no-shrink", without.shrink, "do not look for the shortest command that fails");
}

template <class T>
Result<void> take(const std::optional<std::string>& text, Result<T> (*parse)(std::string_view), T& into) {
  if (!text) return {};
  auto parsed = parse(*text);
  if (!parsed) return std::move(parsed).error();
  into = std::move(parsed).value();
  return {};
}

Result<void> add(std::vector<Fault>& faults, Result<Fault> parsed) {
  if (!parsed) return std::move(parsed).error();
  faults.push_back(std::move(parsed).value());
  return {};
}

Result<void> take_faults(const Typed& typed, std::vector<Fault>& faults) {
  for (const auto& text : typed.partitions)
    if (auto ok = add(faults, parse_partition(text)); !ok) return ok;
  for (const auto& [kind, texts] : {std::pair{Fault::Kind::kill, &typed.kills},
                                    {Fault::Kind::wipe, &typed.wipes},
                                    {Fault::Kind::stop, &typed.stops},
                                    {Fault::Kind::pause, &typed.pauses},
                                    {Fault::Kind::reset, &typed.resets}})
    for (const auto& text : *texts)
      if (auto ok = add(faults, parse_fault(kind, text)); !ok) return ok;
  for (const auto& text : typed.slows)
    if (auto ok = add(faults, parse_slow(text)); !ok) return ok;
  for (const auto& text : typed.clocks)
    if (auto ok = add(faults, parse_clock(text)); !ok) return ok;
  return {};
}

Result<void> interpret(const Typed& typed, Scenario& scenario) {
  if (auto ok = take(typed.duration, parse_duration, scenario.duration); !ok) return ok;
  if (auto ok = take(typed.delay, parse_latency, scenario.network.delay); !ok) return ok;
  if (auto ok = take(typed.skew, parse_duration, scenario.skew); !ok) return ok;
  if (auto ok = take(typed.converge, parse_duration, scenario.convergence_max); !ok) return ok;
  if (auto ok = take(typed.healthy, parse_duration, scenario.health_max); !ok) return ok;
  return take_faults(typed, scenario.faults);
}

}  // namespace

std::string not_a_count(const std::string& text) {
  if (text.empty() || text.front() == '-') return "'" + text + "' is no number from 0 on";
  errno = 0;  // CLI11 would take the greatest number there is
  std::strtoull(text.c_str(), nullptr, 10);
  return errno == ERANGE ? "'" + text + "' is too great a number" : "";
}

Result<Options> parse_options(const std::vector<std::string>& arguments) {
  Options options;
  Typed typed;
  Without without;
  CLI::App app{
      "Runs a cluster on a virtual clock, with faults, and checks what must hold. One seed, one course of "
      "events.\n"
      "cluster-sim kv runs the key-value store, cluster-sim chord a Chord ring: see their --help.\n"
      "Exit code: 0 all checks passed, 1 one failed, 2 wrong usage.",
      "cluster-sim"};
  declare(app, options, typed, without);
  auto words = arguments;
  if (!words.empty() && words.front() == "run") words.erase(words.begin());
  std::ranges::reverse(words);  // as CLI11 takes them
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    options.notice = app.help();
    return options;
  } catch (const CLI::ParseError& fault) {
    return Error(Errc::invalid_argument, fault.what());
  }
  options.scenario.detector = !without.detector;
  options.scenario.handshake = !without.handshake;
  options.shrink = !without.shrink;
  if (auto ok = interpret(typed, options.scenario); !ok) return std::move(ok).error();
  if (options.chaos && without.chaos)
    return Error(Errc::invalid_argument, "--chaos and --no-chaos exclude each other");
  if (options.seeds > 1 && !(options.trace.empty() && options.svg.empty()))
    return Error(Errc::invalid_argument, "--trace and --svg are of one seed: leave out --seeds");
  // A planted bug shows only where something happens.
  const auto& scenario = options.scenario;
  if (!scenario.planted.empty() && !without.chaos && !scenario.brings_events()) options.chaos = true;
  if (auto ok = options.scenario.check(); !ok) return std::move(ok).error();
  return options;
}

int fail_usage(const std::string& program, const std::string& why) {
  std::cerr << program << ": " << why << "\nTry " << program << " --help.\n";
  return kUsage;
}

}  // namespace cluster::sim
