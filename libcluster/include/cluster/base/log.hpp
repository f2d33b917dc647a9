#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

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

}  // namespace cluster::log
