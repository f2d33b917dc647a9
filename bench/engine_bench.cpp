// How fast is the actor engine alone? Local calls, casts, spawns, calls from outside, and what it costs at
// rest. Usage: engine-bench [runs]. Prints the median of the runs, with the least and the greatest.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cluster/base/time.hpp"
#include "cluster/runtime/engine.hpp"
#include "cluster/runtime/reply_slot.hpp"

using namespace cluster;
using namespace cluster::runtime;

namespace {

struct Ask final : Envelope {
  explicit Ask(ActorRef from) : caller(std::move(from)) {}
  ActorRef caller;
};
struct AskSlot final : Envelope {
  explicit AskSlot(std::shared_ptr<ReplySlot> to) : slot(std::move(to)) {}
  std::shared_ptr<ReplySlot> slot;
};
struct Count final : Envelope {
  explicit Count(std::int64_t n) : value(n) {}
  std::int64_t value;
};

// Answers each call of an actor through its system queue.
class Echo final : public Behaviour {
 public:
  void on_message(EnvelopePtr message) override {
    EnvelopePtr reply = std::make_unique<Count>(1);
    static_cast<void>(static_cast<Ask&>(*message).caller.post_system(reply));
  }
};
// Calls one actor again and again, then fulfils the slot it was started with.
class Caller final : public Behaviour {
 public:
  Caller(ActorRef target, std::int64_t calls) : target_(std::move(target)), left_(calls) {}
  void on_start(ActorRef self) override { self_ = std::move(self); }
  void on_message(EnvelopePtr message) override {
    if (done_ == nullptr) done_ = std::move(static_cast<AskSlot&>(*message).slot);
    if (left_-- == 0) {
      done_->fulfil(std::make_unique<Count>(0));
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

// Counts what it is sent, and fulfils its slot at the last.
class Sink final : public Behaviour {
 public:
  Sink(std::int64_t expected, std::shared_ptr<ReplySlot> done) : left_(expected), done_(std::move(done)) {}
  void on_message(EnvelopePtr) override {
    if (--left_ == 0) done_->fulfil(std::make_unique<Count>(0));
  }

 private:
  std::int64_t left_;
  std::shared_ptr<ReplySlot> done_;
};
// Sends its messages to one actor, a hundred for each of its own turns.
class Source final : public Behaviour {
 public:
  Source(ActorRef target, std::int64_t messages) : target_(std::move(target)), left_(messages) {}
  void on_start(ActorRef self) override { self_ = std::move(self); }
  void on_message(EnvelopePtr message) override {
    for (int i = 0; i < 100 && left_ > 0; ++i, --left_) {
      EnvelopePtr cast = std::make_unique<Count>(left_);
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

class SlotEcho final : public Behaviour {
 public:
  void on_message(EnvelopePtr message) override {
    static_cast<AskSlot&>(*message).slot->fulfil(std::make_unique<Count>(1));
  }
};
class Idle final : public Behaviour {
 public:
  void on_message(EnvelopePtr) override {}
};

double seconds_of(const std::function<void()>& work) {
  const Instant start = MonotonicClock::now();
  work();
  return std::chrono::duration<double>(MonotonicClock::now() - start).count();
}
double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double local_call_ns(Engine& engine) {
  constexpr std::int64_t kCalls = 1'000'000;
  const ActorRef echo = engine.spawn(std::make_unique<Echo>());
  const ActorRef caller = engine.spawn(std::make_unique<Caller>(echo, kCalls));
  const double seconds = seconds_of([&] {
    const auto done = std::make_shared<ReplySlot>();
    EnvelopePtr go = std::make_unique<AskSlot>(done);
    static_cast<void>(caller.post(go));
    static_cast<void>(done->wait(kNever));
  });
  echo.stop({});
  return seconds / kCalls * 1e9;
}
double casts_per_second(Engine& engine, bool from_actor) {
  constexpr std::int64_t kCasts = 3'000'000;
  const auto done = std::make_shared<ReplySlot>();
  const ActorRef sink = engine.spawn(std::make_unique<Sink>(kCasts, done));
  const double seconds = seconds_of([&] {
    if (from_actor) {
      EnvelopePtr go = std::make_unique<Count>(0);
      static_cast<void>(engine.spawn(std::make_unique<Source>(sink, kCasts)).post(go));
    } else {
      for (std::int64_t n = 0; n < kCasts; ++n) {
        EnvelopePtr cast = std::make_unique<Count>(n);
        static_cast<void>(sink.post(cast));
      }
    }
    static_cast<void>(done->wait(kNever));
  });
  sink.stop({});
  return kCasts / seconds / 1e6;
}
double outside_call_us(Engine& engine) {
  constexpr int kCalls = 100'000;
  const ActorRef echo = engine.spawn(std::make_unique<SlotEcho>());
  const double seconds = seconds_of([&] {
    for (int n = 0; n < kCalls; ++n) {
      const auto slot = std::make_shared<ReplySlot>();
      EnvelopePtr ask = std::make_unique<AskSlot>(slot);
      static_cast<void>(echo.post(ask));
      static_cast<void>(slot->wait(kNever));
    }
  });
  echo.stop({});
  return seconds / kCalls * 1e6;
}
double timer_ns(Engine& engine) {
  constexpr int kTimers = 300'000;
  const ActorRef idle = engine.spawn(std::make_unique<Idle>());
  const Instant due = MonotonicClock::now() + 1h;
  const double seconds = seconds_of([&] {
    for (int n = 0; n < kTimers; ++n)
      engine.cancel_timer(engine.set_timer(due, idle, std::make_unique<Count>(n)));
  });
  idle.stop({});
  return seconds / kTimers * 1e9;
}
struct Spawned {
  double nanoseconds;
  double bytes;
};
Spawned spawn_and_stop(Engine& engine) {
  constexpr int kActors = 100'000;
  std::vector<ActorRef> actors;
  actors.reserve(kActors);
  const double before = resident_bytes();
  const double seconds = seconds_of([&] {
    for (int n = 0; n < kActors; ++n) actors.push_back(engine.spawn(std::make_unique<Idle>()));
  });
  const double after = resident_bytes();
  for (const ActorRef& actor : actors) actor.stop({});
  while (engine.actors() != 0) std::this_thread::yield();
  return {seconds / kActors * 1e9, (after - before) / kActors};
}
double idle_cpu_percent() {
  std::this_thread::sleep_for(300ms);
  const double before = cpu_seconds();
  std::this_thread::sleep_for(2s);
  return (cpu_seconds() - before) / 2 * 100;
}

class Table {
 public:
  void add(const std::string& what, double value) {
    const auto row = std::find_if(rows_.begin(), rows_.end(), [&](const Row& r) { return r.what == what; });
    (row != rows_.end() ? *row : rows_.emplace_back(Row{what, {}})).values.push_back(value);
  }
  void print() {
    for (Row& row : rows_) {
      std::sort(row.values.begin(), row.values.end());
      std::printf("%-44s %10.3f  [%.3f - %.3f]\n", row.what.c_str(), row.values[row.values.size() / 2],
                  row.values.front(), row.values.back());
    }
  }

 private:
  struct Row {
    std::string what;
    std::vector<double> values;
  };
  std::vector<Row> rows_;
};

}  // namespace

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 5;
  auto started = Engine::start({}, nullptr);
  if (!started) return std::fprintf(stderr, "%s\n", started.error().to_string().c_str()), 1;
  Engine& engine = **started;
  Table table;
  // Memory first, while the heap is small: later actors would take what earlier messages gave back.
  table.add("memory of an actor, bytes", spawn_and_stop(engine).bytes);
  for (int run = 0; run < runs; ++run) {
    table.add("local call, actor to actor, ns", local_call_ns(engine));
    table.add("cast, actor to actor, M/s", casts_per_second(engine, true));
    table.add("cast, outside thread to actor, M/s", casts_per_second(engine, false));
    table.add("call from an outside thread, us", outside_call_us(engine));
    table.add("timer set and cancelled, ns", timer_ns(engine));
    table.add("spawn, ns", spawn_and_stop(engine).nanoseconds);
    table.add("idle CPU, %", idle_cpu_percent());
  }
  table.print();
  return 0;
}
