#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
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

/// Does nothing.
struct Nothing {};
class Idle : public GenServer<Idle, Nothing> {
 public:
  void handle_cast(const Nothing&) {}
};

/// A node on loopback at a free port.
[[nodiscard]] Node start_node(const std::string& id, const std::string& cookie, const std::string& ring = {});
/// A new cookie of 256 random bits.
[[nodiscard]] std::string new_cookie();

}  // namespace cluster::bench
