#include "cluster/runtime/message.hpp"

namespace cluster::runtime {

void ReplyTo::deliver(ReplyPtr reply) noexcept {
  auto to = std::exchange(to_, std::monostate{});
  if (auto* actor = std::get_if<ToActor>(&to)) {
    reply->id = actor->id;
    EnvelopePtr envelope = std::move(reply);
    static_cast<void>(actor->caller.post_system(envelope));  // closed: the caller is gone
  } else if (auto* slot = std::get_if<std::shared_ptr<ReplySlot>>(&to)) {
    (*slot)->fulfil(std::move(reply));
  } else if (auto* sink = std::get_if<ToSink>(&to)) {
    sink->sink->deliver(sink->id, std::move(reply));
  }
}

}  // namespace cluster::runtime
