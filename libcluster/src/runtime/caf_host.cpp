#include "caf_host.hpp"

#include <caf/actor_clock.hpp>
#include <caf/group.hpp>
#include <caf/logger.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <caf/scoped_execution_unit.hpp>

namespace cluster::runtime {
namespace {

// The engine has timers of its own, and none of CAF's actors that remain sets any.
class NoClock final : public caf::actor_clock {
 public:
  void set_ordinary_timeout(time_point, caf::abstract_actor*, caf::atom_value, std::uint64_t) override {}
  void set_multi_timeout(time_point, caf::abstract_actor*, caf::atom_value, std::uint64_t) override {}
  void set_request_timeout(time_point, caf::abstract_actor*, caf::message_id) override {}
  void cancel_ordinary_timeout(caf::abstract_actor*, caf::atom_value) override {}
  void cancel_request_timeout(caf::abstract_actor*, caf::message_id) override {}
  void cancel_timeouts(caf::abstract_actor*) override {}
  void schedule_message(time_point, caf::strong_actor_ptr, caf::mailbox_element_ptr) override {}
  void schedule_message(time_point, caf::group, caf::strong_actor_ptr, caf::message) override {}
  void cancel_all() override {}
};

// Stands where CAF expects its scheduler. The engine's actors never pass here. Two stock actors of the
// system do (SpawnServ and ConfigServ), once each, when ~actor_system ends them: they run on that thread.
class Coordinator final : public caf::scheduler::abstract_coordinator {
 public:
  explicit Coordinator(caf::actor_system& system) : abstract_coordinator(system) {}
  void enqueue(caf::resumable* job) override {
    caf::scoped_execution_unit unit(&system());
    while (job->resume(&unit, max_throughput()) == caf::resumable::resume_later) continue;
    caf::intrusive_ptr_release(job);
  }
  void start() override {}
  void stop() override {}
  caf::actor_clock& clock() noexcept override { return clock_; }

 private:
  NoClock clock_;
};

caf::actor_system_config& configured(caf::actor_system_config& config) {
  config.module_factories.emplace_back([](caf::actor_system& system) { return new Coordinator(system); });
  return config;
}

}  // namespace

CafHost::CafHost() : system_(configured(config_)) {
  // The constructor makes the system's logger this thread's. It must not stay: ~actor_system waits until no
  // thread has it, and is called on another thread perhaps.
  CAF_SET_LOGGER_SYS(nullptr);
}

CafHost::~CafHost() = default;

}  // namespace cluster::runtime
