#pragma once
#include <utility>

#include "cluster/runtime/envelope.hpp"
#include "cluster/runtime/exit_reason.hpp"

namespace cluster::runtime {

class EngineActor;

/// A message of the engine to its own half of an actor; travels in the system queue.
class Signal : public Envelope {
 public:
  /// Acts on the actor, on the thread that runs it.
  virtual void apply(EngineActor& actor) = 0;

 protected:
  Signal() { is_signal_ = true; }
};

/// The actor shall end.
class StopSignal final : public Signal {
 public:
  explicit StopSignal(ExitReason reason) : reason_(std::move(reason)) {}
  void apply(EngineActor& actor) override;

 private:
  ExitReason reason_;
};

}  // namespace cluster::runtime
