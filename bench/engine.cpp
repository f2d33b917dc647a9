// engine: what the actor engine alone costs, below servers, names and codecs.
#include <sys/resource.h>

#include <memory>
#include <thread>

#include "cluster/runtime/engine.hpp"
#include "cluster/runtime/reply_slot.hpp"
#include "harness.hpp"

namespace cluster::bench {
namespace {

using namespace cluster::runtime;

struct Ask final : Envelope {
  explicit Ask(ActorRef from) : caller(std::move(from)) {}
  ActorRef caller;
};
struct AskSlot final : Envelope {
  explicit AskSlot(std::shared_ptr<ReplySlot> to) : slot(std::move(to)) {}
  std::shared_ptr<ReplySlot> slot;
};
struct Word final : Envelope {};

/// Answers an actor through its system queue, a thread through its slot.
class Echo final : public Behaviour {
 public:
  void on_message(EnvelopePtr message) override {
    EnvelopePtr reply = std::make_unique<Word>();
    static_cast<void>(static_cast<Ask&>(*message).caller.post_system(reply));
  }
};
class SlotEcho final : public Behaviour {
 public:
  void on_message(EnvelopePtr message) override {
    static_cast<AskSlot&>(*message).slot->fulfil(std::make_unique<Word>());
  }
};
/// Calls one actor again and again, then fulfils the slot it was started with.
class Asker final : public Behaviour {
 public:
  Asker(ActorRef target, std::int64_t calls) : target_(std::move(target)), left_(calls) {}
  void on_start(ActorRef self) override { self_ = std::move(self); }
  void on_message(EnvelopePtr message) override {
    if (done_ == nullptr) done_ = std::move(static_cast<AskSlot&>(*message).slot);
    if (left_-- == 0) {
      done_->fulfil(std::make_unique<Word>());
      return self_.stop({});
    }
    EnvelopePtr ask = std::make_unique<Ask>(self_);
    static_cast<void>(target_.post(ask));
  }

 private:
  ActorRef self_;
  ActorRef target_;
  std::shared_ptr<ReplySlot> done_;
  std::int64_t left_;
};
/// Counts what it is sent, and fulfils its slot at the last.
class Sink final : public Behaviour {
 public:
  Sink(std::int64_t expected, std::shared_ptr<ReplySlot> done) : left_(expected), done_(std::move(done)) {}
  void on_message(EnvelopePtr) override {
    if (--left_ == 0) done_->fulfil(std::make_unique<Word>());
  }

 private:
  std::int64_t left_;
  std::shared_ptr<ReplySlot> done_;
};
/// Sends its messages to one actor, a hundred for each of its own turns.
class Source final : public Behaviour {
 public:
  Source(ActorRef target, std::int64_t messages) : target_(std::move(target)), left_(messages) {}
  void on_start(ActorRef self) override { self_ = std::move(self); }
  void on_message(EnvelopePtr message) override {
    for (int i = 0; i < 100 && left_ > 0; ++i, --left_) {
      EnvelopePtr cast = std::make_unique<Word>();
      static_cast<void>(target_.post(cast));
    }
    if (left_ == 0) return self_.stop({});
    static_cast<void>(self_.post(message));
  }

 private:
  ActorRef self_;
  ActorRef target_;
  std::int64_t left_;
};
class Quiet final : public Behaviour {
 public:
  void on_message(EnvelopePtr) override {}
};

void wait_for(ReplySlot& slot) { static_cast<void>(slot.wait(kNever)); }

double call_ns(Engine& engine, std::int64_t times) {
  const ActorRef echo = engine.spawn(std::make_unique<Echo>());
  const ActorRef asker = engine.spawn(std::make_unique<Asker>(echo, times));
  const auto done = std::make_shared<ReplySlot>();
  const Stopwatch watch;
  EnvelopePtr go = std::make_unique<AskSlot>(done);
  static_cast<void>(asker.post(go));
  wait_for(*done);
  const double seconds = watch.seconds();
  echo.stop({});
  return seconds / static_cast<double>(times) * 1e9;
}

double casts_per_second(Engine& engine, std::int64_t times, bool from_actor) {
  const auto done = std::make_shared<ReplySlot>();
  const ActorRef sink = engine.spawn(std::make_unique<Sink>(times, done));
  const Stopwatch watch;
  if (from_actor) {
    EnvelopePtr go = std::make_unique<Word>();
    static_cast<void>(engine.spawn(std::make_unique<Source>(sink, times)).post(go));
  } else {
    for (std::int64_t n = 0; n < times; ++n) {
      EnvelopePtr cast = std::make_unique<Word>();
      static_cast<void>(sink.post(cast));
    }
  }
  wait_for(*done);
  const double seconds = watch.seconds();
  sink.stop({});
  return static_cast<double>(times) / seconds;
}

double outside_call_ns(Engine& engine, std::int64_t times) {
  const ActorRef echo = engine.spawn(std::make_unique<SlotEcho>());
  const double each = nanoseconds_each(times, [&] {
    const auto slot = std::make_shared<ReplySlot>();
    EnvelopePtr ask = std::make_unique<AskSlot>(slot);
    static_cast<void>(echo.post(ask));
    wait_for(*slot);
  });
  echo.stop({});
  return each;
}

double timer_ns(Engine& engine, std::int64_t times) {
  const ActorRef quiet = engine.spawn(std::make_unique<Quiet>());
  const Instant due = MonotonicClock::now() + 1h;
  const double each = nanoseconds_each(
      times, [&] { engine.cancel_timer(engine.set_timer(due, quiet, std::make_unique<Word>())); });
  quiet.stop({});
  return each;
}

double spawn_ns(Engine& engine, std::int64_t times) {
  std::vector<ActorRef> actors;
  actors.reserve(static_cast<std::size_t>(times));
  const double each =
      nanoseconds_each(times, [&] { actors.push_back(engine.spawn(std::make_unique<Quiet>())); });
  for (const ActorRef& actor : actors) actor.stop({});
  while (engine.actors() != 0) std::this_thread::yield();
  return each;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double idle_cpu_percent(Duration window) {
  std::this_thread::sleep_for(window / 10);
  const double before = cpu_seconds();
  std::this_thread::sleep_for(window);
  return (cpu_seconds() - before) / std::chrono::duration<double>(window).count() * 100;
}

}  // namespace

void engine(Context& context) {
  const auto engine = take(Engine::start({}, nullptr), "start the engine");
  context.each_run([&] {
    context.record("engine call", "ns", call_ns(*engine, context.amount(1'000'000)));
    context.record("engine cast", "msg/s", casts_per_second(*engine, context.amount(3'000'000), true));
    context.record("engine cast from a thread", "msg/s",
                   casts_per_second(*engine, context.amount(3'000'000), false));
    context.record("engine call from a thread", "ns", outside_call_ns(*engine, context.amount(100'000)));
    context.record("engine timer set, cancelled", "ns", timer_ns(*engine, context.amount(300'000)));
    context.record("engine spawn", "ns", spawn_ns(*engine, context.amount(100'000)));
    context.record("engine idle CPU", "%", idle_cpu_percent(context.settings().quick ? 20ms : 2s));
  });
}

}  // namespace cluster::bench
