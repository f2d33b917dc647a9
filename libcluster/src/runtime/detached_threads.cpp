#include "detached_threads.hpp"

#include <pthread.h>

#include <system_error>
#include <utility>

namespace cluster::runtime {

bool DetachedThreads::start(std::function<void()> run) {
  Threads finished;
  {
    const std::lock_guard lock(mutex_);
    finished.swap(finished_);
    const auto place = running_.emplace(running_.end());
    try {
      *place = std::thread([this, place, run = std::move(run)] {
        pthread_setname_np(pthread_self(), "cluster-actor");
        run();
        const std::lock_guard done(mutex_);
        finished_.splice(finished_.end(), running_, place);
        if (running_.empty()) all_finished_.notify_all();
      });
    } catch (const std::system_error&) {
      running_.erase(place);
      finished_.splice(finished_.end(), finished);
      return false;
    }
  }
  for (std::thread& thread : finished) thread.join();
  return true;
}

void DetachedThreads::join_all() noexcept {
  Threads finished;
  {
    std::unique_lock lock(mutex_);
    all_finished_.wait(lock, [this] { return running_.empty(); });
    finished.swap(finished_);
  }
  for (std::thread& thread : finished) thread.join();
}

}  // namespace cluster::runtime
