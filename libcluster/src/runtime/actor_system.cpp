#include "cluster/runtime/actor_system.hpp"

#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include "registry.hpp"
#include "router.hpp"
#include "server_behaviour.hpp"
#include "server_items.hpp"

namespace cluster {
namespace {

constexpr Duration kGoodbyeTime = 1s;

/// The kernel, as the engine drives it.
class KernelDriver final : public runtime::IoDriver {
 public:
  explicit KernelDriver(const runtime::Router& router) noexcept : router_(router) {}
  void attach(net::NetKernel& kernel) noexcept { kernel_ = &kernel; }
  std::size_t poll(Duration wait) override { return kernel_->poll(wait); }
  void wake() noexcept override { kernel_->wake(); }
  void flush() noexcept override { kernel_->flush(); }
  [[nodiscard]] bool has_unflushed() const noexcept override { return kernel_->has_unflushed(); }
  [[nodiscard]] bool is_ahead() const noexcept override { return router_.appetite() != net::Appetite::more; }

 private:
  const runtime::Router& router_;
  net::NetKernel* kernel_ = nullptr;
};

}  // namespace

class ActorSystem::Impl {
 public:
  Impl(const NodeId& id, const runtime::InboundLimits& limits) : id(id), router(id, limits) {}
  ~Impl() {
    engine.reset();
    router.forget_peers();
  }

