#pragma once
#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/rng.hpp"
#include "cluster/base/time.hpp"

namespace cluster::sim {

/// A virtual clock and the events to come. Events run in the order of (time, order of scheduling), so a seed
/// gives one course of events, whatever the machine. Single-threaded.
class Simulator {
 public:
  explicit Simulator(std::uint64_t seed) : rng_(seed) {}
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  [[nodiscard]] Instant now() const noexcept { return now_; }
  /// Where all chance comes from; `split()` it for parts that shall not disturb each other.
  [[nodiscard]] Rng& rng() noexcept { return rng_; }

  /// Runs `event` at `when`, or now if that has passed.
  void at(Instant when, std::function<void()> event);
  void after(Duration wait, std::function<void()> event) { at(saturated_add(now_, wait), std::move(event)); }

  /// Runs the next event; false if there is none.
  bool step();
  /// Runs all events up to `end`, which is the time then.
  void run_until(Instant end);
  void run_for(Duration span) { run_until(saturated_add(now_, span)); }

  /// Adds to the trace: two runs with equal traces went alike, event by event.
  void trace(std::uint64_t value) noexcept;
  void trace(ByteView bytes) noexcept;
  [[nodiscard]] std::uint64_t trace_hash() const noexcept { return trace_; }
  [[nodiscard]] std::uint64_t events_run() const noexcept { return events_run_; }

 private:
  struct Event {
    Instant when;
    std::uint64_t sequence;
    std::function<void()> run;
    [[nodiscard]] bool operator<(const Event& other) const noexcept {  // for a heap with the earliest on top
      return when != other.when ? when > other.when : sequence > other.sequence;
    }
  };

  Instant now_{};
  Rng rng_;
  std::vector<Event> heap_{};
  std::uint64_t sequence_ = 0;
  std::uint64_t events_run_ = 0;
  std::uint64_t trace_ = 0xcbf29ce484222325;  // FNV-1a, 64 bits
};

}  // namespace cluster::sim
