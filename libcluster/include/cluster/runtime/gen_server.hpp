#pragma once
#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/runtime/behaviour.hpp"
#include "cluster/runtime/from.hpp"
#include "cluster/runtime/pending_call.hpp"
#include "cluster/runtime/ref.hpp"
#include "cluster/runtime/server_host.hpp"
#include "cluster/runtime/server_type.hpp"
#include "cluster/runtime/services.hpp"
#include "cluster/runtime/task.hpp"

namespace cluster {

/// The time a call waits for its answer unless told otherwise, as in OTP.
inline constexpr Duration kCallTimeout = 5s;

/// The answer of one node to a multicall or abcast.
template <class R>
struct NodeResult {
  NodeId node;
  Result<R> result;
};

/// What every server has, whatever it handles: the callbacks that it may override, and what it may ask of
/// its node. All of it is called and callable only inside the server's own handlers, `init` included
/// (not in the constructor).
class ServerBase {
 public:
  virtual ~ServerBase() = default;
  ServerBase() = default;
  ServerBase(const ServerBase&) = delete;
  ServerBase& operator=(const ServerBase&) = delete;

  /// Runs before the first message and after each restart. An error ends the server.
  virtual Result<void> init() { return {}; }
  /// The last call; not after a crash of the process.
  virtual void terminate(const runtime::ExitReason&) {}

 protected:
  using TimerId = runtime::ServerHost::Timer;

  /// Ends this server after the current handler.
  void stop(runtime::ExitReason reason = {}) { host().exit(reason); }
  [[nodiscard]] const std::string& name() const { return host().name(); }
  [[nodiscard]] Instant now() const { return host().services().now(); }
  /// "name" or "name@node" as a reference; the class is checked when the server is there.
  template <class S>
  [[nodiscard]] Result<Ref<S>> ref(std::string_view address) const {
    auto target = host().services().resolve(address);
    if (!target) return std::move(target).error();
    return Ref<S>(std::move(target).value());
  }

  /// `co_await call<Deposit>(bank, "ada", 500)`: the message is built in place from its fields. With a field
  /// that is itself a struct made on the spot, name the call first, as below.
  template <class M, class S, class... Fields>
  InPlaceCall<reply_of<M>, Fields&&...> call(const Ref<S>& to, Fields&&... fields) {
    return call_within<M>(kCallTimeout, to, std::forward<Fields>(fields)...);
  }
  template <class M, class S, class... Fields>
  InPlaceCall<reply_of<M>, Fields&&...> call_within(Duration timeout, const Ref<S>& to, Fields&&... fields) {
    return {host(), start_call<S, M>(to.target(), timeout, std::forward<Fields>(fields)...)};
  }
  /// `auto pending = call(bank, Deposit{"ada", 500}); co_await pending;`
  template <class S, class M>
  PendingCall<reply_of<M>> call(const Ref<S>& to, M&& message,
                                Duration timeout = kCallTimeout) requires(!std::is_lvalue_reference_v<M>) {
    return PendingCall<reply_of<M>>(host(), start_call<S, M>(to.target(), timeout, std::move(message)));
  }
  /// Refused here (an error), or on its way.
  template <class S, class M>
  Result<void> cast(const Ref<S>& to, M message) {
    return runtime::send_cast<S, M>(host().services(), to.target(), host().serial(), std::move(message));
  }

