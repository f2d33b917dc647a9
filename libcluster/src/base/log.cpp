#include "cluster/base/log.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <mutex>
#include <utility>

namespace cluster::log {
namespace {

constexpr std::array<std::string_view, 6> kNames{"trace", "debug", "info", "warn", "error", "off"};

std::atomic<Level> least{Level::warn};
std::mutex sink_mutex;  // guards the sink while it runs, so that a replaced one is never called late

void to_stderr(Level level, std::string_view component, std::string_view text) {
  std::fprintf(stderr, "%s [%.*s] %.*s\n", name(level).data(), static_cast<int>(component.size()),
               component.data(), static_cast<int>(text.size()), text.data());
}

Sink& sink() {
  static Sink current = to_stderr;
  return current;
}

}  // namespace

std::string_view name(Level level) noexcept { return kNames[static_cast<std::size_t>(level)]; }

std::optional<Level> level_from_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<Level>(i);
  return std::nullopt;
}

void set_sink(Sink replacement) {
  const std::lock_guard lock(sink_mutex);
  sink() = replacement ? std::move(replacement) : Sink(to_stderr);
}

void set_level(Level level) noexcept { least.store(level, std::memory_order_relaxed); }
Level level() noexcept { return least.load(std::memory_order_relaxed); }
bool enabled(Level wanted) noexcept { return wanted >= level() && wanted != Level::off; }

void write(Level level, std::string_view component, std::string_view text) {
  if (!enabled(level)) return;
  const std::lock_guard lock(sink_mutex);
  sink()(level, component, text);
}

std::optional<std::uint64_t> Limit::admit(Instant now) noexcept {
  const Instant::rep at = now.time_since_epoch().count();
  Instant::rep next = next_.load(std::memory_order_relaxed);
  if (at < next || !next_.compare_exchange_strong(next, at + period_, std::memory_order_relaxed)) {
    held_back_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return held_back_.exchange(0, std::memory_order_relaxed);
}

}  // namespace cluster::log
