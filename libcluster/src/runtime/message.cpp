#include "cluster/runtime/message.hpp"

namespace cluster::runtime {
namespace {

ActorCore* actor_at(std::uintptr_t target) noexcept { return reinterpret_cast<ActorCore*>(target); }
SinkPtr<ReplySink> sink_at(std::uintptr_t tagged) noexcept {
  return SinkPtr<ReplySink>::adopt(reinterpret_cast<ReplySink*>(tagged - 1));
}

}  // namespace

void ReplyTo::deliver(ReplyPtr reply) noexcept {
  const std::uintptr_t target = std::exchange(target_, 0);
  if (target == 0) return;
  if ((target & kIsSink) != 0) return sink_at(target)->deliver(id_, std::move(reply));
  ActorCore* caller = actor_at(target);
  reply->id = id_;
  reply->caller = ActorRef::adopt(caller);
  EnvelopePtr envelope = std::move(reply);
  static_cast<void>(caller->post_with_reference(envelope));  // closed: the caller has ended
}

void ReplyTo::forget() noexcept {
  const std::uintptr_t target = std::exchange(target_, 0);
  if (target == 0) return;
  if ((target & kIsSink) != 0)
    static_cast<void>(sink_at(target));
  else
    actor_at(target)->release();
}

void ReplyTo::abandon() noexcept {
  fail(Error(Errc::stopped, "the server gave no answer", Executed::unknown));
}

}  // namespace cluster::runtime
