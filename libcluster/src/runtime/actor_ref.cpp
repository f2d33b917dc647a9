#include "cluster/runtime/actor_ref.hpp"

#include "signals.hpp"

namespace cluster::runtime {

void ActorRef::stop(ExitReason reason) const {
  EnvelopePtr signal = std::make_unique<StopSignal>(std::move(reason));
  static_cast<void>(post_system(signal));  // closed: it has ended already
}

}  // namespace cluster::runtime
