#pragma once
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/runtime/from.hpp"
#include "cluster/runtime/message.hpp"
#include "cluster/runtime/task.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/schema.hpp"

namespace cluster::runtime {

/// A message that says `static constexpr bool local = true` is of the process's own code: no other process,
/// no command and no call by name can send it, whatever they know.
template <class M>
concept LocalMessage = requires {
  requires M::local;
};
/// One that says `static constexpr bool of_node = true` has a field `NodeId from`, and is taken only from the
/// connection of the node that it names; one that names none is from the node whose connection it came on.
template <class M>
concept NodeMessage = requires(const M& message) {
  requires M::of_node;
  { message.from } -> std::same_as<const NodeId&>;
};

/// A server class that says `static constexpr bool tells_outcome = true` says with each error what became of
/// what was asked for. Its callers are told that, and not that its handler ran.
template <class S>
concept TellsOutcome = requires {
  requires S::tells_outcome;
};

/// One event that a server class handles: how bytes become its message, and how to describe it.
struct Event {
  std::string_view name;
  /// The message in a payload, ready to post; `bad_message` says what is wrong with it.
  Result<MessagePtr> (*decode)(ByteView payload) = nullptr;
  std::vector<wire::Field> (*fields)() = nullptr;
  bool replies = false;  ///< a call answers with a value, not only with "done"
  /// Of a message between nodes, who it says that it is from, perhaps nobody; null for all others.
  NodeId& (*sender)(Message&) = nullptr;
};

/// What is known of a server class: its events that others may send, in the order of its declaration.
struct ServerType {
  std::string_view name;
  std::span<const Event> events;
  bool system = false;  ///< the node itself needs it: exempt from the bounds on what waits

  [[nodiscard]] const Event* find(std::string_view event) const noexcept {
    for (const auto& known : events)
      if (known.name == event) return &known;
    return nullptr;
  }
};

namespace detail {

template <class T>
struct Unwrapped {  // Task<Result<T>>, Task<T>, Result<T> and T all answer T
  using type = T;
};
template <class T>
struct Unwrapped<Result<T>> {
  using type = T;
};
template <class T>
struct Unwrapped<Task<T>> : Unwrapped<T> {};

/// Y becomes an R without losing anything: the rule of brace initialisation.
template <class R, class Y>
concept FitsReply = std::same_as<R, Y> || requires(Y value) {
  R{std::move(value)};
};

template <class S, class M>
concept HandlesCall = requires(S& server, M message) {
  server.handle_call(std::move(message));
};
template <class S, class M>
concept HandlesCallFrom = requires(S& server, M message, From<reply_of<M>> from) {
  server.handle_call(std::move(message), std::move(from));
};
template <class S, class M>
concept HandlesCast = requires(S& server, M message) {
  server.handle_cast(std::move(message));
};
template <class S, class M>
concept HandlesInfo = requires(S& server, M message) {
  server.handle_info(std::move(message));
};

/// What a handler gives to its caller. Its errors ran, whatever their code says of where they came from,
/// unless its server `tells` what they mean.
template <class R, bool tells, class Out>
void answer(ReplyTo& to, Out&& out) {
  using Plain = std::remove_cvref_t<Out>;
  if constexpr (requires {
                  typename Plain::value_type;
                  out.error();
                }) {
    if (!out) return to.fail(tells ? out.error() : ran(out.error()));
  }
  if constexpr (std::is_void_v<R>) {
    deliver<void>(to, {});
  } else if constexpr (std::same_as<Plain, R> || std::same_as<Plain, Result<R>>) {
    deliver<R>(to, std::forward<Out>(out));
  } else if constexpr (requires {
                         typename Plain::value_type;
                         out.error();
                       }) {
    deliver<R>(to, R{std::forward<Out>(out).value()});
  } else {
    deliver<R>(to, R{std::forward<Out>(out)});
  }
}

template <class R, bool tells, class Out>
class TypedActive final : public ActiveHandler {
 public:
  TypedActive(Task<Out> task, ReplyTo to) : task_(std::move(task)), to_(std::move(to)) {}
  void finish() override {
    try {
      if constexpr (std::is_void_v<Out>) {
        task_.take();
        deliver<void>(to_, {});
      } else {
        answer<R, tells>(to_, task_.take());
      }
    } catch (const std::exception& thrown) {
      to_.fail(Error(Errc::handler_failed, thrown.what()));
      throw;
    } catch (...) {
      to_.fail(Error(Errc::handler_failed, "the handler threw something that is no std::exception"));
      throw;
    }
  }
  void notify(void (*on_done)(void*), void* context) noexcept override { task_.notify(on_done, context); }