  /// Calls the server `name` on each node at once: `co_await multicall<Counter, Add>(nodes, "counter", 5)`.
  /// One result a node, in their order; a node that fails does not keep the others'.
  template <class S, class M, class... Fields>
  Task<std::vector<NodeResult<reply_of<M>>>> multicall(const std::vector<NodeId>& nodes,
                                                       std::string_view name, Fields&&... fields) {
    static_assert(!(detail::is_unsafe_in_await<Fields&&> || ...),
                  "GCC 12 destroys an aggregate temporary inside co_await twice: name the field first");
    std::vector<PendingCall<reply_of<M>>> calls;
    for (const auto& node : nodes) {
      auto target = host().services().resolve(std::string(name) + "@" + node.str());
      calls.emplace_back(host(), target ? start_call<S, M>(target.value(), kCallTimeout, fields...)
                                        : refused_call(target.error()));
    }
    return gather<reply_of<M>>(nodes, std::move(calls));
  }
  template <class S, class M>
  std::vector<NodeResult<void>> abcast(const std::vector<NodeId>& nodes, std::string_view name,
                                       const M& message) {
    std::vector<NodeResult<void>> results;
    for (const auto& node : nodes) {
      auto to = ref<S>(std::string(name) + "@" + node.str());
      results.push_back({node, to ? cast(to.value(), M(message)) : Result<void>(to.error())});
    }
    return results;
  }

  /// The same by event name, for a server whose class is not known here.
  DirectCall<wire::Value> call(std::string_view address, std::string_view event, const wire::Value& message,
                               Duration timeout = kCallTimeout) {
    auto& host = this->host();
    const auto id = host.open_call(timeout);
    auto target = host.services().resolve(address);
    if (!target)
      host.call_sent(id, std::move(target).error());
    else if (host.is_self(*target))
      host.call_sent(id, Error(Errc::would_deadlock, "a server cannot wait for an answer of its own"));
    else
      host.call_sent(id, runtime::send_event_call(host.services(), *target, event, message,
                                                  host.return_address(id), host.serial(), timeout));
    return DirectCall<wire::Value>(host, id);
  }
  Result<void> cast(std::string_view address, std::string_view event, const wire::Value& message) {
    auto target = host().services().resolve(address);
    if (!target) return std::move(target).error();
    return runtime::send_event_cast(host().services(), *target, event, message, host().serial());
  }
  /// `co_await sleep(100ms)`: the handler goes on after that time.
  [[nodiscard]] Task<> sleep(Duration time) {
    DirectCall<void> nobody(host(), host().open_call(time));  // a call to nobody ends at its deadline
    static_cast<void>(co_await nobody);
  }

  /// Sends `message` to this server's handle_info (or handle_cast) after `wait`, once.
  template <class Self, class M>
  TimerId send_after_to(Duration wait, M message) {
    return host().set_timer(wait, {}, info_maker<Self>(std::move(message)));
  }
  /// The same every `period`, at least 1 ms. Beats that were missed are not made up for.
  template <class Self, class M>
  TimerId send_every_to(Duration period, M message) {
    const Duration beat = std::max<Duration>(period, 1ms);
    return host().set_timer(beat, beat, info_maker<Self>(std::move(message)));
  }
  /// False if its message has been handled, or it was cancelled. After this, the message does not come.
  bool cancel(TimerId timer) { return host().cancel_timer(timer); }

  /// One timer that goes where a state machine's next deadline goes.
  class Alarm {
   public:
    /// Its message is being handled: it is set no more.
    void fired() noexcept { at_ = kNever; }
    [[nodiscard]] Instant at() const noexcept { return at_; }

   private:
    friend class ServerBase;
    TimerId timer_ = 0;
    Instant at_ = kNever;
  };
  /// Sends `message` to this server's handle_info at `at` (at once if that is past), not when the alarm was
  /// set for before; kNever: not at all. Costs nothing if it is set for then. The handler says `fired`.
  template <class Self, class M>
  void set_alarm_to(Alarm& alarm, Instant at, M message) {
    if (at == alarm.at_) return;
    if (alarm.at_ != kNever) cancel(alarm.timer_);
    alarm.at_ = at;
    if (at != kNever)
      alarm.timer_ = send_after_to<Self>(std::max(Duration::zero(), at - now()), std::move(message));
  }

  [[nodiscard]] runtime::ServerHost& host() const {
    CLUSTER_ASSERT(host_ != nullptr);  // in a constructor: use init()
    return *host_;
  }

