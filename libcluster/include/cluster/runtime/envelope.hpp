#pragma once
#include <memory>

namespace cluster::runtime {

/// One message on its way: a single allocation that derived classes extend with header and value.
/// It has one owner at a time: the sender, a mailbox, then the behaviour that receives it.
class Envelope {
 public:
  virtual ~Envelope() = default;
  Envelope(const Envelope&) = delete;
  Envelope& operator=(const Envelope&) = delete;

  /// The link of the queue that holds it; free for the owner to use while it is in none.
  Envelope* next = nullptr;

 protected:
  Envelope() = default;

 private:
  friend class Signal;
  bool is_signal_ = false;  // the engine's own: never reaches a behaviour
  friend class EngineActor;
};

using EnvelopePtr = std::unique_ptr<Envelope>;

}  // namespace cluster::runtime
