#include "cluster/kv/kv_syncer.hpp"

#include <algorithm>
#include <utility>

namespace cluster {

KvSyncer::KvSyncer(KvFolder& folder, Duration rest, Done done, Clock clock)
    : folder_(folder), rest_(rest), done_(std::move(done)), clock_(std::move(clock)), thread_([this] {
        run();
      }) {}

KvSyncer::~KvSyncer() { stop(); }

void KvSyncer::want(std::uint64_t ticket) {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = std::max(wanted_, ticket);
  }
  changed_.notify_one();
}

void KvSyncer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::optional<Result<void>> KvSyncer::sync_if_quick() {
  if (!quick_.load(std::memory_order_relaxed)) return std::nullopt;
  {
    const std::lock_guard lock(mutex_);
    if (wanted_ != synced_ || stopping_) return std::nullopt;
  }
  return sync();
}

Result<void> KvSyncer::sync() {
  const Instant begun = clock_();
  // After a failure nobody knows what the disk has, whatever it says later (Rebello et al., ATC 2020).
  if (!last_) return last_;
  last_ = folder_.sync();
  quick_.store(clock_() - begun <= kQuick, std::memory_order_relaxed);
  return last_;
}

void KvSyncer::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || wanted_ > synced_; });
    if (wanted_ == synced_) return;
    const auto ticket = wanted_;
    lock.unlock();
    done_(ticket, sync());
    lock.lock();
    synced_ = ticket;
    if (rest_ > Duration::zero()) changed_.wait_for(lock, rest_, [&] { return stopping_; });
  }
}

}  // namespace cluster