  template <class Self, class M>
  static std::function<runtime::MessagePtr()> info_maker(M message) {
    return [message = std::move(message)]() -> runtime::MessagePtr {
      return std::make_unique<runtime::TypedMessage<M>>(
          &runtime::detail::invoke_info<Self, M>, runtime::ReplyTo{}, runtime::Item::Kind::message, message);
    };
  }

 private:
  friend class runtime::ServerHost;

  template <class S, class M, class... Fields>
  std::uint64_t start_call(const runtime::Target& to, Duration timeout, Fields&&... fields) {
    auto& host = this->host();
    const auto id = host.open_call(timeout);
    if (id == 0) return 0;  // too many open calls: not sent, and the awaiter is told
    if (host.is_self(to)) {
      host.call_sent(id, Error(Errc::would_deadlock, "a server cannot wait for an answer of its own"));
      return id;
    }
    const auto sent = runtime::send_call<S, M>(host.services(), to, host.return_address(id), host.serial(),
                                               timeout, std::forward<Fields>(fields)...);
    if (!sent || sent->call != 0) host.call_sent(id, sent);
    return id;
  }

  std::uint64_t refused_call(const Error& why) {
    const auto id = host().open_call(kCallTimeout);
    host().call_sent(id, why);
    return id;
  }

  template <class R>
  static Task<std::vector<NodeResult<R>>> gather(std::vector<NodeId> nodes,
                                                 std::vector<PendingCall<R>> calls) {
    std::vector<NodeResult<R>> results;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      Result<R> result = co_await calls[i];
      results.push_back(NodeResult<R>{nodes[i], std::move(result)});
    }
    co_return results;
  }

  runtime::ServerHost* host_ = nullptr;
};

/// A server: an actor that answers calls and takes casts, one message at a time.
///
///   struct Add { std::int64_t n = 0; using reply = std::int64_t; };
///   class Counter : public cluster::GenServer<Counter, Add> {
///    public:
///     std::int64_t handle_call(const Add& add) { return total_ += add.n; }
///    private:
///     std::int64_t total_ = 0;
///   };
///
/// A handler returns T, Result<T>, Task<T> or Task<Result<T>>, or takes a From<T> and answers later. While a
/// coroutine handler is suspended other messages wait, unless the class says
/// `static constexpr bool reentrant = true`. A handler that throws fails its call; the server then ends or
/// restarts, as it was spawned to. An error that it returns is told as one of a call that ran, unless the
/// class says `static constexpr bool tells_outcome = true`: then as it is. Two messages with one event name
/// do not compile.
template <class Derived, class... Messages>
class GenServer : public ServerBase {
 public:
  template <class M>
  static constexpr bool handles = (std::same_as<M, Messages> || ...);

  [[nodiscard]] static const runtime::ServerType& type() {
    static_assert(runtime::detail::distinct_event_names<Messages...>(),
                  "two messages of one server have the same event name; give one a `static constexpr "
                  "std::string_view event`");
    static constexpr auto kEvents = runtime::detail::events_of<Derived, Messages...>();
    static constexpr runtime::ServerType kType{wire::type_name<Derived>(), kEvents,
                                               requires {requires Derived::system;
  }
};
return kType;
}  // namespace cluster

protected:
/// A reference to this server, to hand to others.
[[nodiscard]] Ref<Derived> self() const {
  return Ref<Derived>({.name = host().name(), .node = {}, .actor = host().self(), .type = &type()});
}
template <class M>
TimerId send_after(Duration wait, M message) {
  return this->template send_after_to<Derived>(wait, std::move(message));
}
template <class M>
TimerId send_every(Duration period, M message) {
  return this->template send_every_to<Derived>(period, std::move(message));
}
template <class M>
void set_alarm(ServerBase::Alarm& alarm, Instant at, M message) {
  this->template set_alarm_to<Derived>(alarm, at, std::move(message));
}
/// Handles `message` next, before all that waits: OTP's `continue`.
template <class M>
void continue_with(M message) {
  host().prepend(info_maker<Derived>(std::move(message))());
}
}
;

}  // namespace cluster
