#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

namespace cluster::runtime {

/// Something that the scheduler runs in slices. It is in one run queue at most, and run by one thread at a
/// time.
class Job {
 public:
  enum class Turn : std::uint8_t {
    again,  ///< there is more to do: queue it behind the others
    rest,   ///< nothing to do for now, or for good. The job may be running elsewhere, or be gone, already
  };
  /// Runs until there is nothing to do, or `messages_max` messages are handled.
  virtual Turn run_slice(std::size_t messages_max) noexcept = 0;

  /// Goes before others, and is run by the spare thread if no worker is free.
  [[nodiscard]] bool system() const noexcept { return system_; }

 protected:
  explicit Job(bool system) noexcept : system_(system) {}
  ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

 private:
  friend class RunQueue;
  Job* next_job_ = nullptr;
  const bool system_;
};

/// Jobs that wait for a thread, first in, first out. Any thread.
class RunQueue {
 public:
  void push(Job* job) noexcept {
    const std::lock_guard lock(mutex_);
    job->next_job_ = nullptr;
    (last_ != nullptr ? last_->next_job_ : first_) = job;
    last_ = job;
    size_.store(size_.load(std::memory_order_relaxed) + 1);  // seq_cst: see Parking
  }
  [[nodiscard]] Job* pop() noexcept {
    if (empty()) return nullptr;
    const std::lock_guard lock(mutex_);
    if (first_ == nullptr) return nullptr;
    Job* job = std::exchange(first_, first_->next_job_);
    if (first_ == nullptr) last_ = nullptr;
    size_.store(size_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    return job;
  }
  [[nodiscard]] bool empty() const noexcept { return size_.load() == 0; }  // seq_cst: see Parking

 private:
  std::mutex mutex_;
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  std::atomic<std::size_t> size_{0};
};

}  // namespace cluster::runtime
