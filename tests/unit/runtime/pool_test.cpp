// The pool of messages: blocks are used again, between threads too, and never by two at once.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "cluster/runtime/pool.hpp"

using namespace cluster::runtime;

namespace {

/// A block filled with its own number, to see whether somebody else writes to it.
struct Filled {
  unsigned char* bytes;
  std::size_t size;
  unsigned char number;

  static Filled make(std::size_t size, unsigned char number) {
    auto* bytes = static_cast<unsigned char*>(pool_allocate(size));
    std::memset(bytes, number, size);
    return {bytes, size, number};
  }
  [[nodiscard]] bool intact() const {
    for (std::size_t i = 0; i < size; ++i)
      if (bytes[i] != number) return false;
    return true;
  }
  void free() const { pool_free(bytes, size); }
};

}  // namespace

TEST_CASE("pool: blocks of every size are aligned, apart from each other, and keep what is written") {
  std::vector<Filled> blocks;
  for (std::size_t round = 0; round < 3; ++round) {
    for (std::size_t size = 1; size <= 1100; size += 7)
      for (unsigned char number = 1; number <= 3; ++number) blocks.push_back(Filled::make(size, number));
    for (const auto& block : blocks) {
      CAPTURE(block.size);
      CHECK(reinterpret_cast<std::uintptr_t>(block.bytes) % alignof(std::max_align_t) == 0);
      CHECK(block.intact());
      block.free();
    }
    blocks.clear();
  }
}

TEST_CASE("pool: a thread gets back what it freed last") {
  if (!kPooled) return;
  void* first = pool_allocate(48);
  pool_free(first, 48);
  void* again = pool_allocate(40);  // of the same size class
  CHECK(again == first);
  pool_free(again, 40);
}

TEST_CASE("pool: what one thread makes and another destroys comes back to the first") {
  if (!kPooled) return;
  constexpr std::size_t kBlocks = 1000;
  constexpr std::size_t kBytes = 496;  // a size that nobody else here uses
  std::set<void*> seen;
  std::size_t used_again = 0;
  for (int round = 0; round < 5; ++round) {
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < kBlocks; ++i) {
      blocks.push_back(pool_allocate(kBytes));
      if (!seen.insert(blocks.back()).second) ++used_again;
    }
    std::thread([&] {
      for (void* block : blocks) pool_free(block, kBytes);
    }).join();
  }
  // All but the incomplete batch of each thread that ended.
  CHECK(used_again >= 4 * (kBlocks - 64));
}

TEST_CASE("pool: threads that pass blocks to each other never share one") {
  constexpr int kThreads = 4;
  constexpr int kRounds = 300;
  std::mutex mutex;
  std::vector<Filled> shared;
  bool all_intact = true;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      std::vector<Filled> mine;
      bool intact = true;
      for (int round = 0; round < kRounds; ++round) {
        for (std::size_t i = 0; i < 150; ++i)
          mine.push_back(Filled::make(24 + i % 5 * 40, static_cast<unsigned char>(t * 50 + round % 50)));
        {
          const std::lock_guard lock(mutex);
          mine.swap(shared);
        }
        for (const auto& block : mine) {
          intact = intact && block.intact();
          block.free();
        }
        mine.clear();
      }
      const std::lock_guard lock(mutex);
      all_intact = all_intact && intact;
    });
  for (auto& thread : threads) thread.join();
  CHECK(all_intact);
  for (const auto& block : shared) block.free();
}
