#pragma once
#include <chrono>

namespace cluster::cli {

/// SIGTERM and SIGINT as something to wait for. Made on the main thread before any other thread starts,
/// because threads inherit which signals they block.
class StopSignals {
 public:
  StopSignals();
  /// Blocks until one of the signals came; false if none did within `most`.
  [[nodiscard]] bool wait(std::chrono::seconds most);
  /// From now on the next one ends the process at once, as it does by default, so that a stop that hangs can
  /// be cut short.
  static void let_end();
  /// Makes `wait` return, from any thread.
  static void raise();
};

}  // namespace cluster::cli
