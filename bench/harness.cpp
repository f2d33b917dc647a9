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
      Workload{"remote-thread-call", "a plain thread calls a server of another process", remote_thread_calls},
      Workload{"callers", "1, 8, 64 and 512 callers of one server in another process", caller_counts},
      Workload{"sizes", "calls and casts to another process by size, 16 B to 4 MiB", message_sizes},
      Workload{"fan-out", "one node asks 16 others, each a process", fan_out},
      Workload{"interference", "64 B calls and pings while a message of 256 MiB (--size) is on the way",
               interference},
      Workload{"backpressure", "a flood into a slow server of another process: memory of both", backpressure},
      Workload{"fairness", "calls to one server while another of the process is flooded", fairness},
      Workload{"blocked", "pings of a node whose workers are all blocked for 10 s", blocked},
      Workload{"workers", "16 servers call and flood 16 others, with 1 to 16 worker threads", worker_counts},
      Workload{"chash", "the hash ring: find, insert, build", chash},
      Workload{"vector-clock", "vector clocks: descends, merge, increment", vector_clock},
      Workload{"codec", "messages to bytes and back", codec},
      Workload{"gossip-merge", "ring states: merge, hash", gossip_merge},
      Workload{"idle", "memory, CPU and traffic of a node at rest, in rings of 3 and 50 processes", idle},
      Workload{"detect", "kill -9 of one of 5 processes, until the last of the others knows", detect},
      Workload{"pause", "SIGSTOP of one of 5 processes for 3 s: how often it is declared dead", pause},
      Workload{"join", "49 nodes join one at once, until all know all", join},
      Workload{"start", "from a process's start to the first answer", process_start},
      Workload{"kv-ring", "the key-value store of three nodes, on disk and in memory", kv_ring},
      Workload{"kv-node", "the key-value store of one node: in memory, log synced each second or always",
               kv_node},
      Workload{"engine", "the actor engine without GenServers", engine},
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

void Context::record_latencies(const std::string& name, std::vector<std::int64_t> nanoseconds) {
  record(name + " p50", "us", percentile(nanoseconds, 0.5) / 1e3);
  record(name + " p99", "us", percentile(nanoseconds, 0.99) / 1e3);
  record(name + " max", "us", percentile(nanoseconds, 1) / 1e3);
}

void check_count(std::int64_t got, std::int64_t expected) {
  if (got == expected) return;
  throw Failure("lost: " + std::to_string(got) + " of " + std::to_string(expected) + " arrived");
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

double resident_peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) * 1024;
  return 0;
}

void forget_resident_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

}  // namespace cluster::bench
