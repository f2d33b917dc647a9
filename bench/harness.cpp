#include "harness.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>

namespace cluster::bench {

std::span<const Workload> workloads() {
  static constexpr std::array kAll{
      Workload{"W1", "sequential local calls, server to server", local_calls},
      Workload{"W2", "one server floods another with casts, in one process", local_casts},
      Workload{"W3", "sequential calls of 64 B between two processes", remote_calls},
      Workload{"W4", "64 concurrent callers of one server in another process", concurrent_calls},
      Workload{"W5", "one server floods another in another process: 64 B, 1 KiB, 1 MiB", remote_casts},
      Workload{"W6", "100,000 idle servers: time and memory, in a fresh process each", spawns},
      Workload{"thread-call", "a plain thread calls a server of its process", thread_calls},
  };
  return kAll;
}

std::int64_t Context::amount(std::int64_t full, std::int64_t least) const noexcept {
  return settings_.quick ? std::max(least, full / 100) : full;
}

void Context::one_run(const std::function<void()>& body, int run) {
  std::cerr << workload_ << ": "
            << (run == 0 ? "warming up"
                         : "run " + std::to_string(run) + " of " + std::to_string(settings_.runs))
            << std::endl;
  warming_up_ = run == 0;
  body();
}

void Context::each_run(const std::function<void()>& body) {
  one_run(body, 0);
  each_fresh_run(body);
}

void Context::each_fresh_run(const std::function<void()>& body) {
  for (int run = 1; run <= settings_.runs; ++run) one_run(body, run);
}

void Context::record(std::string_view metric, std::string_view unit, double value) {
  if (warming_up_) return;
  const auto known = std::find_if(figures_.begin(), figures_.end(), [&](const Figure& figure) {
    return figure.metric == metric && figure.unit == unit;
  });
  if (known != figures_.end()) return known->values.push_back(value);
  figures_.push_back({workload_, std::string(metric), std::string(unit), {value}});
}

double percentile(std::vector<std::int64_t>& values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto index = static_cast<std::size_t>(static_cast<double>(values.size()) * share);
  return static_cast<double>(values[std::min(index, values.size() - 1)]);
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace cluster::bench
