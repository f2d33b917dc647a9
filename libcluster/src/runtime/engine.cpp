#include "cluster/runtime/engine.hpp"

#include <algorithm>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "caf_host.hpp"
#include "cluster/base/assert.hpp"
#include "engine_actor.hpp"
#include "engine_shared.hpp"
#include "futex_driver.hpp"

namespace cluster::runtime {
namespace {

constexpr std::size_t kWorkersMax = 256;

EngineConfig settled(EngineConfig config) {
  const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
  if (config.workers == 0) config.workers = std::min(processors, kWorkersMax);
  if (processors == 1) config.spin = Duration::zero();  // it would only keep others from working
  return config;
}

EngineActor& actor_of(const ActorRef& ref) { return *static_cast<EngineActor*>(ref.core()); }

}  // namespace

class Engine::Impl {
 public:
  Impl(const EngineConfig& config, IoDriver* io) : shared(config, io != nullptr ? *io : no_io) {}

  FutexDriver no_io;
  CafHost caf;
  EngineShared shared;
  std::mutex stopping;
};

Result<std::unique_ptr<Engine>> Engine::start(EngineConfig config, IoDriver* io) {
  if (config.workers > kWorkersMax)
    return Error(Errc::invalid_argument, "at most " + std::to_string(kWorkersMax) + " workers");
  if (config.slice_messages_max == 0) return Error(Errc::invalid_argument, "a slice of no messages");
  if (config.spin < Duration::zero() || config.spare_period <= Duration::zero())
    return Error(Errc::invalid_argument, "a negative spin, or a spare period of no length");
  try {
    auto impl = std::make_unique<Impl>(settled(config), io);
    auto started = impl->shared.scheduler.start();
    if (!started) return std::move(started).error();
    return std::unique_ptr<Engine>(new Engine(std::move(impl)));
  } catch (const std::exception& error) {
    return Error(Errc::internal, std::string("the actor system does not start: ") + error.what());
  }
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() { stop(); }

ActorRef Engine::spawn(std::unique_ptr<Behaviour> behaviour, SpawnOptions options) {
  CLUSTER_ASSERT(behaviour != nullptr);
  return EngineActor::spawn(impl_->caf.system(), impl_->shared, std::move(behaviour), options);
}

TimerId Engine::set_timer(Instant due, ActorRef to, EnvelopePtr message) {
  return impl_->shared.scheduler.set_timer(due, std::move(to), std::move(message));
}

bool Engine::cancel_timer(TimerId timer) { return impl_->shared.scheduler.cancel_timer(timer); }

std::uint64_t Engine::monitor(const ActorRef& watcher, const ActorRef& target) {
  CLUSTER_ASSERT(watcher);
  const std::uint64_t number = impl_->shared.monitors.add(watcher, target);
  actor_of(watcher).watch(number, target);
  return number;
}

void Engine::demonitor(std::uint64_t number) {
  const auto monitor = impl_->shared.monitors.take(number);
  if (monitor && monitor->target) actor_of(monitor->target).remove_monitor(number);
}

void Engine::link(const ActorRef& a, const ActorRef& b) {
  CLUSTER_ASSERT(a && b);
  if (a == b) return;
  const ExitReason gone{ExitReason::Kind::no_process, {}};
  if (!b.alive()) {
    actor_of(a).post_link_exit(b, gone);
  } else if (!a.alive()) {
    actor_of(b).post_link_exit(a, gone);
  } else if (impl_->shared.links.add(a.serial(), b.serial())) {
    actor_of(a).attach_link(b);  // if `a` ends before or after this, `b` is told by it
    actor_of(b).attach_link(a);
  }
}

void Engine::unlink(const ActorRef& a, const ActorRef& b) {
  if (!impl_->shared.links.take(a.serial(), b.serial())) return;
  actor_of(a).detach_link(b);
  actor_of(b).detach_link(a);
}

bool Engine::on_worker() noexcept { return PoolThread::current() != nullptr; }
bool Engine::more_to_run() noexcept {
  const PoolThread* thread = PoolThread::current();
  return thread != nullptr && thread->has_more();
}
const ActorRef* Engine::current() noexcept { return current_actor(); }
std::size_t Engine::actors() const { return impl_->shared.actors.size(); }

void Engine::stop() {
  CLUSTER_ASSERT(!on_worker() && current() == nullptr);
  const std::lock_guard lock(impl_->stopping);
  for (const ActorRef& actor : impl_->shared.actors.close())
    actor.stop({ExitReason::Kind::shutdown, "the engine stops"});
  impl_->shared.actors.wait_until_empty();
  impl_->shared.scheduler.stop();
  impl_->shared.detached.join_all();
}

}  // namespace cluster::runtime
