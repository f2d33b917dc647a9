#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>

#include "cluster/sim/simulator.hpp"

namespace cluster::sim {

/// Decides when a process gets to handle its input and its timer: at once; or, if it is slow, each input some
/// time after it arrived; or, while it is paused as by SIGSTOP, not at all: then on waking it reads all input
/// in order of arrival before it looks at its timer, as a process that polls does.
class Host {
 public:
  /// What waits is bounded as socket buffers are: what arrives beyond is lost.
  static constexpr std::size_t kInboxMax = 16'384;

  /// `tick` is called when the timer is due.
  Host(Simulator& simulator, std::function<void()> tick) : simulator_(simulator), tick_(std::move(tick)) {}
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  /// Runs `work` as soon as the process gets to it.
  void submit(Event work);
  /// Sets the process's only timer; kNever: none.
  void wake_at(Instant due);
  void pause() { paused_ = true; }
  void resume();
  /// How long input lies about before the process handles it; its timer is not late.
  void set_lag(Duration lag) { lag_ = lag; }
  /// A crash: what waits is gone, the timer too. A paused host stays paused.
  void clear();

  [[nodiscard]] bool paused() const noexcept { return paused_; }
  [[nodiscard]] std::size_t waiting() const noexcept { return inbox_.size(); }
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

 private:
  void arm(Instant when);
  void fire();
  void serve();

  Simulator& simulator_;
  std::function<void()> tick_;
  struct Input {
    Instant ready;
    Event work;
  };
  std::deque<Input> inbox_{};
  Duration lag_{};
  bool paused_ = false;
  Instant serves_at_ = kNever;  // an event is under way that does
  Instant timer_ = kNever;
  Instant armed_ = kNever;  // the earliest event that looks at the timer
  std::uint64_t dropped_ = 0;
};

}  // namespace cluster::sim
