#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "cluster/runtime/actor_ref.hpp"

namespace cluster::runtime {

/// All monitors that have neither fired nor been taken back. Whoever takes one out delivers it, so that it
/// fires once at most. Any thread.
class Monitors {
 public:
  struct Monitor {
    ActorRef watcher;
    ActorRef target;
  };

  /// The number of a new monitor; never 0.
  [[nodiscard]] std::uint64_t add(ActorRef watcher, ActorRef target);
  [[nodiscard]] std::optional<Monitor> take(std::uint64_t number);
  /// The number of some monitor of `watcher`, if it has any.
  [[nodiscard]] std::optional<std::uint64_t> any_of(std::uint64_t watcher) const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, Monitor> monitors_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> by_watcher_;  // (serial, number)
};

}  // namespace cluster::runtime
