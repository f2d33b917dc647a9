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
  /// Sends what this thread has put off. Called at the end of each actor's slice, and after a poll that
  /// handled something: must be cheap if there is nothing.
  virtual void flush() noexcept = 0;
};

}  // namespace cluster::runtime
