#include "engine_actor.hpp"

#include <caf/actor_config.hpp>
#include <caf/actor_registry.hpp>
#include <caf/attachable.hpp>
#include <caf/error.hpp>
#include <caf/make_actor.hpp>
#include <caf/message.hpp>
#include <exception>
#include <string>
#include <utility>

#include "futex.hpp"
#include "signals.hpp"

namespace cluster::runtime {
namespace {

constinit thread_local const ActorRef* running_actor = nullptr;

constexpr caf::atom_value kCategory = caf::atom("cluster");

// CAF's "no error" is our normal end without a text.
caf::error to_caf(const ExitReason& reason) {
  if (reason.kind == ExitReason::Kind::normal && reason.text.empty()) return {};
  const auto code = static_cast<std::uint8_t>(static_cast<unsigned>(reason.kind) + 1);
  return {code, kCategory, caf::make_message(reason.text)};
}

ExitReason from_caf(const caf::error& error) {
  if (!error) return {};
  if (error.category() != kCategory) return {ExitReason::Kind::failed, "a fault of the actor system"};
  return {static_cast<ExitReason::Kind>(error.code() - 1), error.context().get_as<std::string>(0)};
}

class DownSignal final : public Signal {
 public:
  DownSignal(std::uint64_t monitor, ExitReason reason) : monitor_(monitor), reason_(std::move(reason)) {}
  void apply(EngineActor& actor) override { actor.behaviour().on_down(monitor_, reason_); }

 private:
  std::uint64_t monitor_;
  ExitReason reason_;
};

class LinkExitSignal final : public Signal {
 public:
  LinkExitSignal(ActorRef peer, ExitReason reason) : peer_(std::move(peer)), reason_(std::move(reason)) {}
  void apply(EngineActor& actor) override {
    actor.detach_link(peer_);  // our half of the link
    if (!actor.behaviour().on_link_exit(peer_.serial(), reason_) && reason_.kind != ExitReason::Kind::normal)
      actor.end(std::move(reason_));
  }

 private:
  ActorRef peer_;
  ExitReason reason_;
};

// What CAF keeps at the monitored actor and calls when it ends (or at once, if it has).
class MonitorAttachable final : public caf::attachable {
 public:
  struct Number {
    static constexpr std::size_t token_type = 0x436c4d6f;  // any that CAF does not use
    std::uint64_t value;
  };

  MonitorAttachable(Monitors& monitors, std::uint64_t number) : monitors_(monitors), number_{number} {}
  void actor_exited(const caf::error& reason, caf::execution_unit*) override { fire(from_caf(reason)); }
  void fire(ExitReason reason) {
    const auto monitor = monitors_.take(number_.value);
    if (!monitor) return;
    EnvelopePtr down = std::make_unique<DownSignal>(number_.value, std::move(reason));
    static_cast<void>(monitor->watcher.post_system(down));  // closed: nobody is left to be told
  }
  bool matches(const token& what) override {
    return what.subtype == Number::token_type && static_cast<const Number*>(what.ptr)->value == number_.value;
  }

 private:
  Monitors& monitors_;
  Number number_;
};

// The same for one half of a link. CAF's own links hold weak pointers, whose counts are kept in code that the
// thread sanitizer does not see; and this way both kinds work alike.
class LinkAttachable final : public caf::attachable {
 public:
  struct Peer {
    static constexpr std::size_t token_type = 0x436c4c6e;  // any that CAF does not use
    std::uint64_t serial;
  };

  LinkAttachable(Links& links, ActorRef self, ActorRef peer)
      : links_(links), self_(std::move(self)), peer_(std::move(peer)) {}
  void actor_exited(const caf::error& reason, caf::execution_unit*) override {
    if (links_.take(self_.serial(), peer_.serial()))
      static_cast<EngineActor*>(peer_.core())->post_link_exit(self_, from_caf(reason));
  }
  bool matches(const token& what) override {
    return what.subtype == Peer::token_type && static_cast<const Peer*>(what.ptr)->serial == peer_.serial();
  }

