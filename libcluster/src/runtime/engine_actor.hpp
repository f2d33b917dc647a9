#pragma once
#include <atomic>
#include <caf/local_actor.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cluster/runtime/behaviour.hpp"
#include "cluster/runtime/engine.hpp"
#include "engine_shared.hpp"
#include "job.hpp"

namespace cluster::runtime {

/// One actor: a behaviour with a mailbox of our own, run by our scheduler. Its id, links, monitors and exit
/// are CAF's. While it lives it holds a reference to itself; references hold memory only.
///
/// States, all changes on the thread that runs it: new -> started -> ended. A run queue needs no reference:
/// only a living actor is queued, and only its own slice ends it.
class EngineActor final : public caf::local_actor, public ActorCore, public Job {
 public:
  /// Empty if the list of actors is closed or there is no thread for a detached one.
  [[nodiscard]] static ActorRef spawn(caf::actor_system& system, EngineShared& shared,
                                      std::unique_ptr<Behaviour> behaviour, SpawnOptions options);
  /// Made by `spawn` (CAF places the object behind its control block).
  EngineActor(caf::actor_config& config, EngineShared& shared, std::unique_ptr<Behaviour> behaviour,
              SpawnOptions options);
  ~EngineActor() override;

  /// Makes monitor `number`, which `shared.monitors` has, fire when `target` ends.
  void watch(std::uint64_t number, const ActorRef& target);
  /// Forgets that monitor `number` watches this actor.
  void remove_monitor(std::uint64_t number);
  /// Has this actor told when `peer` ends, for one half of a link.
  void attach_link(const ActorRef& peer);
  void detach_link(const ActorRef& peer);
  /// Tells this actor that `peer`, to which it is or was to be linked, has ended.
  void post_link_exit(const ActorRef& peer, ExitReason reason);

  // For signals, on the thread that runs the actor.
  [[nodiscard]] Behaviour& behaviour() noexcept { return *behaviour_; }
  /// Ends it after the current callback; the first reason counts.
  void end(ExitReason reason);

  Turn run_slice(std::size_t messages_max) noexcept override;

  // CAF's side.
  using caf::local_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr, caf::execution_unit*) override {}  // nobody sends CAF messages
  void launch(caf::execution_unit*, bool, bool) override {}
  const char* name() const override { return "cluster.actor"; }

 private:
  void schedule() noexcept override;
  void dispose() noexcept override;
  void run_detached() noexcept;
  /// True: it went idle, and must not be touched again.
  [[nodiscard]] bool handle_messages(std::size_t messages_max);
  void handle(EnvelopePtr message);
  /// The caller then drops self_.
  void die() noexcept;
  void forget_monitors() noexcept;

  // First what fits into the rest of Job's last word: an actor's size counts.
  bool started_ = false;
  const bool detached_;
  std::atomic<bool> watches_{false};        // has had a monitor on another
  std::atomic<std::uint32_t> runnable_{1};  // futex word of a detached actor's thread
  EngineShared& shared_;
  std::unique_ptr<Behaviour> behaviour_;  // null once it has ended
  ActorRef self_;                         // empty once it has ended
  std::unique_ptr<ExitReason> ending_;
};

/// The actor that this thread is running, or null.
[[nodiscard]] const ActorRef* current_actor() noexcept;

}  // namespace cluster::runtime
