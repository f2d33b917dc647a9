#include "environment.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <thread>

#include "build_info.hpp"

namespace cluster::bench {
namespace {

/// The value of the first line of `file` that begins with `key`.
std::string line_of(const char* file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const auto from = line.find_first_not_of(" \t", line.find(':') + 1);
    return from == std::string::npos ? "" : line.substr(from);
  }
  return "unknown";
}

std::string date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32] = "";
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> environment() {
  utsname system{};
  ::uname(&system);
#ifdef __clang__
  const std::string compiler = "Clang " __clang_version__;
#else
  const std::string compiler = "GCC " __VERSION__;
#endif
  return {{"version", std::string(kVersion) + " (" + kGitVersion + ")"},
          {"date", date()},
          {"processor", line_of("/proc/cpuinfo", "model name")},
          {"cores", std::to_string(std::thread::hardware_concurrency())},
          {"memory", line_of("/proc/meminfo", "MemTotal")},
          {"kernel", std::string(system.sysname) + " " + system.release + " " + system.machine},
          {"compiler", compiler},
          {"build", kBuildType},
          {"flags", kFlags}};
}

}  // namespace cluster::bench
