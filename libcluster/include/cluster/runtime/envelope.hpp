#pragma once
#include <memory>

#include "cluster/runtime/pool.hpp"

namespace cluster::runtime {

/// One message on its way: a single allocation that derived classes extend with header and value.
/// It has one owner at a time: the sender, a mailbox, then the behaviour that receives it.
class Envelope : public Pooled {
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
  friend class EngineActor;
  friend class Mailbox;
  bool is_signal_ = false;  // the engine's own: never reaches a behaviour
  bool urgent_ = false;     // a system message among the mailbox's user messages
};

using EnvelopePtr = std::unique_ptr<Envelope>;

}  // namespace cluster::runtime