 private:
  Links& links_;
  ActorRef self_;
  ActorRef peer_;
};

}  // namespace

const ActorRef* current_actor() noexcept { return running_actor; }

void StopSignal::apply(EngineActor& actor) { actor.end(std::move(reason_)); }

ActorRef EngineActor::spawn(caf::actor_system& system, EngineShared& shared,
                            std::unique_ptr<Behaviour> behaviour, SpawnOptions options) {
  caf::actor_config config;
  auto owner = caf::make_actor<EngineActor, caf::strong_actor_ptr>(
      system.next_actor_id(), system.node(), &system, config, shared, std::move(behaviour), options);
  auto* actor = static_cast<EngineActor*>(owner.release()->get());  // released by dispose()
  ActorRef self = ActorRef::adopt(actor);
  if (!shared.actors.add(*actor)) return {};
  actor->self_ = self;
  actor->register_at_system();
  if (!options.detached) {
    // Not idle any more: somebody who found it in the list has posted to it.
    if (!options.starts_idle || !actor->mailbox_.try_idle()) shared.scheduler.enqueue(actor);
  } else if (!shared.detached.start([actor, keep = self] { actor->run_detached(); })) {
    actor->end({ExitReason::Kind::failed, "no thread for a detached actor"});
    actor->die();
    actor->self_ = {};
    return {};
  }
  return self;
}

EngineActor::EngineActor(caf::actor_config& config, EngineShared& shared,
                         std::unique_ptr<Behaviour> behaviour, SpawnOptions options)
    : caf::local_actor(config),
      ActorCore(id(), options.mailbox_max),
      Job(options.system),
      detached_(options.detached),
      shared_(shared),
      behaviour_(std::move(behaviour)) {}

EngineActor::~EngineActor() = default;

void EngineActor::watch(std::uint64_t number, const ActorRef& target) {
  watches_.store(true);
  auto monitor = std::make_unique<MonitorAttachable>(shared_.monitors, number);
  if (!alive())  // die() may have looked at watches_ before
    static_cast<void>(shared_.monitors.take(number));
  else if (target.alive())
    static_cast<EngineActor*>(target.core())->attach(std::move(monitor));
  else
    monitor->fire({ExitReason::Kind::no_process, {}});
}

void EngineActor::remove_monitor(std::uint64_t number) { detach(MonitorAttachable::Number{number}); }

void EngineActor::attach_link(const ActorRef& peer) {
  retain();
  attach(std::make_unique<LinkAttachable>(shared_.links, ActorRef::adopt(this), peer));
}

void EngineActor::detach_link(const ActorRef& peer) { detach(LinkAttachable::Peer{peer.serial()}); }

void EngineActor::post_link_exit(const ActorRef& peer, ExitReason reason) {
  EnvelopePtr signal = std::make_unique<LinkExitSignal>(peer, std::move(reason));
  static_cast<void>(post_system(signal));  // closed: it has ended as well
}

void EngineActor::end(ExitReason reason) {
  if (ending_ == nullptr) ending_ = std::make_unique<ExitReason>(std::move(reason));
}

Job::Turn EngineActor::run_slice(std::size_t messages_max) noexcept {
  const ActorRef* outer = std::exchange(running_actor, &self_);
  bool idle = false;
  try {
    if (!std::exchange(started_, true)) behaviour_->on_start(self_);
    idle = handle_messages(messages_max);
  } catch (const std::exception& error) {
    end({ExitReason::Kind::failed, error.what()});
  } catch (...) {
    end({ExitReason::Kind::failed, "threw something that is no std::exception"});
  }
  Turn turn = Turn::rest;
  ActorRef ended;  // may be the last reference
  if (!idle && ending_ != nullptr) {
    die();
    ended = std::move(self_);
  } else if (!idle) {
    turn = Turn::again;
  }
  running_actor = outer;
  return turn;
}

bool EngineActor::handle_messages(std::size_t messages_max) {
  for (std::size_t handled = 0; handled < messages_max && ending_ == nullptr;) {
    const auto [message, system] = mailbox_.pop();
    if (message == nullptr) {
      if (mailbox_.try_idle()) return true;
      continue;
    }
    if (!system) taken();
    handle(EnvelopePtr(message));
    ++handled;
  }
  return false;
}

void EngineActor::handle(EnvelopePtr message) {
  if (message->is_signal_)
    static_cast<Signal&>(*message).apply(*this);
  else
    behaviour_->on_message(std::move(message));
}

// The order is part of the contract: on_stop, then what was left in the mailbox, then the behaviour is
// destroyed (files and ports are free again), then monitors and links are told.
void EngineActor::die() noexcept {
  const ExitReason reason = std::move(*ending_);
  behaviour_->on_stop(reason);
  for (Envelope* rest = mailbox_.close(); rest != nullptr;) {
    EnvelopePtr message(std::exchange(rest, rest->next));
    if (!message->is_signal_) behaviour_->on_undelivered(std::move(message));
  }
  behaviour_.reset();
  shared_.actors.remove(*this);
  if (watches_.load()) forget_monitors();
  unregister_from_system();
  // Not local_actor's, which wakes the thread of CAF's clock.
  monitorable_actor::cleanup(to_caf(reason), nullptr);
}

// Takes back the monitors of this actor on others.
void EngineActor::forget_monitors() noexcept {
  while (const auto number = shared_.monitors.any_of(serial())) {
    const auto monitor = shared_.monitors.take(*number);
    if (monitor && monitor->target)
      static_cast<EngineActor*>(monitor->target.core())->remove_monitor(*number);
  }
}

void EngineActor::schedule() noexcept {
  if (!detached_) return shared_.scheduler.enqueue(this);
  runnable_.store(1, std::memory_order_release);
  futex_wake_one(&runnable_);
}

void EngineActor::dispose() noexcept { caf::intrusive_ptr_release(ctrl()); }

void EngineActor::run_detached() noexcept {
  while (alive()) {
    while (runnable_.exchange(0, std::memory_order_acquire) == 0) futex_wait(runnable_, 0);
    while (run_slice(shared_.slice_messages_max) == Turn::again) shared_.io.flush();
    shared_.io.flush();
  }
}

}  // namespace cluster::runtime