  const NodeId id;
  runtime::Router router;
  std::unique_ptr<net::NetKernel> kernel;
  KernelDriver driver{router};
  std::unique_ptr<runtime::Engine> engine;  // its threads drive the kernel: ends first
  std::mutex stop_mutex;
  bool stopped = false;
};

ActorSystem::ActorSystem(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<ActorSystem>> ActorSystem::start(ActorSystemConfig config) {
  auto impl = std::make_unique<Impl>(config.net.id, config.inbound);
  auto kernel = net::NetKernel::start(std::move(config.net), impl->router);
  if (!kernel) return std::move(kernel).error();
  impl->kernel = std::move(kernel).value();
  impl->driver.attach(*impl->kernel);
  impl->router.attach(*impl->kernel);
  auto engine = runtime::Engine::start(config.engine, &impl->driver);
  if (!engine) return std::move(engine).error();
  impl->engine = std::move(engine).value();
  impl->router.attach(*impl->engine);
  return std::unique_ptr<ActorSystem>(new ActorSystem(std::move(impl)));
}

ActorSystem::~ActorSystem() { static_cast<void>(stop()); }

Result<void> ActorSystem::stop() {
  if (runtime::Engine::current() != nullptr || runtime::Engine::on_worker())
    return Error(Errc::would_block, "a node cannot be stopped from one of its own handlers");
  const std::lock_guard lock(impl_->stop_mutex);
  if (std::exchange(impl_->stopped, true)) return {};
  impl_->engine->stop();
  impl_->kernel->stop(kGoodbyeTime);
  impl_->router.detach();
  return {};
}

const NodeId& ActorSystem::id() const noexcept { return impl_->id; }
net::NetKernel& ActorSystem::kernel() noexcept { return *impl_->kernel; }
runtime::InboundCounters ActorSystem::inbound() const noexcept { return impl_->router.inbound(); }
runtime::Engine& ActorSystem::engine() noexcept { return *impl_->engine; }
runtime::Services& ActorSystem::services() const noexcept { return impl_->router; }

Result<runtime::Target> ActorSystem::spawn_server(Spawn spawn) {
  auto& options = spawn.options;
  auto& registry = impl_->router.registry();
  if (options.restart == Restart::on_failure && !spawn.can_restart)
    return Error(Errc::invalid_argument, "a restart needs constructor arguments that can be copied");
  runtime::Registry::Token token = 0;
  if (!options.name.empty()) {
    if (auto checked = runtime::check_server_name(options.name); !checked) return std::move(checked).error();
    auto reserved = registry.reserve(options.name, *spawn.type);
    if (!reserved) return std::move(reserved).error();
    token = reserved.value();
  }

  std::unique_ptr<ServerBase> server;
  std::optional<Error> failure;
  try {
    server = spawn.factory();
  } catch (const std::exception& thrown) {
    failure.emplace(Errc::handler_failed, std::string("the constructor threw: ") + thrown.what());
  } catch (...) {
    failure.emplace(Errc::handler_failed, "the constructor threw something that is no std::exception");
  }
  if (failure) {
    if (token != 0) registry.remove(options.name, token);
    return *std::move(failure);
  }
  const bool restarts = options.restart == Restart::on_failure;
  auto behaviour = std::make_unique<runtime::ServerBehaviour>(
      runtime::HostConfig{options.name, options.restart, options.restart_limit, spawn.reentrant},
      impl_->router, restarts ? std::move(spawn.factory) : runtime::ServerFactory{}, std::move(server),
      token);
  runtime::ActorRef actor = impl_->engine->spawn(std::move(behaviour), {.detached = options.detached,
                                                                        .system = spawn.system,
                                                                        .mailbox_max = options.mailbox_max,
                                                                        .starts_idle = !spawn.has_init});
  if (!actor) return Error(Errc::stopped, "the node is stopping");
  if (token != 0) registry.bind(options.name, token, actor);
  return runtime::Target{std::move(options.name), {}, std::move(actor), spawn.type};
}

namespace {

/// The actor that `target` leads to on this node, or an empty ref.
runtime::ActorRef find_actor(runtime::Registry& registry, const runtime::Target& target) {
  if (target.actor.alive()) return target.actor;
  const auto entry = registry.find(target.name);
  return entry ? entry->actor : runtime::ActorRef{};
}

Error no_such_server(const runtime::Target& target) {
  return target.node.empty() ? Error(Errc::no_server, "no server named '" + target.name + "'")
                             : Error(Errc::invalid_argument, "'" + target.name + "' is not on this node");
}

}  // namespace

Result<void> ActorSystem::stop_actor(const runtime::Target& target, runtime::ExitReason reason) {
  const auto actor = target.node.empty() ? find_actor(impl_->router.registry(), target) : runtime::ActorRef{};
  if (!actor) return no_such_server(target);
  actor.stop(std::move(reason));
  return {};
}

Result<void> ActorSystem::set_paused(const runtime::Target& target, bool paused) {
  const auto actor = target.node.empty() ? find_actor(impl_->router.registry(), target) : runtime::ActorRef{};
  runtime::EnvelopePtr item = std::make_unique<runtime::PauseItem>(paused);
  if (actor.post_system(item) != runtime::Posted::ok) return no_such_server(target);
  return {};
}

Result<void> ActorSystem::may_block(const runtime::Target& target) const {
  const runtime::ActorRef* current = runtime::Engine::current();
  if (current != nullptr) {
    const bool is_self = target.node.empty() && find_actor(impl_->router.registry(), target) == *current;
    if (is_self) return Error(Errc::would_deadlock, "a server cannot wait for an answer of its own");
  }
  if (runtime::Engine::on_worker())
    return Error(Errc::would_block, "a blocking call inside a handler: use co_await call(...)");
  return {};
}

runtime::ReplyPtr ActorSystem::await(runtime::CallSlot& call, const runtime::SentCall& sent,
                                     Instant deadline) {
  if (auto reply = call.slot.wait(deadline))
    return runtime::ReplyPtr(static_cast<runtime::Reply*>(reply.release()));
  const auto executed = sent.call != 0 ? impl_->router.abandon_call(sent.call) : Executed::unknown;
  return std::make_unique<runtime::ErrorReply>(Error(Errc::timeout, "no answer in time", executed));
}

Result<wire::Value> ActorSystem::call(std::string_view address, std::string_view event,
                                      const wire::Value& message, Duration timeout) {
  auto target = impl_->router.resolve(address);
  if (!target) return std::move(target).error();
  if (auto may = may_block(target.value()); !may) return std::move(may).error();
  const Instant deadline = saturated_add(MonotonicClock::now(), timeout);
  auto slot = runtime::make_sink<runtime::CallSlot>();
  auto sent = runtime::send_event_call(impl_->router, target.value(), event, message, runtime::ReplyTo(slot),
                                       0, timeout);
  if (!sent) return std::move(sent).error();
  const auto reply = await(*slot, sent.value(), deadline);
  return runtime::take<wire::Value>(*reply);
}

Result<void> ActorSystem::cast(std::string_view address, std::string_view event, const wire::Value& message) {
  auto target = impl_->router.resolve(address);
  if (!target) return std::move(target).error();
  return runtime::send_event_cast(impl_->router, target.value(), event, message, 0);
}

std::vector<ServerInfo> ActorSystem::actors() const {
  std::vector<ServerInfo> servers;
  for (const auto& entry : impl_->router.registry().all())
    servers.push_back(
        {entry.name, std::string(entry.type->name), entry.actor.serial(), entry.actor.waiting()});
  return servers;
}

Result<std::vector<EventInfo>> ActorSystem::describe(std::string_view name) const {
  const auto entry = impl_->router.registry().find(name);
  if (!entry) return Error(Errc::no_server, "no server named '" + std::string(name) + "'");
  std::vector<EventInfo> events;
  for (const auto& event : entry->type->events)
    events.push_back({std::string(event.name), event.fields(), event.replies});
  return events;
}

Result<Duration> ActorSystem::ping(const NodeId& node, Duration timeout) {
  if (node == id()) return Duration::zero();
  if (runtime::Engine::on_worker()) return Error(Errc::would_block, "a blocking ping inside a handler");
  auto slot = runtime::make_sink<runtime::CallSlot>();
  impl_->kernel->ping(node, timeout, [slot](Result<Duration> round_trip) {
    if (round_trip)
      slot->slot.fulfil(std::make_unique<runtime::TypedReply<std::int64_t>>(round_trip->count()));
    else
      slot->slot.fulfil(std::make_unique<runtime::ErrorReply>(round_trip.error()));
  });
  const auto reply = await(*slot, {}, saturated_add(MonotonicClock::now(), timeout + 100ms));
  auto nanoseconds = runtime::take<std::int64_t>(*reply);
  if (!nanoseconds) return std::move(nanoseconds).error();
  return Duration(nanoseconds.value());
}

void ActorSystem::set_unreachable(const NodeId& node, bool unreachable) {
  impl_->router.set_unreachable(node, unreachable);
}

void ActorSystem::listen_to_peers(std::function<void(const PeerEvent&)> listener) {
  impl_->router.listen_to_peers(std::move(listener));
}

}  // namespace cluster
