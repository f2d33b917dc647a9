#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/runtime/actor_ref.hpp"
#include "cluster/runtime/behaviour.hpp"
#include "cluster/runtime/envelope.hpp"
#include "cluster/runtime/io_driver.hpp"

namespace cluster::runtime {

struct EngineConfig {
  std::size_t workers = 0;               ///< threads that run actors; 0: one per processor, at most 256
  Duration spin = 20us;                  ///< how long an idle worker looks for work before it blocks
  std::size_t slice_messages_max = 200;  ///< messages an actor handles before others get their turn
  Duration spare_period = 10ms;          ///< how soon the spare thread notices that all workers are blocked
};

struct SpawnOptions {
  bool detached = false;  ///< a thread of its own, so that its callbacks may block
  bool system = false;    ///< goes before others, and runs even while all workers are blocked: must not block
  std::size_t mailbox_max = 0;  ///< user messages waiting; 0: unbounded
  bool starts_idle = false;     ///< on_start waits for the first message: costs no turn until then
};

/// Names a timer until it fires or is cancelled; the default names none.
struct TimerId {
  std::uint64_t value = 0;
  friend bool operator==(TimerId, TimerId) = default;
};

/// Runs actors: mailboxes, workers, timers, links and monitors. Knows nothing of names, servers, codecs
/// or the network beyond its IoDriver. All functions may be called from any thread unless they say otherwise.
class Engine {
 public:
  /// `io` may be null: then the engine works alone. It is driven by idle workers.
  [[nodiscard]] static Result<std::unique_ptr<Engine>> start(EngineConfig config, IoDriver* io);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Starts an actor; it lives until it stops, whether or not refs to it exist. Empty (and the behaviour
  /// destroyed) once stop() has begun, or if a detached actor's thread cannot be made.
  ActorRef spawn(std::unique_ptr<Behaviour> behaviour, SpawnOptions options = {});

  /// Posts `message` to the system queue of `to` at `due` or soon after. If `to` has ended by then, it is
  /// dropped.
  TimerId set_timer(Instant due, ActorRef to, EnvelopePtr message);
  /// True: it will not fire, and its message is destroyed. False: it fired, or never was.
  bool cancel_timer(TimerId timer);

  /// `watcher` gets one on_down with the returned number when `target` ends: at once, with `no_process`, if
  /// it has ended already or is empty. Each call is a monitor of its own.
  std::uint64_t monitor(const ActorRef& watcher, const ActorRef& target);
  /// After this the monitor delivers nothing, unless its on_down already waits in the watcher's mailbox.
  void demonitor(std::uint64_t monitor);
  /// When one of the two ends, the other gets on_link_exit. Repeating it changes nothing. If one has ended
  /// already, the other is told at once, with `no_process`.
  void link(const ActorRef& a, const ActorRef& b);
  void unlink(const ActorRef& a, const ActorRef& b);

  /// True on the threads that all actors share (and that drive I/O): blocking there stalls others. False on
  /// a detached actor's own thread.
  [[nodiscard]] static bool on_worker() noexcept;
  /// On such a thread: other actors are ready to run on it after this one.
  [[nodiscard]] static bool more_to_run() noexcept;
  /// The actor that this thread is running, or null.
  [[nodiscard]] static const ActorRef* current() noexcept;

  /// Actors that have not ended. What those that ended did is visible to who sees the number without them.
  [[nodiscard]] std::size_t actors() const;

  /// Stops all actors (`shutdown`), waits until they have ended, then joins all threads. Not from an actor.
  /// Waits for callbacks that block. Idempotent; also done by the destructor.
  void stop();

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cluster::runtime
