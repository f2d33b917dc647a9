#include "cluster/runtime/pool.hpp"

#include <mutex>
#include <utility>

namespace cluster::runtime::detail {
namespace {

constexpr std::size_t kDepotBytesMax = std::size_t{4} << 20;  // of each size

/// Full batches of one size that no thread holds.
class Depot {
 public:
  [[nodiscard]] PoolBlock* take() noexcept {
    const std::lock_guard lock(mutex_);
    if (first_ == nullptr) return nullptr;
    --batches_;
    return std::exchange(first_, first_->next_batch);
  }
  /// False if it is full.
  [[nodiscard]] bool put(PoolBlock* batch, std::size_t block_bytes) noexcept {
    const std::lock_guard lock(mutex_);
    if (batches_ * kPoolBatchBlocks * block_bytes >= kDepotBytesMax) return false;
    ++batches_;
    batch->next_batch = std::exchange(first_, batch);
    return true;
  }

 private:
  std::mutex mutex_;
  PoolBlock* first_ = nullptr;
  std::size_t batches_ = 0;
};

constinit std::array<Depot, kPoolClasses> depots{};

constexpr std::size_t bytes_of(std::size_t size_class) noexcept { return (size_class + 1) * kPoolStep; }

void free_blocks(PoolBlock* first) noexcept {
  while (first != nullptr) ::operator delete(std::exchange(first, first->next));
}

void put_aside(PoolBlock* batch, std::size_t size_class) noexcept {
  if (!depots[size_class].put(batch, bytes_of(size_class))) free_blocks(batch);
}

enum class Thread : std::uint8_t { fresh, pooling, ended };
constinit thread_local Thread thread_state = Thread::fresh;

/// Gives a thread's blocks back when it ends. Objects that are destroyed after that are freed one by one.
struct AtThreadEnd {
  AtThreadEnd() noexcept { thread_state = Thread::pooling; }
  ~AtThreadEnd() {
    thread_state = Thread::ended;
    for (std::size_t size_class = 0; size_class < kPoolClasses; ++size_class) {
      PoolList& list = pool_lists[size_class];
      free_blocks(std::exchange(list.first, nullptr));
      if (list.batch != nullptr) put_aside(std::exchange(list.batch, nullptr), size_class);
      list.count = kPoolBatchBlocks - 1;  // so that each later free comes to pool_spill
    }
  }
};

void see_to_thread_end() noexcept {
  if (thread_state != Thread::fresh) return;
  thread_local const AtThreadEnd at_thread_end;
  static_cast<void>(at_thread_end);
}

}  // namespace

constinit thread_local std::array<PoolList, kPoolClasses> pool_lists{};

void* pool_refill(std::size_t size_class) {
  PoolList& list = pool_lists[size_class];
  see_to_thread_end();
  if (thread_state == Thread::ended) return ::operator new(bytes_of(size_class));
  PoolBlock* batch = std::exchange(list.batch, nullptr);
  if (batch == nullptr) batch = depots[size_class].take();
  if (batch == nullptr) return ::operator new(bytes_of(size_class));
  list.first = batch->next;
  list.count = kPoolBatchBlocks - 1;
  return batch;
}

void pool_spill(std::size_t size_class) noexcept {
  PoolList& list = pool_lists[size_class];
  see_to_thread_end();
  PoolBlock* full = std::exchange(list.first, nullptr);
  if (thread_state == Thread::ended) {
    list.count = kPoolBatchBlocks - 1;
    return free_blocks(full);
  }
  list.count = 0;
  if (PoolBlock* older = std::exchange(list.batch, full)) put_aside(older, size_class);
}

}  // namespace cluster::runtime::detail
