#pragma once

namespace cluster::cli {

/// Sends the library's log to stderr by way of spdlog, in colour on a terminal; control characters in what
/// others sent are escaped.
void log_to_stderr();

}  // namespace cluster::cli
