#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

namespace cluster::runtime {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kPooled = false;  // every object stays visible to the sanitizer
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kPooled = false;
#else
inline constexpr bool kPooled = true;
#endif
#else
inline constexpr bool kPooled = true;
#endif

namespace detail {

/// A free block; `next_batch` links the first blocks of whole batches.
struct PoolBlock {
  PoolBlock* next;
  PoolBlock* next_batch;
};

inline constexpr std::size_t kPoolStep = 16;           // bytes from one size class to the next
inline constexpr std::size_t kPoolClasses = 32;        // so blocks of up to 512 bytes
inline constexpr std::uint32_t kPoolBatchBlocks = 64;  // what goes to or comes from other threads at once

/// A thread's free blocks of one size: a list that both ends of a message's life touch without a lock, and
/// one full batch aside, so that a thread at the border of a batch does not go to the depot each time.
struct PoolList {
  PoolBlock* first;
  PoolBlock* batch;
  std::uint32_t count;  // of the blocks at `first`
};
extern constinit thread_local std::array<PoolList, kPoolClasses> pool_lists;

/// A block when the list is empty; may throw std::bad_alloc.
[[nodiscard]] void* pool_refill(std::size_t size_class);
/// The list holds a whole batch: makes room.
void pool_spill(std::size_t size_class) noexcept;

}  // namespace detail

/// Memory for what lives as long as one message does: envelopes, replies, frames of handlers. Freed blocks
/// wait in the freeing thread for its next allocation of that size (about 2 ns each way); when one thread
/// makes what another destroys, blocks return through a depot, in batches. What the depot does not keep
/// (4 MiB for each size) goes back to the heap. Any thread.
[[nodiscard]] inline void* pool_allocate(std::size_t bytes) {
  if (!kPooled || bytes - 1 >= detail::kPoolStep * detail::kPoolClasses) return ::operator new(bytes);
  const std::size_t size_class = (bytes - 1) / detail::kPoolStep;
  auto& list = detail::pool_lists[size_class];
  if (list.first == nullptr) return detail::pool_refill(size_class);
  detail::PoolBlock* block = list.first;
  list.first = block->next;
  --list.count;
  return block;
}

/// `bytes` as they were allocated.
inline void pool_free(void* memory, std::size_t bytes) noexcept {
  if (!kPooled || bytes - 1 >= detail::kPoolStep * detail::kPoolClasses) return ::operator delete(memory);
  const std::size_t size_class = (bytes - 1) / detail::kPoolStep;
  auto& list = detail::pool_lists[size_class];
  list.first = new (memory) detail::PoolBlock{list.first, nullptr};
  if (++list.count == detail::kPoolBatchBlocks) detail::pool_spill(size_class);
}

/// A base for classes whose objects come from the pool. Derived classes have virtual destructors, or are
/// destroyed as what they are: the size must be right.
struct Pooled {
  static void* operator new(std::size_t bytes) { return pool_allocate(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept { pool_free(memory, bytes); }
};

}  // namespace cluster::runtime
