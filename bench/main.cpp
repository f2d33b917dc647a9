// cluster-bench: what libcluster costs. See README.md.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cluster/base/log.hpp"
#include "environment.hpp"
#include "harness.hpp"
#include "process.hpp"
#include "report.hpp"
#include "roles.hpp"

namespace cluster::bench {
namespace {

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Options {
  Settings settings;
  std::vector<std::string> chosen;
  bool json = false;
  bool list = false;
  bool environment = false;
};

std::string names() {
  std::string all;
  for (const auto& workload : workloads()) all += (all.empty() ? "" : ", ") + std::string(workload.name);
  return all;
}

int list_workloads() {
  for (const auto& workload : workloads())
    std::cout << std::left << std::setw(20) << workload.name << ' ' << workload.measures << '\n';
  return kOk;
}

void print_environment(std::ostream& to) {
  for (const auto& [key, value] : environment()) to << "# " << key << ": " << value << '\n';
}

int run(const Options& options) {
  std::vector<Workload> chosen;
  for (const auto& workload : workloads())
    if (options.chosen.empty() ||
        std::find(options.chosen.begin(), options.chosen.end(), workload.name) != options.chosen.end())
      chosen.push_back(workload);
  print_environment(options.json ? std::cerr : std::cout);
  if (!options.json) print_table_head(std::cout);
  std::vector<Figure> figures;
  for (const auto& workload : chosen) {
    Context context(std::string(workload.name), options.settings);
    workload.run(context);
    for (const auto& figure : context.figures()) {
      if (!options.json) print_table_row(std::cout, figure);
      figures.push_back(figure);
    }
  }
  if (options.json) print_json(std::cout, figures);
  return kOk;
}

int main(int argc, char** argv) {
  log::set_level(log::Level::error);                 // members that are killed on purpose are no news
  if (argc >= 3 && std::string(argv[1]) == "serve")  // hidden: what a child process of ours does
    return play_role(argv[2], std::vector<std::string>(argv + 3, argv + argc));
  Options options;
  CLI::App app(
      "Measures libcluster on this machine: calls and casts between servers, local and between "
      "processes,\nspawning, data structures, and what a node costs at rest.");
  app.name("cluster-bench");
  app.add_option("--workload", options.chosen, "Only these, separated by commas (default: all)")
      ->delimiter(',')
      ->check([](const std::string& name) {
        const auto all = workloads();
        const bool known = std::any_of(all.begin(), all.end(),
                                       [&](const Workload& workload) { return workload.name == name; });
        return known ? "" : "there is no workload '" + name + "'; there are " + names();
      });
  app.add_option("--runs", options.settings.runs, "Counted runs of each workload, after one to warm up")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_flag("--json", options.json, "Print the figures as a JSON array; the environment goes to stderr");
  app.add_flag("--quick", options.settings.quick,
               "A hundredth of the work: shows that all works, measures little");
  std::string protection = "sign";
  app.add_option("--protection", protection, "Of the frames between processes: sign or seal (encrypted)")
      ->capture_default_str()
      ->check(CLI::IsMember({"sign", "seal"}));
  app.add_option("--size", options.settings.large_bytes, "Bytes of the large message of `interference`")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{1} << 20, std::int64_t{4000} << 20));
  app.add_flag("--list", options.list, "List the workloads");
  app.add_flag("--environment", options.environment, "Print the machine, compiler and version as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  options.settings.protection = take(wire::parse_protection(protection), "--protection");
  if (options.list) return list_workloads();
  if (options.environment) {
    nlohmann::ordered_json json;
    for (const auto& [key, value] : environment()) json[key] = value;
    std::cout << json.dump(2) << '\n';
    return kOk;
  }
  end_children_on_signals();
  return run(options);
}

}  // namespace
}  // namespace cluster::bench

int main(int argc, char** argv) {
  try {
    return cluster::bench::main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "cluster-bench: " << error.what() << '\n';
    return 1;
  }
}
