#pragma once
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/node/node.hpp"

/// The servers that the workloads measure.
namespace cluster::bench {

struct Number {
  std::int64_t n = 0;
  using reply = std::int64_t;
};
struct Payload {
  Bytes data;
  using reply = Bytes;
};
struct Tick {
  std::int64_t n = 0;
};
struct Note {
  Bytes data;
};
/// Casts handled since the last Reset.
struct Handled {
  using reply = std::int64_t;
};
struct Reset {};

/// What is called and flooded.
class Target : public GenServer<Target, Number, Payload, Tick, Note, Handled, Reset> {
 public:
  std::int64_t handle_call(const Number& number) { return number.n + 1; }
  Bytes handle_call(Payload payload) { return std::move(payload.data); }
  void handle_cast(const Tick&) { ++handled_; }
  void handle_cast(const Note&) { ++handled_; }
  std::int64_t handle_call(const Handled&) { return handled_; }
  void handle_cast(const Reset&) { handled_ = 0; }

 private:
  std::int64_t handled_ = 0;
};

/// Calls with a Number, one after the other; answers how often it did.
struct CallNumbers {
  std::int64_t times = 0;
  using reply = std::int64_t;
};
/// Calls with a payload of `bytes`, one after the other; answers the nanoseconds that each took.
struct CallPayloads {
  std::int64_t times = 0;
  std::int64_t bytes = 0;
  using reply = std::vector<std::int64_t>;
};
/// Casts so many Ticks and waits until they are handled; answers how many were.
struct FloodTicks {
  std::int64_t times = 0;
  using reply = std::int64_t;
};
/// The same with Notes of `bytes`, at most two windows of `window` on the way at once.
struct FloodNotes {
  std::int64_t times = 0;
  std::int64_t bytes = 0;
  std::int64_t window = 0;
  using reply = std::int64_t;
};

/// What calls and floods a Target. Its own caller waits for its answer: the measured time has two calls more.
class Driver : public GenServer<Driver, CallNumbers, CallPayloads, FloodTicks, FloodNotes> {
 public:
  explicit Driver(Ref<Target> target) : target_(std::move(target)) {}

  Task<Result<std::int64_t>> handle_call(CallNumbers job);
  Task<Result<std::vector<std::int64_t>>> handle_call(CallPayloads job);
  Task<Result<std::int64_t>> handle_call(FloodTicks job);
  Task<Result<std::int64_t>> handle_call(FloodNotes job);

 private:
  Ref<Target> target_;
};

/// Blocks the thread that runs it: user code that does not await.
struct Block {
  std::int64_t milliseconds = 0;
};
class Blocker : public GenServer<Blocker, Block> {
 public:
  void handle_cast(const Block& block) {
    std::this_thread::sleep_for(std::chrono::milliseconds(block.milliseconds));
  }
};

/// What a Slow has seen of its process.
struct Strain {
  std::int64_t handled = 0;
  std::int64_t resident_peak = 0;  ///< bytes
};
struct HowIsIt {
  using reply = Strain;
};
/// Takes 200 us for a Note, as one that writes to a disk would.
class Slow : public GenServer<Slow, Note, HowIsIt> {
 public:
  void handle_cast(const Note&) {
    std::this_thread::sleep_for(200us);
    ++handled_;
  }
  Strain handle_call(const HowIsIt&);

 private:
  std::int64_t handled_ = 0;
};

/// Does nothing.
struct Nothing {};
class Idle : public GenServer<Idle, Nothing> {
 public:
  void handle_cast(const Nothing&) {}
};

}  // namespace cluster::bench
