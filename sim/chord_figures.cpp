// The experiments of Stoica et al., ToN 2003, section V, each beside what theory says.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>

#include "chord.hpp"
#include "plot.hpp"

namespace cluster::sim {
namespace {

struct Figures {
  std::filesystem::path folder;
  std::uint64_t seed = 1;
  bool good = true;  // no invariant was violated
  bool written = true;

  void write(const char* file, const Plot& plot) {
    std::ofstream out(folder / file);
    out << plot.svg();
    out.close();
    if (!out) std::cerr << "cannot write " << (folder / file).string() << '\n';
    written = written && out;
  }
  ChordReport run_one(const ChordScenario& scenario) {
    auto report = run(scenario);
    good = good && report.invariant_violations == 0;
    return report;
  }

  void path_length();
  void path_counts();
  void keys();
  void failures();
  void churn();
};

double half_log2(std::size_t nodes) { return 0.5 * std::log2(static_cast<double>(nodes)); }

void Figures::path_length() {
  Plot plot{"Path length", "nodes", "nodes asked (mean, p1 to p99)", true, {}};
  Plot::Series fingers{"fingers alone", Plot::Style::dots, {}},
      both{"and 8 successors", Plot::Style::dots, {}};
  Plot::Series theory{"1/2 log2 N", Plot::Style::line, {}};
  std::cout << "| nodes | 1/2 log2 N | mean | p1 | p99 | with successor lists |\n|---|---|---|---|---|---|\n";
  for (std::size_t nodes = 16; nodes <= 8192; nodes *= 2) {
    ChordScenario scenario{.nodes = nodes, .seed = seed, .lookups = 5000};
    const auto alone = run_one(scenario);
    scenario.route_by_successors = true;
    const auto with = run_one(scenario);
    const auto x = static_cast<double>(nodes);
    const auto& length = alone.path_length;
    fingers.points.push_back({x, length.mean, length.p1, length.p99});
    both.points.push_back({x, with.path_length.mean});
    theory.points.push_back({x, half_log2(nodes)});
    std::cout << "| " << nodes << " | " << half_log2(nodes) << " | " << length.mean << " | "
              << std::setprecision(0) << length.p1 << " | " << length.p99 << std::setprecision(2) << " | "
              << with.path_length.mean << " |\n";
  }
  plot.series = {theory, fingers, both};
  write("chord-path-length.svg", plot);
}

void Figures::path_counts() {
  const ChordScenario scenario{.nodes = 4096, .seed = seed, .lookups = 40'000};
  const auto report = run_one(scenario);
  Plot plot{"Distribution of the path length, 4096 nodes", "nodes asked", "share of lookups", false, {}};
  Plot::Series ours{"simulated", Plot::Style::bars, {}}, theory{"binomial(12, 1/2)", Plot::Style::line, {}};
  double binomial = std::exp2(-12);
  std::cout << "\n| nodes asked | share | binomial(12, 1/2) |\n|---|---|---|\n" << std::setprecision(3);
  for (std::size_t hops = 0; hops <= 12; ++hops) {
    const auto count = hops < report.path_counts.size() ? report.path_counts[hops] : 0;
    const double share = static_cast<double>(count) / static_cast<double>(report.lookups);
    const auto x = static_cast<double>(hops);
    ours.points.push_back({x, share});
    theory.points.push_back({x, binomial});
    std::cout << "| " << hops << " | " << share << " | " << binomial << " |\n";
    binomial *= static_cast<double>(12 - hops) / static_cast<double>(hops + 1);
  }
  plot.series = {ours, theory};
  write("chord-path-distribution.svg", plot);
}

void Figures::keys() {
  constexpr std::size_t kNodes = 10'000;
  Plot plot{"Keys per node, 10,000 nodes", "keys", "keys a node owns (mean, p1 to p99)", false, {}};
  Plot::Series ours{"simulated", Plot::Style::dots, {}},
      theory{"p99 in theory: 4.6 times the mean", Plot::Style::line, {}};
  std::cout << "\n| keys | mean | p1 | p99 | p99 in theory |\n|---|---|---|---|---|\n"
            << std::setprecision(1);
  for (std::size_t keys = 100'000; keys <= 1'000'000; keys += 100'000) {
    const auto owned = keys_per_node(kNodes, keys, 1, seed);
    const auto x = static_cast<double>(keys);
    const double expected = owned.mean * share_quantile(1, 0.99);
    ours.points.push_back({x, owned.mean, owned.p1, owned.p99});
    theory.points.push_back({x, expected});
    std::cout << "| " << keys << " | " << owned.mean << " | " << owned.p1 << " | " << owned.p99 << " | "
              << expected << " |\n";
  }
  plot.series = {theory, ours};
  write("chord-keys.svg", plot);

  Plot shares{"Keys per node with virtual nodes, 10,000 nodes, 1,000,000 keys",
              "virtual nodes of a node",
              "keys, as a multiple of the mean",
              false,
              {}};
  Plot::Series high{"p99 in theory", Plot::Style::line, {}}, low{"p1 in theory", Plot::Style::line, {}};
  Plot::Series measured{"simulated, p1 to p99", Plot::Style::dots, {}};
  std::cout << "\n| virtual nodes | p1 / mean | in theory | p99 / mean | in theory |\n|---|---|---|---|---|\n"
            << std::setprecision(2);
  for (const std::size_t count : {1u, 2u, 5u, 10u, 20u}) {
    const auto owned = keys_per_node(kNodes, 1'000'000, count, seed);
    const double p1 = owned.p1 / owned.mean, p99 = owned.p99 / owned.mean;
    const auto x = static_cast<double>(count);
    high.points.push_back({x, share_quantile(count, 0.99)});
    low.points.push_back({x, share_quantile(count, 0.01)});
    measured.points.push_back({x, 1, p1, p99});
    std::cout << "| " << count << " | " << p1 << " | " << share_quantile(count, 0.01) << " | " << p99 << " | "
              << share_quantile(count, 0.99) << " |\n";
  }
  shares.series = {high, low, measured};
  write("chord-virtual-nodes.svg", shares);
}

void Figures::failures() {
  Plot plot{"Lookups right after nodes failed, 1,000 nodes, 20 successors",
            "share of nodes that failed",
            "timeouts a lookup",
            false,
            {}};
  Plot::Series ours{"simulated", Plot::Style::dots, {}},
      theory{"(path + 1) f / (1 - f)", Plot::Style::line, {}};
  std::cout << "\n| failed | path length (p1, p99) | timeouts (p1, p99) | (path + 1) f / (1 - f) | failed "
               "lookups | "
               "healed, s |\n|---|---|---|---|---|---|\n";
  for (const double fail : {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}) {
    const auto report = run_one({.nodes = 1000,
                                 .seed = seed,
                                 .lookups = 10'000,
                                 .fail = fail,
                                 .successors = 20,
                                 .route_by_successors = true});
    const auto& length = report.path_length;
    const auto& timeouts = report.timeouts;
    const double expected = (length.mean + 1) * fail / (1 - fail);
    ours.points.push_back({fail, timeouts.mean, timeouts.p1, timeouts.p99});
    theory.points.push_back({fail, expected});
    std::cout << "| " << fail << " | " << length.mean << std::setprecision(0) << " (" << length.p1 << ", "
              << length.p99 << ")" << std::setprecision(2) << " | " << timeouts.mean << std::setprecision(0)
              << " (" << timeouts.p1 << ", " << timeouts.p99 << ")" << std::setprecision(2) << " | "
              << expected << " | " << report.failed_lookups << " | "
              << (report.healed_after ? std::chrono::duration<double>(*report.healed_after).count() : 0.0)
              << " |\n";
  }
  plot.series = {theory, ours};
  write("chord-failures.svg", plot);
}

void Figures::churn() {
  Plot plot{"Lookups while nodes join and fail, 1,000 nodes, stabilizing every 30 s",
            "joins a second, and failures",
            "timeouts a lookup (mean)",
            false,
            {}};
  Plot::Series ours{"simulated", Plot::Style::dots, {}};
  std::cout
      << "\n| joins and failures a second | path length (p1, p99) | timeouts (p1, p99) | failed of 10,000 "
         "lookups |\n|---|---|---|---|\n";
  for (const double rate : {0.05, 0.1, 0.2, 0.3, 0.4}) {
    const auto report = run_one({.nodes = 1000,
                                 .seed = seed,
                                 .lookups = 10'000,
                                 .successors = 20,
                                 .route_by_successors = true,
                                 .churn_per_s = rate,
                                 .stabilize_interval = 30s,
                                 .jitter = 0.5,
                                 .lookups_per_s = 5});
    const auto& length = report.path_length;
    const auto& timeouts = report.timeouts;
    ours.points.push_back({rate, timeouts.mean});
    std::cout << "| " << rate << " | " << length.mean << std::setprecision(0) << " (" << length.p1 << ", "
              << length.p99 << ")" << std::setprecision(2) << " | " << timeouts.mean << std::setprecision(0)
              << " (" << timeouts.p1 << ", " << timeouts.p99 << ")" << std::setprecision(2) << " | "
              << report.failed_lookups << " |\n";
  }
  plot.series = {ours};
  write("chord-churn.svg", plot);
}

}  // namespace

bool draw_chord(const std::string& folder, std::uint64_t seed) {
  Figures figures{folder, seed};
  std::cout << std::fixed << std::setprecision(2);
  figures.path_length();
  figures.path_counts();
  figures.keys();
  figures.failures();
  figures.churn();
  if (!figures.good) std::cerr << "an invariant was violated\n";
  return figures.good && figures.written;
}

}  // namespace cluster::sim
