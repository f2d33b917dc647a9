#include "monitors.hpp"

namespace cluster::runtime {

std::uint64_t Monitors::add(ActorRef watcher, ActorRef target) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = ++last_;
  by_watcher_.emplace(watcher.serial(), number);
  monitors_.emplace(number, Monitor{std::move(watcher), std::move(target)});
  return number;
}

std::optional<Monitors::Monitor> Monitors::take(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = monitors_.find(number);
  if (found == monitors_.end()) return std::nullopt;
  Monitor monitor = std::move(found->second);
  monitors_.erase(found);
  by_watcher_.erase({monitor.watcher.serial(), number});
  return monitor;
}

std::optional<std::uint64_t> Monitors::any_of(std::uint64_t watcher) const {
  const std::lock_guard lock(mutex_);
  const auto first = by_watcher_.lower_bound({watcher, 0});
  if (first == by_watcher_.end() || first->first != watcher) return std::nullopt;
  return first->second;
}

}  // namespace cluster::runtime
