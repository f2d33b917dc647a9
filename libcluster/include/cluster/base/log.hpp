#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "cluster/base/time.hpp"

namespace cluster::log {

enum class Level : std::uint8_t { trace, debug, info, warn, error, off };
[[nodiscard]] std::string_view name(Level level) noexcept;
[[nodiscard]] std::optional<Level> level_from_name(std::string_view name) noexcept;

/// Receives every line at or above the level. Called from any thread; must not throw.
using Sink = std::function<void(Level, std::string_view component, std::string_view text)>;

/// Replaces the sink (default: one line to stderr). The old sink may still run on another thread
/// until this returns, not after.
void set_sink(Sink sink);
/// The least level that is written; `warn` at start, so that a library stays quiet.
void set_level(Level level) noexcept;
[[nodiscard]] Level level() noexcept;
[[nodiscard]] bool enabled(Level level) noexcept;

void write(Level level, std::string_view component, std::string_view text);

/// Concatenates what operator<< can print; built only if the level is enabled.
template <class... Parts>
void line(Level level, std::string_view component, const Parts&... parts) {
  if (!enabled(level)) return;
  std::ostringstream text;
  (text << ... << parts);
  write(level, component, text.str());
}
template <class... Parts>
void debug(std::string_view component, const Parts&... parts) {
  line(Level::debug, component, parts...);
}
template <class... Parts>
void info(std::string_view component, const Parts&... parts) {
  line(Level::info, component, parts...);
}
template <class... Parts>
void warn(std::string_view component, const Parts&... parts) {
  line(Level::warn, component, parts...);
}
template <class... Parts>
void error(std::string_view component, const Parts&... parts) {
  line(Level::error, component, parts...);
}

/// One kind of line that others can cause as often as they like: lets one of them through a period, and
/// counts those that it holds back, so that nobody fills a disk with them. Thread-safe.
class Limit {
 public:
  static constexpr Duration kPeriod = 10s;

  explicit Limit(Duration period = kPeriod) noexcept : period_(period.count()) {}
  /// How many were held back since the last that went through, if this one may; else it is held back, too.
  [[nodiscard]] std::optional<std::uint64_t> admit(Instant now) noexcept;

 private:
  const Instant::rep period_;
  std::atomic<Instant::rep> next_{Instant::min().time_since_epoch().count()};
  std::atomic<std::uint64_t> held_back_{0};
};

template <class... Parts>
void limited(Limit& limit, Level level, std::string_view component, const Parts&... parts) {
  if (!enabled(level)) return;
  const auto held_back = limit.admit(MonotonicClock::now());
  if (!held_back) return;
  if (*held_back == 0)
    line(level, component, parts...);
  else
    line(level, component, parts..., " (", *held_back, " more like it were not logged)");
}

}  // namespace cluster::log
