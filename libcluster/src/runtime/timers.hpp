#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "cluster/base/time.hpp"
#include "cluster/runtime/actor_ref.hpp"
#include "cluster/runtime/engine.hpp"
#include "cluster/runtime/envelope.hpp"

namespace cluster::runtime {

/// Messages that are to be posted at stated times: a heap under a mutex. Setting is O(1) while timers are set
/// in the order in which they are due, as those of equal length are; otherwise O(log n), as is cancelling.
/// Any thread.
class Timers {
 public:
  Timers() = default;
  ~Timers();
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  TimerId set(Instant due, ActorRef to, EnvelopePtr message);
  /// False: it fired already, or never was.
  bool cancel(TimerId timer);
  /// Posts the messages due at `now`, in the order of their times; returns how many.
  std::size_t fire(Instant now);
  /// When the first is due; kNever if there is none.
  [[nodiscard]] Instant next() const noexcept {
    return Instant(Duration(next_.load()));
  }  // seq_cst: see Parking

 private:
  struct Entry {
    ActorRef to;
    EnvelopePtr message;
    std::uint32_t place = 0;       // in heap_; while free: the next free entry
    std::uint32_t generation = 1;  // tells a timer from those that used the entry before it; never 0
  };
  struct Node {
    Instant due;
    std::uint32_t entry;
  };
  struct Fired {
    ActorRef to;
    EnvelopePtr message;
  };
  static constexpr std::size_t kArity = 4;

  [[nodiscard]] std::uint32_t make_entry(ActorRef to, EnvelopePtr message);
  [[nodiscard]] Fired free_entry(std::uint32_t index) noexcept;
  void remove_at(std::size_t place) noexcept;
  void sift_up(std::size_t place, Node node) noexcept;
  void sift_down(std::size_t place, Node node) noexcept;
  void put(std::size_t place, Node node) noexcept;
  void publish_next() noexcept;

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  std::vector<Node> heap_;  // kArity children a node, the earliest first
  std::uint32_t free_ = kNone;
  std::atomic<Instant::rep> next_{kNever.time_since_epoch().count()};
  static constexpr std::uint32_t kNone = UINT32_MAX;
};

}  // namespace cluster::runtime