 private:
  Task<Out> task_;
  ReplyTo to_;
};

/// Runs `handler()` and sees to its answer: now, or when its coroutine ends. R is what the caller expects.
template <class R, bool tells = false, class Handler>
std::unique_ptr<ActiveHandler> run(ReplyTo& to, Handler&& handler) {
  using Out = decltype(handler());
  static_assert(!std::is_reference_v<Out>, "a handler returns a value, not a reference");
  if constexpr (is_task_v<Out>) {
    auto task = handler();
    using Inner = decltype(task.take());
    if (!task.done()) return std::make_unique<TypedActive<R, tells, Inner>>(std::move(task), std::move(to));
    if constexpr (std::is_void_v<Inner>) {
      task.take();
      deliver<void>(to, {});
    } else {
      answer<R, tells>(to, task.take());
    }
  } else if constexpr (std::is_void_v<Out>) {
    handler();
    deliver<void>(to, {});
  } else {
    answer<R, tells>(to, handler());
  }
  return nullptr;
}

template <class S, class M>
std::unique_ptr<ActiveHandler> invoke(ServerBase& base, Message& envelope) {
  using R = reply_of<M>;
  auto& server = static_cast<S&>(base);
  auto& message = static_cast<TypedMessage<M>&>(envelope).value;
  constexpr bool kHasCall = HandlesCall<S, M> || HandlesCallFrom<S, M>;
  static_assert(kHasCall || HandlesCast<S, M>,
                "the server lists a message for which it has no public handle_call or handle_cast");
  static_assert(kHasCall || std::is_void_v<R>, "a message with a `reply` needs a handle_call");
  if constexpr (HandlesCast<S, M>) {
    if (!kHasCall || !envelope.reply_to)
      return run<void>(envelope.reply_to, [&] { return server.handle_cast(std::move(message)); });
  }
  if constexpr (HandlesCallFrom<S, M>) {
    From<R> from(std::move(envelope.reply_to), TellsOutcome<S>);
    return run<void>(envelope.reply_to,
                     [&] { return server.handle_call(std::move(message), std::move(from)); });
  } else if constexpr (HandlesCall<S, M>) {
    using Y = typename Unwrapped<decltype(server.handle_call(std::move(message)))>::type;
    static_assert(FitsReply<R, Y> || std::is_void_v<R>,
                  "handle_call returns something else than the message's `reply` (narrowing counts)");
    return run<R, TellsOutcome<S>>(envelope.reply_to, [&] { return server.handle_call(std::move(message)); });
  }
  return nullptr;
}

/// For messages that a server sends itself (timers, `continue`): handle_info, else handle_cast.
template <class S, class M>
std::unique_ptr<ActiveHandler> invoke_info(ServerBase& base, Message& envelope) {
  auto& server = static_cast<S&>(base);
  auto& message = static_cast<TypedMessage<M>&>(envelope).value;
  static_assert(HandlesInfo<S, M> || HandlesCast<S, M>,
                "the server has no public handle_info or handle_cast for a message that it sends itself");
  if constexpr (HandlesInfo<S, M>)
    return run<void>(envelope.reply_to, [&] { return server.handle_info(std::move(message)); });
  else
    return run<void>(envelope.reply_to, [&] { return server.handle_cast(std::move(message)); });
}

template <class S, class M>
Result<MessagePtr> decode(ByteView payload) {
  constexpr std::uint8_t kNil = 0xc0;  // "no arguments": every field keeps its default
  auto message = std::make_unique<InboundMessage<M>>(&invoke<S, M>, ReplyTo{}, Item::Kind::message);
  if (payload.size() != 1 || payload[0] != kNil)
    if (auto read = wire::decode_into(payload, message->value); !read) return std::move(read).error();
  return MessagePtr(std::move(message));
}

template <class M>
NodeId& sender_of(Message& message) {
  return static_cast<TypedMessage<M>&>(message).value.from;
}

template <class S, class M>
consteval Event event_of() {
  Event event{wire::event_name<M>(), &decode<S, M>, &wire::schema<M>, !std::is_void_v<reply_of<M>>};
  if constexpr (NodeMessage<M>) event.sender = &sender_of<M>;
  return event;
}

/// The events that others may send.
template <class S, class... Ms>
consteval auto events_of() {
  std::array<Event, (std::size_t{0} + ... + (LocalMessage<Ms> ? 0 : 1))> events{};
  std::size_t at = 0;
  const auto add = [&]<class M>(std::type_identity<M>) {
    if constexpr (!LocalMessage<M>) events[at++] = event_of<S, M>();
  };
  (add(std::type_identity<Ms>{}), ...);
  return events;
}

template <class... Ms>
consteval bool distinct_event_names() {
  constexpr std::array<std::string_view, sizeof...(Ms)> names{wire::event_name<Ms>()...};
  for (std::size_t i = 0; i < names.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      if (names[i] == names[k]) return false;
  return true;
}

}  // namespace detail
}  // namespace cluster::runtime
