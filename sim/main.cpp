// cluster-sim: runs a scenario, or many seeds of it, and says what came of it.
#include <chrono>
#include <fstream>
#include <iostream>
#include <string_view>

#include "chord.hpp"
#include "exit.hpp"
#include "kv.hpp"
#include "options.hpp"
#include "report.hpp"
#include "timeline.hpp"
#include "trace.hpp"

namespace cluster::sim {
namespace {

constexpr std::size_t kShrinkRuns = 60;

/// Writes a line now and then while a run takes long.
class Progress : public Observer {
 public:
  explicit Progress(const Scenario& scenario) : scenario_(scenario) {}
  void on_begin(RingCluster& cluster) override { cluster_ = &cluster; }
  void on_second() override {
    const auto now = std::chrono::steady_clock::now();
    if (now - said_at_ < std::chrono::seconds(5)) return;
    said_at_ = now;
    const auto at = cluster_->simulator().now().time_since_epoch();
    std::cerr << "seed " << scenario_.seed << ": " << std::chrono::floor<std::chrono::seconds>(at).count()
              << " s of " << to_text(scenario_.duration) << ", " << cluster_->simulator().events_run() / 1'000
              << " thousand events\n";
  }

 private:
  const Scenario& scenario_;
  RingCluster* cluster_ = nullptr;
  std::chrono::steady_clock::time_point said_at_ = std::chrono::steady_clock::now();
};

Scenario scenario_of(const Options& options, std::uint64_t seed) {
  auto scenario = options.scenario;
  scenario.seed = seed;
  if (options.chaos) add_chaos(scenario);
  return scenario;
}

int fail(const std::string& why) {
  std::cerr << "cluster-sim: " << why << '\n';
  return kUsage;
}

/// The shortest command that fails as this scenario does.
std::string replay_of(const Scenario& scenario, const Options& options) {
  if (!options.shrink) return command_line(scenario.arguments());
  std::cerr << "looking for a shorter command that fails...\n";
  const auto begin = std::chrono::steady_clock::now();
  const auto smallest = shrink(scenario, kShrinkRuns, [&](const Scenario& found) {
    std::cerr << "  " << found.nodes << " nodes, " << to_text(found.duration) << ", " << found.faults.size()
              << " faults\n";
  });
  const auto took = std::chrono::steady_clock::now() - begin;
  std::cerr << "  took " << std::chrono::round<std::chrono::seconds>(took).count() << " s\n";
  return command_line(smallest.arguments());
}

/// What a large scenario leaves out is said, not hidden.
void say_limits(const Options& options) {
  const auto& scenario = options.scenario;
  if (!scenario.planted.empty() && !options.chaos)
    std::cerr << "without --chaos only what the command names befalls the nodes, and may not show the bug\n";
  if (scenario.detector && scenario.nodes > Scenario::kDetectorNodesMax)
    std::cerr << "more than " << Scenario::kDetectorNodesMax
              << " nodes: gossip alone, without failure detectors\n";
}

int run_one(const Options& options) {
  const auto scenario = scenario_of(options, options.scenario.seed);
  Progress progress(scenario);
  std::vector<Observer*> observers{&progress};
  std::optional<Trace> trace;
  if (!options.trace.empty()) {
    observers.push_back(&trace.emplace(options.trace));
    if (!trace->good()) return fail("cannot write " + options.trace);
  }
  Timeline timeline(scenario);
  if (!options.svg.empty()) observers.push_back(&timeline);
  const auto report = run(scenario, observers);
  if (!options.svg.empty()) {
    std::ofstream svg(options.svg);
    svg << timeline.svg(report);
    if (!svg.good()) return fail("cannot write " + options.svg);
  }
  const bool failed = !report.violations.empty();
  const auto replay = failed ? replay_of(scenario, options) : "";
  std::cout << (options.json ? to_json(report, replay) + "\n" : to_text(report));
  if (failed) std::cerr << "seed " << scenario.seed << " fails; replay: " << replay << '\n';
  return failed ? kCheckFailed : kOk;
}

int run_many(const Options& options) {
  Summary summary;
  std::optional<Scenario> first_failure;
  auto said_at = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < options.seeds; ++i) {
    const auto scenario = scenario_of(options, options.scenario.seed + i);
    summary.add(run(scenario));
    if (!first_failure && !summary.failed.empty()) first_failure = scenario;
    if (std::chrono::steady_clock::now() - said_at < std::chrono::seconds(5)) continue;
    said_at = std::chrono::steady_clock::now();
    std::cerr << i + 1 << " of " << options.seeds << " seeds, " << summary.failed.size() << " failed\n";
  }
  const auto replay = first_failure ? replay_of(*first_failure, options) : "";
  std::cout << (options.json ? to_json(summary, replay) + "\n" : to_text(summary));
  if (first_failure) std::cerr << "seed " << first_failure->seed << " fails; replay: " << replay << '\n';
  return first_failure ? kCheckFailed : kOk;
}

}  // namespace
}  // namespace cluster::sim

int main(int count, char** words) {
  using namespace cluster::sim;
  if (count > 1 && std::string_view(words[1]) == "chord") return run_chord({words + 2, words + count});
  if (count > 1 && std::string_view(words[1]) == "kv") return run_kv({words + 2, words + count});
  const auto options = parse_options({words + 1, words + count});
  if (!options) return fail_usage("cluster-sim", options.error().message());
  if (!options->notice.empty()) {
    std::cout << options->notice;
    return 0;
  }
  say_limits(*options);
  return options->seeds > 1 ? run_many(*options) : run_one(*options);
}
