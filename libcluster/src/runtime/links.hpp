#pragma once
#include <algorithm>
#include <cstdint>
#include <mutex>
#include <set>
#include <utility>

namespace cluster::runtime {

/// Which actors are linked, as pairs of serials without an order. Whoever takes a pair out tells the other
/// actor, so that it is told once. Any thread.
class Links {
 public:
  /// False if they are linked already.
  [[nodiscard]] bool add(std::uint64_t a, std::uint64_t b) {
    const std::lock_guard lock(mutex_);
    return pairs_.insert(std::minmax(a, b)).second;
  }
  /// False if they were not linked.
  [[nodiscard]] bool take(std::uint64_t a, std::uint64_t b) {
    const std::lock_guard lock(mutex_);
    return pairs_.erase(std::minmax(a, b)) != 0;
  }

 private:
  std::mutex mutex_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> pairs_;
};

}  // namespace cluster::runtime
