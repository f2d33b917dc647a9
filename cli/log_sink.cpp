#include "log_sink.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <string_view>

#include "cluster/base/log.hpp"
#include "text.hpp"

namespace cluster::cli {
namespace {

spdlog::level::level_enum spdlog_level(log::Level level) {
  switch (level) {
    case log::Level::trace:
      return spdlog::level::trace;
    case log::Level::debug:
      return spdlog::level::debug;
    case log::Level::info:
      return spdlog::level::info;
    case log::Level::warn:
      return spdlog::level::warn;
    case log::Level::error:
      return spdlog::level::err;
    case log::Level::off:
      break;
  }
  return spdlog::level::off;
}

}  // namespace

void log_to_stderr() {
  auto logger = spdlog::stderr_color_mt("cluster");
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->set_level(spdlog::level::trace);  // what is below the facade's level does not get here
  log::set_sink([logger](log::Level level, std::string_view component, std::string_view text) {
    logger->log(spdlog_level(level), "{}: {}", component, printable(text));
  });
}

}  // namespace cluster::cli
