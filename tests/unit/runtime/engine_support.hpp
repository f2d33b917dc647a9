#pragma once
#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cluster/runtime/engine.hpp"
#include "eventually.hpp"

namespace cluster::runtime::testing {

using cluster::testing::eventually;

/// A message that carries a number and who sent it.
struct Number final : Envelope {
  explicit Number(std::int64_t n, std::size_t from = 0) : value(n), sender(from) {}
  std::int64_t value;
  std::size_t sender;
};

inline EnvelopePtr number(std::int64_t n, std::size_t from = 0) { return std::make_unique<Number>(n, from); }
inline const Number& as_number(const EnvelopePtr& message) { return static_cast<const Number&>(*message); }

inline Posted post(const ActorRef& to, std::int64_t n, std::size_t from = 0) {
  EnvelopePtr message = number(n, from);
  return to.post(message);
}
inline Posted post_system(const ActorRef& to, std::int64_t n) {
  EnvelopePtr message = number(n);
  return to.post_system(message);
}

/// A behaviour made of functions; those not set do nothing.
struct Functions {
  std::function<void(const ActorRef& self)> start = {};
  std::function<void(const ActorRef& self, const Number&)> message = {};
  std::function<void(std::uint64_t, const ExitReason&)> down = {};
  std::function<bool(std::uint64_t, const ExitReason&)> link_exit = {};
  std::function<void(const ExitReason&)> stop = {};
  std::function<void(const Number&)> undelivered = {};
};

class Scripted final : public Behaviour {
 public:
  explicit Scripted(Functions functions) : functions_(std::move(functions)) {}
  void on_start(ActorRef self) override {
    self_ = std::move(self);
    if (functions_.start) functions_.start(self_);
  }
  void on_message(EnvelopePtr message) override {
    if (functions_.message) functions_.message(self_, as_number(message));
  }
  void on_down(std::uint64_t monitor, const ExitReason& reason) override {
    if (functions_.down) functions_.down(monitor, reason);
  }
  bool on_link_exit(std::uint64_t serial, const ExitReason& reason) override {
    return functions_.link_exit && functions_.link_exit(serial, reason);
  }
  void on_stop(const ExitReason& reason) noexcept override {
    if (functions_.stop) functions_.stop(reason);
  }
  void on_undelivered(EnvelopePtr message) noexcept override {
    if (functions_.undelivered) functions_.undelivered(as_number(message));
  }

 private:
  Functions functions_;
  ActorRef self_;
};

inline std::unique_ptr<Engine> engine(EngineConfig config = {.workers = 2}, IoDriver* io = nullptr) {
  auto started = Engine::start(config, io);
  REQUIRE(started.has_value());
  return std::move(started).value();
}
inline ActorRef spawn(Engine& engine, Functions functions, SpawnOptions options = {}) {
  return engine.spawn(std::make_unique<Scripted>(std::move(functions)), options);
}

/// Opens once; actors block on it where a test wants a worker blocked.
class Latch {
 public:
  void open() {
    open_.store(true);
    open_.notify_all();
  }
  void wait() const { open_.wait(false); }
  [[nodiscard]] bool is_open() const { return open_.load(); }

 private:
  std::atomic<bool> open_{false};
};

}  // namespace cluster::runtime::testing
