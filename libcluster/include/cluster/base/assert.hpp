#pragma once

namespace cluster::detail {
/// Prints the broken invariant to stderr and aborts.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;
}  // namespace cluster::detail

/// An invariant of ours, checked in every build. Never for input from outside.
#define CLUSTER_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::cluster::detail::assertion_failed(#expression, __FILE__, __LINE__))
