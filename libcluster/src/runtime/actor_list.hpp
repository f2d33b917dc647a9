#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

#include "cluster/runtime/actor_ref.hpp"

namespace cluster::runtime {

/// All actors that have not ended. Any thread.
class ActorList {
 public:
  /// False once the list is closed.
  [[nodiscard]] bool add(ActorCore& actor);
  void remove(ActorCore& actor);
  [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }
  /// Accepts no more actors; returns those that are there.
  [[nodiscard]] std::vector<ActorRef> close();
  /// After `close`: waits until the last one is removed.
  void wait_until_empty();

 private:
  std::mutex mutex_;
  std::condition_variable empty_;
  ActorCore* first_ = nullptr;
  bool closed_ = false;
  std::atomic<std::size_t> size_{0};  // written under mutex_
};

}  // namespace cluster::runtime
