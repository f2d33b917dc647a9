#pragma once

namespace cluster::sim {

/// What cluster-sim exits with.
enum Exit : int { kOk = 0, kCheckFailed = 1, kUsage = 2 };

}  // namespace cluster::sim
