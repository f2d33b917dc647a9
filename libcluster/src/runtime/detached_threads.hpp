#pragma once
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace cluster::runtime {

/// The threads of detached actors. Each is joined after its function returned: by the next `start`, or by
/// `join_all`.
class DetachedThreads {
 public:
  ~DetachedThreads() { join_all(); }
  /// False if the system gives no thread. Any thread.
  [[nodiscard]] bool start(std::function<void()> run);
  /// Waits for all. Not from one of them.
  void join_all() noexcept;

 private:
  using Threads = std::list<std::thread>;

  std::mutex mutex_;
  std::condition_variable all_finished_;
  Threads running_;
  Threads finished_;
};

}  // namespace cluster::runtime
