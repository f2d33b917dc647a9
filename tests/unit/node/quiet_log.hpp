#pragma once
#include "cluster/base/log.hpp"

/// No log lines while it lives, in a test whose warnings are expected.
struct QuietLog {
  QuietLog() { cluster::log::set_level(cluster::log::Level::off); }
  ~QuietLog() { cluster::log::set_level(cluster::log::Level::warn); }
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;
};
