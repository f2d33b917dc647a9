#include "cluster/kv/kv_syncer.hpp"

#include <algorithm>
#include <utility>

namespace cluster {

KvSyncer::KvSyncer(KvFolder& folder, Done done)
    : folder_(folder), done_(std::move(done)), thread_([this] { run(); }) {}

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

void KvSyncer::run() {
  std::uint64_t synced = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || wanted_ > synced; });
    if (wanted_ == synced) return;
    const auto ticket = wanted_;
    lock.unlock();
    const bool succeeded = static_cast<bool>(folder_.sync());
    done_(ticket, succeeded);
    lock.lock();
    synced = ticket;
  }
}

}  // namespace cluster
