#pragma once
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "cluster/kv/kv_folder.hpp"

namespace cluster {

/// Syncs a folder on a thread of its own: whatever was asked for while it was busy goes to the disk together.
class KvSyncer {
 public:
  using Done = std::function<void(std::uint64_t ticket, bool succeeded)>;

  /// `done` runs on the thread of the syncer. `folder` outlives it.
  KvSyncer(KvFolder& folder, Done done);
  /// As `stop`.
  ~KvSyncer();
  KvSyncer(const KvSyncer&) = delete;
  KvSyncer& operator=(const KvSyncer&) = delete;

  /// Any thread. Tickets grow.
  void want(std::uint64_t ticket);
  /// Syncs what is wanted and ends the thread. Idempotent.
  void stop();

 private:
  void run();

  KvFolder& folder_;
  Done done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t wanted_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cluster
