#pragma once
#include <cstdint>

#include "cluster/runtime/actor_ref.hpp"
#include "cluster/runtime/envelope.hpp"
#include "cluster/runtime/exit_reason.hpp"

namespace cluster::runtime {

/// What an actor does. All calls for one actor are serial, on worker threads (or on its own thread if it is
/// detached), with each call's effects visible to the next. If one throws, the actor ends as `failed` with
/// the exception's text.
class Behaviour {
 public:
  virtual ~Behaviour() = default;
  /// First, before any message. `self.stop(...)` in here ends the actor before its first user message.
  virtual void on_start(ActorRef self) { static_cast<void>(self); }
  virtual void on_message(EnvelopePtr message) = 0;
  /// The target of `monitor` (the number that Engine::monitor gave) has ended. Once per monitor.
  virtual void on_down(std::uint64_t monitor, const ExitReason& reason) {
    static_cast<void>(monitor), static_cast<void>(reason);
  }
  /// A linked actor has ended. True: go on. False (the default): end with the same reason, unless it is
  /// normal.
  virtual bool on_link_exit(std::uint64_t serial, const ExitReason& reason) {
    static_cast<void>(serial), static_cast<void>(reason);
    return false;
  }
  /// Last but for on_undelivered; the actor still takes (but will not handle) messages.
  virtual void on_stop(const ExitReason& reason) noexcept { static_cast<void>(reason); }
  /// Each message still in the mailbox at the end, in order, after on_stop and before monitors are told.
  virtual void on_undelivered(EnvelopePtr message) noexcept { static_cast<void>(message); }
};

}  // namespace cluster::runtime
