#pragma once
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/base/time.hpp"

namespace cluster::sim {

/// A callable of at most kBytes bytes, held in place: an event to come costs no allocation.
class Event {
 public:
  static constexpr std::size_t kBytes = 48;

  Event() = default;
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, Event>) Event(F&& run)
      : operations_(&kOperations<std::decay_t<F>>) {
    using Held = std::decay_t<F>;
    static_assert(sizeof(Held) <= kBytes && alignof(Held) <= alignof(std::max_align_t),
                  "an event captures at most 48 bytes: capture a pointer to the rest");
    static_assert(std::is_nothrow_move_constructible_v<Held>);
    ::new (static_cast<void*>(bytes_)) Held(std::forward<F>(run));
  }
  Event(Event&& other) noexcept { take(other); }
  Event& operator=(Event&& other) noexcept {
    if (this != &other) clear(), take(other);
    return *this;
  }
  ~Event() { clear(); }

  void operator()() { operations_->run(bytes_); }

 private:
  struct Operations {
    void (*run)(void*);
    void (*move)(void* from, void* to) noexcept;
    void (*destroy)(void*) noexcept;
  };
  template <class Held>
  static constexpr Operations kOperations{[](void* held) { (*static_cast<Held*>(held))(); },
                                          [](void* from, void* to) noexcept {
                                            ::new (to) Held(std::move(*static_cast<Held*>(from)));
                                            static_cast<Held*>(from)->~Held();
                                          },
                                          [](void* held) noexcept { static_cast<Held*>(held)->~Held(); }};

  void take(Event& other) noexcept {
    if (other.operations_ != nullptr) other.operations_->move(other.bytes_, bytes_);
    operations_ = std::exchange(other.operations_, nullptr);
  }
  void clear() noexcept {
    if (operations_ != nullptr) std::exchange(operations_, nullptr)->destroy(bytes_);
  }

  const Operations* operations_ = nullptr;
  alignas(std::max_align_t) std::byte bytes_[kBytes];
};

/// A virtual clock and the events to come. Events run in the order of (time, order of scheduling), so a seed
/// gives one course of events, whatever the machine. Single-threaded. An event costs O(log pending).
class Simulator {
 public:
  explicit Simulator(std::uint64_t seed) : rng_(seed) {}
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  [[nodiscard]] Instant now() const noexcept { return now_; }
  /// Where all chance comes from; `split()` it for parts that shall not disturb each other.
  [[nodiscard]] Rng& rng() noexcept { return rng_; }

  /// Runs `event` at `when`, or now if that has passed; never if `when` is kNever.
  void at(Instant when, Event event);
  void after(Duration wait, Event event) { at(saturated_add(now_, wait), std::move(event)); }

  /// Runs the next event; false if there is none.
  bool step();
  /// Runs all events up to `end`, which is the time then.
  void run_until(Instant end);
  void run_for(Duration span) { run_until(saturated_add(now_, span)); }

  /// Adds to the trace: two runs with equal traces went alike, event by event.
  void trace(std::uint64_t value) noexcept;
  [[nodiscard]] std::uint64_t trace_hash() const noexcept { return trace_; }
  [[nodiscard]] std::uint64_t events_run() const noexcept { return events_run_; }
  [[nodiscard]] std::size_t events_pending() const noexcept { return heap_.size(); }

 private:
  /// What the heap moves about: the event itself stays in its slot.
  struct Due {
    Instant when;
    std::uint64_t sequence;
    std::uint32_t slot;
    [[nodiscard]] bool operator<(const Due& other) const noexcept {  // for a heap with the earliest on top
      return when != other.when ? when > other.when : sequence > other.sequence;
    }
  };

  Instant now_{};
  Rng rng_;
  std::vector<Due> heap_{};
  std::vector<Event> slots_{};
  std::vector<std::uint32_t> free_slots_{};
  std::uint64_t sequence_ = 0;
  std::uint64_t events_run_ = 0;
  std::uint64_t trace_ = 0;
};

}  // namespace cluster::sim
