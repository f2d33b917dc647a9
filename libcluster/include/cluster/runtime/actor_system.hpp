#pragma once
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/net/net_kernel.hpp"
#include "cluster/runtime/engine.hpp"
#include "cluster/runtime/gen_server.hpp"
#include "cluster/runtime/services.hpp"
#include "cluster/wire/value.hpp"

namespace cluster {

/// How a server is started. Constructor arguments follow it in `spawn`.
struct SpawnOptions {
  std::string name = {};             ///< unique on the node; empty: only its reference leads to it
  Restart restart = Restart::never;  ///< on_failure needs copyable constructor arguments
  RestartLimit restart_limit = {};
  bool detached = false;        ///< a thread of its own, for a server that blocks
  std::size_t mailbox_max = 0;  ///< messages that may wait; more are refused `overloaded`. 0: no bound
};

/// What `actors()` tells of a named server.
struct ServerInfo {
  std::string name;
  std::string type;
  std::uint64_t serial = 0;
  std::size_t waiting = 0;  ///< messages in its mailbox, about
};

/// An event that a server takes, as `describe()` tells it.
struct EventInfo {
  std::string name;
  std::vector<wire::Field> fields;
  bool replies = false;
};

/// A link to another node that came, went or was given up.
struct PeerEvent {
  enum class Kind : std::uint8_t { up, down, lost };
  Kind kind = Kind::up;
  net::PeerInfo peer;  ///< only the id for `lost`
  std::string text;    ///< why it went; empty for `up`
  Errc code{};         ///< of `lost`: `duplicate_id` if another living process has this node's id
  net::PeerDownReason reason = net::PeerDownReason::lost;  ///< of `down`
};

struct ActorSystemConfig {
  net::NetConfig net;
  runtime::EngineConfig engine;
  runtime::InboundLimits inbound = {};
};

/// The actors of one process and their way to other nodes: engine, names, network. All members are
/// thread-safe; the blocking calls are refused with `would_block` inside a handler.
class ActorSystem {
 public:
  [[nodiscard]] static Result<std::unique_ptr<ActorSystem>> start(ActorSystemConfig config);
  /// Stops all servers, says goodbye to the peers (at most 1 s), and ends the threads.
  ~ActorSystem();
  ActorSystem(const ActorSystem&) = delete;
  ActorSystem& operator=(const ActorSystem&) = delete;
  /// The same. Every caller waits until it is done. Refused with `would_block` inside a handler.
  Result<void> stop();

  /// Makes a server; the constructor runs here, `init` on the server's first turn. Errors: `already_exists`,
  /// `invalid_argument`, and what the constructor threw as `handler_failed`.
  template <class S, class... Args>
  [[nodiscard]] Result<Ref<S>> spawn(SpawnOptions options, Args&&... args);
  /// "name" or "name@node"; the server need not be there yet.
  template <class S>
  [[nodiscard]] Result<Ref<S>> ref(std::string_view address) const;

  /// Calls from a plain thread, blocking it until the answer or the timeout.
  template <class S, class M>
  [[nodiscard]] Result<reply_of<M>> call(const Ref<S>& to, M message, Duration timeout = kCallTimeout);
  /// Refused here (an error), or on its way.
  template <class S, class M>
  Result<void> cast(const Ref<S>& to, M message);
  /// The same by event name, for callers without the class.
  [[nodiscard]] Result<wire::Value> call(std::string_view address, std::string_view event,
                                         const wire::Value& message, Duration timeout = kCallTimeout);
  Result<void> cast(std::string_view address, std::string_view event, const wire::Value& message);
  /// Calls the server `name` on each of `nodes` at once; one result a node, in their order.
  template <class S, class M>
  [[nodiscard]] std::vector<NodeResult<reply_of<M>>> multicall(std::span<const NodeId> nodes,
                                                               std::string_view name, const M& message,
                                                               Duration timeout = kCallTimeout);
  template <class S, class M>
  std::vector<NodeResult<void>> abcast(std::span<const NodeId> nodes, std::string_view name,
                                       const M& message);

  /// Asks a server of this node to end; its messages that wait are refused. `no_server` if there is none.
  template <class S>
  Result<void> stop(const Ref<S>& server,
                    runtime::ExitReason reason = {runtime::ExitReason::Kind::shutdown, ""}) {
    return stop_actor(server.target(), std::move(reason));
  }
  /// Between pause and resume messages wait; timers that fire wait too.
  template <class S>
  Result<void> pause(const Ref<S>& server) {
    return set_paused(server.target(), true);
  }
  template <class S>
  Result<void> resume(const Ref<S>& server) {
    return set_paused(server.target(), false);
  }

  [[nodiscard]] const NodeId& id() const noexcept;
  [[nodiscard]] std::vector<ServerInfo> actors() const;
  [[nodiscard]] Result<std::vector<EventInfo>> describe(std::string_view name) const;
  /// Round-trip time to a node's kernel; no actor takes part.
  [[nodiscard]] Result<Duration> ping(const NodeId& node, Duration timeout = kCallTimeout);
  /// `listener` runs on the thread that drives the network: hand it on with a cast, do not block.
  void listen_to_peers(std::function<void(const PeerEvent&)> listener);
  /// While a node is marked, calls to it fail at once with `unreachable`, those that are open too; casts
  /// wait.
  void set_unreachable(const NodeId& node, bool unreachable);
  [[nodiscard]] net::NetKernel& kernel() noexcept;
  /// What came over the network and waits, or was dropped.
  [[nodiscard]] runtime::InboundCounters inbound() const noexcept;
  [[nodiscard]] runtime::Engine& engine() noexcept;

