#pragma once
#include <cstddef>

#include "cluster/base/time.hpp"

namespace cluster::runtime {

/// The I/O that the engine's idle threads drive. Implemented above (over the NetKernel); must outlive the
/// engine.
class IoDriver {
 public:
  virtual ~IoDriver() = default;
  /// Handles what is ready, waiting up to `max_wait` for the first event (0: never waits); returns how many
  /// events it handled. The engine calls it from one thread at a time, not always the same. It may post to
  /// actors; an actor posted to from in here runs on this thread when it returns. Must not throw.
  virtual std::size_t poll(Duration max_wait) = 0;
  /// Makes a waiting `poll`, or the next one if none waits, return at once. Any thread.
  virtual void wake() noexcept = 0;
  /// Sends what was put off. Called when a thread has no actor left to run, and now and then before.
  virtual void flush() noexcept = 0;
  /// Whether anything was put off. Called after each slice: a few nanoseconds.
  [[nodiscard]] virtual bool has_unflushed() const noexcept = 0;
  /// More has come than the actors have handled: running them helps more than polling on.
  [[nodiscard]] virtual bool is_ahead() const noexcept { return false; }
};

}  // namespace cluster::runtime
