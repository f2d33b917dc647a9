#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "cluster/base/time.hpp"
#include "cluster/kv/kv_folder.hpp"

namespace cluster {

/// Syncs a folder on a thread of its own: whatever was asked for while it was busy goes to the disk together.
/// It may be told to rest between two syncs, for those who do not wait for it. While the disk is quick, its
/// owner can sync by itself: a thread that has to be woken, and to wake, takes about as long as such a sync.
class KvSyncer {
 public:
  using Done = std::function<void(std::uint64_t ticket, const Result<void>& synced)>;
  using Clock = std::function<Instant()>;

  /// `done` runs on the thread of the syncer, `clock`, which tells how long a sync takes, also on that of its
  /// owner. `folder` outlives it.
  KvSyncer(KvFolder& folder, Duration rest, Done done, Clock clock = &MonotonicClock::now);
  /// As `stop`.
  ~KvSyncer();
  KvSyncer(const KvSyncer&) = delete;
  KvSyncer& operator=(const KvSyncer&) = delete;

  /// Tickets grow. This and the next: one thread, or one after the other.
  void want(std::uint64_t ticket);
  /// Syncs on this thread, and says how that went; nothing done and none if the thread is at it, or the last
  /// sync took longer than kQuick.
  [[nodiscard]] std::optional<Result<void>> sync_if_quick();
  static constexpr Duration kQuick = std::chrono::milliseconds(1);
  /// Syncs what is wanted and ends the thread. Idempotent.
  void stop();

 private:
  void run();
  Result<void> sync();

  KvFolder& folder_;
  const Duration rest_;
  Done done_;
  const Clock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t wanted_ = 0;
  std::uint64_t synced_ = 0;
  std::atomic<bool> quick_ = true;
  Result<void> last_{};  // of one thread at a time: who finds nothing wanted, and who does it then
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cluster