 private:
  class Impl;
  explicit ActorSystem(std::unique_ptr<Impl> impl);

  struct Spawn {
    SpawnOptions options;
    const runtime::ServerType* type = nullptr;
    runtime::ServerFactory factory = {};
    bool reentrant = false;
    bool system = false;
    bool can_restart = false;
    bool has_init = true;
  };
  Result<runtime::Target> spawn_server(Spawn spawn);
  Result<void> stop_actor(const runtime::Target& target, runtime::ExitReason reason);
  Result<void> set_paused(const runtime::Target& target, bool paused);
  [[nodiscard]] runtime::Services& services() const noexcept;
  /// An error if this thread must not block for an answer of `target`.
  [[nodiscard]] Result<void> may_block(const runtime::Target& target) const;
  [[nodiscard]] runtime::ReplyPtr await(runtime::CallSlot& call, const runtime::SentCall& sent,
                                        Instant deadline);

  std::unique_ptr<Impl> impl_;
};

template <class S, class... Args>
Result<Ref<S>> ActorSystem::spawn(SpawnOptions options, Args&&... args) {
  static_assert(std::derived_from<S, ServerBase>, "spawn takes a class derived from GenServer");
  constexpr bool kCopyable = (std::copy_constructible<std::decay_t<Args>> && ...) &&
                             std::constructible_from<S, const std::decay_t<Args>&...>;
  Spawn spawn{.options = std::move(options), .type = &S::type()};
  if constexpr (requires { S::reentrant; }) spawn.reentrant = S::reentrant;
  if constexpr (requires { S::system; }) spawn.system = S::system;
  spawn.can_restart = kCopyable;
  // Without an `init` of its own a server's first turn is that of its first message.
  if constexpr (requires { &S::init; })
    spawn.has_init = !std::same_as<decltype(&S::init), Result<void> (ServerBase::*)()>;
  if constexpr (kCopyable) {
    spawn.factory = [kept = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)] {
      return std::apply(
          [](const auto&... each) -> std::unique_ptr<ServerBase> { return std::make_unique<S>(each...); },
          kept);
    };
  } else {  // used once; std::function wants to be copyable, so the arguments are shared
    auto kept = std::make_shared<std::tuple<std::decay_t<Args>...>>(std::forward<Args>(args)...);
    spawn.factory = [kept] {
      return std::apply(
          [](auto&... each) -> std::unique_ptr<ServerBase> {
            return std::make_unique<S>(std::move(each)...);
          },
          *kept);
    };
  }
  auto target = spawn_server(std::move(spawn));
  if (!target) return std::move(target).error();
  return Ref<S>(std::move(target).value());
}

template <class S>
Result<Ref<S>> ActorSystem::ref(std::string_view address) const {
  auto target = services().resolve(address);
  if (!target) return std::move(target).error();
  return Ref<S>(std::move(target).value());
}

template <class S, class M>
Result<reply_of<M>> ActorSystem::call(const Ref<S>& to, M message, Duration timeout) {
  if (auto may = may_block(to.target()); !may) return std::move(may).error();
  const Instant deadline = saturated_add(services().now(), timeout);
  auto slot = runtime::make_sink<runtime::CallSlot>();
  auto sent = runtime::send_call<S, M>(services(), to.target(), runtime::ReplyTo(slot), 0, timeout,
                                       std::move(message));
  if (!sent) return std::move(sent).error();
  const auto reply = await(*slot, sent.value(), deadline);
  return runtime::take<reply_of<M>>(*reply);
}

template <class S, class M>
Result<void> ActorSystem::cast(const Ref<S>& to, M message) {
  return runtime::send_cast<S, M>(services(), to.target(), 0, std::move(message));
}

template <class S, class M>
std::vector<NodeResult<reply_of<M>>> ActorSystem::multicall(std::span<const NodeId> nodes,
                                                            std::string_view name, const M& message,
                                                            Duration timeout) {
  struct Open {
    runtime::SinkPtr<runtime::CallSlot> slot;
    Result<runtime::SentCall> sent;
  };
  const Instant deadline = saturated_add(services().now(), timeout);
  std::vector<Open> open;
  for (const auto& node : nodes) {
    auto slot = runtime::make_sink<runtime::CallSlot>();
    auto target = services().resolve(std::string(name) + "@" + node.str());
    Result<void> may = target ? may_block(target.value()) : Result<void>(target.error());
    auto sent = may ? runtime::send_call<S, M>(services(), target.value(), runtime::ReplyTo(slot), 0, timeout,
                                               M(message))
                    : Result<runtime::SentCall>(may.error());
    open.push_back({std::move(slot), std::move(sent)});
  }
  std::vector<NodeResult<reply_of<M>>> results;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!open[i].sent) {
      results.push_back({nodes[i], open[i].sent.error()});
      continue;
    }
    const auto reply = await(*open[i].slot, open[i].sent.value(), deadline);
    results.push_back({nodes[i], runtime::take<reply_of<M>>(*reply)});
  }
  return results;
}

template <class S, class M>
std::vector<NodeResult<void>> ActorSystem::abcast(std::span<const NodeId> nodes, std::string_view name,
                                                  const M& message) {
  std::vector<NodeResult<void>> results;
  for (const auto& node : nodes) {
    auto to = ref<S>(std::string(name) + "@" + node.str());
    results.push_back({node, to ? cast(to.value(), M(message)) : Result<void>(to.error())});
  }
  return results;
}

}  // namespace cluster
