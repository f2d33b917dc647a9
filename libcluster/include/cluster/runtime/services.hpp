#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "cluster/base/bytes.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/runtime/message.hpp"
#include "cluster/runtime/ref.hpp"
#include "cluster/runtime/scratch_bytes.hpp"
#include "cluster/runtime/server_type.hpp"
#include "cluster/wire/message.hpp"
#include "cluster/wire/value.hpp"

namespace cluster::runtime {

/// What servers and callers ask of the node around them. The ActorSystem implements it with the engine
/// and the network, the ServerHarness with records of what was asked. Thread-safe.
class Services {
 public:
  virtual ~Services() = default;

  /// Posts to a server of this node. On failure (`no_server`, `overloaded`, `bad_message` if the server is
  /// no `expected`) the message stays with the caller.
  virtual Result<void> post(const Target& to, const ServerType& expected, MessagePtr& message) = 0;

  /// Posts by event name, with the message still encoded. A failure goes to `reply_to` and is returned.
  virtual Result<void> post_encoded(const wire::Target& to, std::string_view event, ByteView payload,
                                    ReplyTo reply_to, Instant expires) = 0;

  /// Books a call to another node; its reply goes to `reply_to`. Each booked call ends in a reply, in
  /// `send_call` failing, or in `abandon_call`.
  virtual std::uint64_t open_call(const Target& to, ReplyTo reply_to) = 0;
  /// Sends an encoded message; takes its bytes if that spares a copy. `timeout` is the caller's, and the
  /// message's ttl, which is at `ttl_at` in it.
  virtual Result<void> send_call(std::uint64_t call, const Target& to, Bytes& message, std::size_t ttl_at,
                                 Duration timeout) = 0;
  /// Ends a booked call without a reply. `no`: it was still queued, was taken out and will never run.
  virtual Executed abandon_call(std::uint64_t call) = 0;
  virtual Result<void> send_cast(const Target& to, Bytes& message) = 0;

  [[nodiscard]] virtual Instant now() const = 0;
  /// When a call that is made now with this timeout is over. A long one may end one clock tick (4 ms) late.
  [[nodiscard]] virtual Instant deadline_after(Duration timeout) const {
    return saturated_add(now(), timeout);
  }
  virtual std::uint64_t set_timer(Instant due, const ActorRef& to, EnvelopePtr message) = 0;
  virtual void cancel_timer(std::uint64_t timer) = 0;

  virtual Result<Target> resolve(std::string_view address) const = 0;
};

/// A call that was sent: `call` names it at the Services if it went to another node, else 0.
struct SentCall {
  std::uint64_t call = 0;
};

/// `timeout` as it goes on the wire: rounded up, at least 1 ms.
[[nodiscard]] inline std::chrono::milliseconds ttl_of(Duration timeout) noexcept {
  return std::max(std::chrono::milliseconds(1), std::chrono::ceil<std::chrono::milliseconds>(timeout));
}

/// Posts to the actor that `to` holds, if it holds one of the class `expected` and that takes it. If false,
/// the message stays with the caller, and `Services::post` finds another way, or the reason.
[[nodiscard]] inline bool post_direct(const Target& to, const ServerType& expected, MessagePtr& message) {
  if (to.type != &expected || !to.actor) return false;
  EnvelopePtr envelope(message.release());
  if (to.actor.post(envelope) == Posted::ok) return true;
  message.reset(static_cast<Message*>(envelope.release()));
  return false;
}

/// Sends a call of message M, built from `fields`, to a server of class S.
template <class S, class M, class... Fields>
Result<SentCall> send_call(Services& services, const Target& to, ReplyTo reply_to, std::uint64_t sender,
                           Duration timeout, Fields&&... fields) {
  static_assert(S::template handles<M>, "the server's class does not list this message");
  if (to.node.empty()) {
    MessagePtr message = std::make_unique<TypedMessage<M>>(
        &detail::invoke<S, M>, std::move(reply_to), Item::Kind::message, std::forward<Fields>(fields)...);
    if (post_direct(to, S::type(), message)) return SentCall{};
    auto posted = services.post(to, S::type(), message);
    if (posted) return SentCall{};
    message->reply_to.forget();
    return std::move(posted).error();
  }
  const M value{std::forward<Fields>(fields)...};
  const auto call = services.open_call(to, std::move(reply_to));
  ScratchBytes bytes;
  std::size_t ttl_at = 0;
  {
    wire::Writer writer(*bytes);
    ttl_at = wire::begin_call(writer, {.id = call,
                                       .to = std::string_view(to.name),
                                       .from = sender,
                                       .event = wire::event_name<M>(),
                                       .ttl = ttl_of(timeout)});
    wire::encode_to(writer, value);
  }
  auto sent = services.send_call(call, to, *bytes, ttl_at, timeout);
  if (!sent) return std::move(sent).error();
  return SentCall{call};
}

/// Sends a cast of message M, built from `fields`, to a server of class S. An error means that it was
/// refused here; success that it is on its way.
template <class S, class M, class... Fields>
Result<void> send_cast(Services& services, const Target& to, std::uint64_t sender, Fields&&... fields) {
  static_assert(S::template handles<M>, "the server's class does not list this message");
  if (to.node.empty()) {
    MessagePtr message = std::make_unique<TypedMessage<M>>(
        &detail::invoke<S, M>, ReplyTo{}, Item::Kind::message, std::forward<Fields>(fields)...);
    if (post_direct(to, S::type(), message)) return {};
    return services.post(to, S::type(), message);
  }
  const M value{std::forward<Fields>(fields)...};
  ScratchBytes bytes;
  {
    wire::Writer writer(*bytes);
    wire::begin_cast(writer,
                     {.to = std::string_view(to.name), .from = sender, .event = wire::event_name<M>()});
    wire::encode_to(writer, value);
  }
  return services.send_cast(to, *bytes);
}

/// The dynamic forms, by event name, for callers that do not know the server's class.
Result<SentCall> send_event_call(Services& services, const Target& to, std::string_view event,
                                 const wire::Value& message, ReplyTo reply_to, std::uint64_t sender,
                                 Duration timeout);
Result<void> send_event_cast(Services& services, const Target& to, std::string_view event,
                             const wire::Value& message, std::uint64_t sender);

}  // namespace cluster::runtime
