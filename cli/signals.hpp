#pragma once

namespace cluster::cli {

/// SIGTERM and SIGINT as something to wait for. Made on the main thread before any other thread starts,
/// because threads inherit which signals they block.
class StopSignals {
 public:
  StopSignals();
  /// Blocks until one of the signals came. From then on the next one ends the process at once, as it does
  /// by default, so that a stop that hangs can be cut short.
  void wait();
  /// Makes `wait` return, from any thread.
  static void raise();
};

}  // namespace cluster::cli
