#pragma once
// What the C++ peers share: the line they print, time, percentiles, and a child process that never outlives
// its parent. Each program measures one workload once and exits:  PEER WORKLOAD [SCALE]
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace peer {

/// Ends the program. Children end with it.
[[noreturn]] inline void fail(const std::string& why) {
  std::perror(why.c_str());
  std::exit(1);
}

using Clock = std::chrono::steady_clock;
using Instant = Clock::time_point;
inline double seconds_since(Instant start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The element below which a `share` of the values lie. Reorders them.
inline double percentile(std::vector<double>& values, double share) {
  const auto at =
      std::min(values.size() - 1, static_cast<std::size_t>(static_cast<double>(values.size()) * share));
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(at);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

/// One measured value: RES <tab> peer <tab> workload <tab> metric <tab> unit <tab> value.
class Results {
 public:
  explicit Results(std::string peer) : peer_(std::move(peer)) {}
  void operator()(const std::string& workload, const std::string& metric, const char* unit,
                  double value) const {
    std::printf("RES\t%s\t%s\t%s\t%s\t%.6g\n", peer_.c_str(), workload.c_str(), metric.c_str(), unit, value);
    std::fflush(stdout);
  }

 private:
  std::string peer_;
};

/// A process that runs `body` and then exits. The kernel kills it when this process ends, however it ends;
/// the destructor kills and reaps it. Make it before any thread: the child begins with the forking one alone.
class Child {
 public:
  /// `body` gets the descriptor through which it says one line to the parent, once it is ready.
  explicit Child(const std::function<void(int)>& body) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) fail("pipe");
    std::fflush(stdout);
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);  // it died before the line above
      close(ends[0]);
      body(ends[1]);
      _exit(0);
    }
    close(ends[1]);
    std::FILE* from = fdopen(ends[0], "r");
    std::array<char, 512> line{};
    if (std::fgets(line.data(), line.size(), from) == nullptr) fail("the server process did not start");
    std::fclose(from);
    ready_ = line.data();
    if (!ready_.empty() && ready_.back() == '\n') ready_.pop_back();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }
  void end() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

  /// The line that it said.
  [[nodiscard]] const std::string& ready() const { return ready_; }
  /// In the child: says the line.
  static void say_ready(int to, std::string line) {
    line += '\n';
    if (write(to, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(1);
    close(to);
  }

 private:
  pid_t pid_ = -1;
  std::string ready_;
};

/// How much of a workload to run: 1 is the full one.
struct Scale {
  double factor = 1;
  [[nodiscard]] long operator()(long full, long least = 1) const {
    return std::max(least, static_cast<long>(static_cast<double>(full) * factor));
  }
};

/// The message sizes of workload `sizes`, and how many messages of a size to send there: about 64 MiB for
/// the rate and 16 MiB for the latency, within bounds.
inline constexpr std::array<std::size_t, 10> kSizes{16,       64,       256,       1 << 10, 4 << 10,
                                                    16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20};
inline long casts_of_size(std::size_t bytes, Scale scale) {
  return scale(std::clamp((256L << 20) / static_cast<long>(bytes), 64L, 300'000L), 16);
}
inline long calls_of_size(std::size_t bytes, Scale scale) {
  return scale(std::clamp((64L << 20) / static_cast<long>(bytes), 50L, 3'000L), 10);
}
/// The numbers of concurrent callers of workload `callers`, and the calls of them all together.
inline constexpr std::array<int, 4> kCallers{1, 8, 64, 512};
inline long calls_of_callers(int callers, Scale scale) {
  return std::max(2L, scale(callers == 1 ? 10'000 : 100'000) / callers) * callers;
}

/// Runs the workload that the command line names. A run that takes over two minutes is ended by SIGALRM.
inline int run(int argc, char** argv, const std::map<std::string, std::function<void(Scale)>>& workloads) {
  const auto chosen = argc > 1 ? workloads.find(argv[1]) : workloads.end();
  if (chosen == workloads.end()) {
    std::fprintf(stderr, "usage: %s WORKLOAD [SCALE]\nworkloads:", argv[0]);
    for (const auto& [name, body] : workloads) std::fprintf(stderr, " %s", name.c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  alarm(120);
  chosen->second(Scale{argc > 2 ? std::atof(argv[2]) : 1});
  return 0;
}

}  // namespace peer
