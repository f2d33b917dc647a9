// Workers, the I/O driver, the spare thread, detached actors.
#include <condition_variable>
#include <set>

#include "engine_support.hpp"

using namespace cluster;
using namespace cluster::runtime;
using namespace cluster::runtime::testing;

namespace {

// I/O that happens when a test says so.
class FakeIo final : public IoDriver {
 public:
  std::size_t poll(Duration max_wait) override {
    CHECK_FALSE(polling_.exchange(true));
    std::vector<std::function<void()>> events;
    {
      std::unique_lock lock(mutex_);
      ++polls_;
      if (max_wait > Duration::zero()) {
        ++waits_;
        changed_.wait_for(lock, std::min<Duration>(max_wait, 1h), [&] { return woken_ || !events_.empty(); });
        woken_ = false;
      }
      events.swap(events_);
    }
    for (const auto& event : events) event();
    polling_ = false;
    return events.size();
  }
  void wake() noexcept override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    ++wakes_;
    changed_.notify_all();
  }
  void flush() noexcept override { ++flushes_; }
  bool has_unflushed() const noexcept override { return true; }

  // From the network, so to speak: handled by whoever polls.
  void happen(std::function<void()> event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  std::size_t polls() { return locked(polls_); }
  std::size_t waits() { return locked(waits_); }
  std::size_t wakes() { return locked(wakes_); }
  std::size_t flushes() const { return flushes_; }

 private:
  std::size_t locked(const std::size_t& count) {
    const std::lock_guard lock(mutex_);
    return count;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> events_;
  bool woken_ = false;
  std::size_t polls_ = 0;
  std::size_t waits_ = 0;
  std::size_t wakes_ = 0;
  std::atomic<std::size_t> flushes_{0};
  std::atomic<bool> polling_{false};
};

// Actors that hold `count` workers until they are released.
class Blockade {
 public:
  Blockade(Engine& engine, int count) {
    for (int i = 0; i < count; ++i)
      spawn(engine, {.start = [this](const ActorRef& self) {
              ++inside_;
              released_.wait();
              self.stop({});
              --inside_;
            }});
    REQUIRE(eventually([&] { return inside_ == count; }));
  }
  ~Blockade() {
    release();
    static_cast<void>(eventually([&] { return inside_ == 0; }));  // nobody looks at the latch any more
  }
  void release() { released_.open(); }

 private:
  std::atomic<int> inside_{0};
  Latch released_;
};

}  // namespace

TEST_CASE("workers: two actors that block run at the same time on two workers") {
  const auto host = engine({.workers = 2});
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    std::atomic<int> inside{0};
    const Functions meet{.message = [&](const ActorRef&, const Number&) {
      ++inside;
      CHECK(eventually([&] { return inside == 2; }));
    }};
    const ActorRef a = spawn(*host, meet);
    const ActorRef b = spawn(*host, meet);
    CHECK(post(a, 1) == Posted::ok);
    CHECK(post(b, 1) == Posted::ok);
    CHECK(eventually([&] { return inside == 2; }));
    a.stop({});
    b.stop({});
    CHECK(eventually([&] { return host->actors() == 0; }));
  }
}

TEST_CASE("workers: one actor that wakes many others gets them run by all workers") {
  const auto host = engine({.workers = 3});
  std::atomic<int> inside{0};
  const Functions meet{.message = [&](const ActorRef&, const Number&) {
    ++inside;
    CHECK(eventually([&] { return inside == 3; }));
  }};
  std::vector<ActorRef> actors;
  for (int i = 0; i < 3; ++i) actors.push_back(spawn(*host, meet));
  spawn(*host, {.start = [&](const ActorRef&) {
    for (const ActorRef& actor : actors) CHECK(post(actor, 1) == Posted::ok);
  }});
  CHECK(eventually([&] { return inside == 3; }));
}

TEST_CASE("workers: posts from outside wake a sleeping engine, each time") {
  const auto host = engine({.workers = 2, .spin = 0ns});
  std::atomic<int> handled{0};
  std::vector<ActorRef> actors;
  for (int i = 0; i < 4; ++i)
    actors.push_back(spawn(*host, {.message = [&](const ActorRef&, const Number&) { ++handled; }}));
  for (int i = 0; i < 5'000; ++i) {
    CHECK(post(actors[static_cast<std::size_t>(i) % 4], i) == Posted::ok);
    if (i % 3 == 0) REQUIRE(eventually([&] { return handled == i + 1; }));
  }
  CHECK(eventually([&] { return handled == 5'000; }));
}

TEST_CASE("workers: several outside threads that post in bursts lose no wake-up") {
  const auto host = engine({.workers = 3, .spin = 1us});
  std::atomic<int> handled{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (int round = 0; round < 500; ++round) {
        std::atomic<int> mine{0};
        std::vector<ActorRef> actors;
        for (int i = 0; i < 3; ++i)
          actors.push_back(spawn(*host, {.message = [&](const ActorRef& self, const Number&) {
            self.stop({});
            ++handled;
            ++mine;
          }}));
        for (const ActorRef& actor : actors) CHECK(post(actor, 1) == Posted::ok);
        REQUIRE(eventually([&] { return mine == 3; }));
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(handled == 4'500);
}

TEST_CASE("io: an event that posts to an idle actor runs it on the thread that polled") {
  FakeIo io;
  const auto host = engine({.workers = 2}, &io);
  int same = 0;
  for (int round = 0; round < 50; ++round) {
    std::atomic<bool> started{false};
    std::atomic<std::thread::id> handled_by{};
    std::atomic<std::thread::id> polled_by{};
    const ActorRef actor = spawn(
        *host, {.start = [&](const ActorRef&) { started = true; },
                .message = [&](const ActorRef&, const Number&) { handled_by = std::this_thread::get_id(); }});
    REQUIRE(eventually([&] { return started.load(); }));
    const std::size_t before = io.waits();
    io.wake();
    REQUIRE(eventually([&] { return io.waits() > before; }));
    io.happen([&] {
      polled_by = std::this_thread::get_id();
      CHECK(Engine::on_worker());
      CHECK(Engine::current() == nullptr);
      CHECK(post(actor, 1) == Posted::ok);
    });
    REQUIRE(eventually([&] { return handled_by.load() != std::thread::id(); }));
    if (handled_by.load() == polled_by.load()) ++same;
    actor.stop({});
    REQUIRE(eventually([&] { return host->actors() == 0; }));
  }
  CHECK(same >= 40);  // not all: the slice of on_start may have its end on another thread still
}

TEST_CASE("io: each slice is followed by a flush") {
  FakeIo io;
  const auto host = engine({.workers = 1}, &io);
  std::atomic<int> handled{0};
  const ActorRef actor = spawn(*host, {.message = [&](const ActorRef&, const Number&) { ++handled; }});
  for (int i = 1; i <= 10; ++i) {
    const std::size_t before = io.flushes();
    CHECK(post(actor, i) == Posted::ok);
    CHECK(eventually([&] { return handled == i && io.flushes() > before; }));
  }
}

TEST_CASE("io: an idle engine blocks in one poll instead of polling, and timers still fire") {
  FakeIo io;
  const auto host = engine({.workers = 2}, &io);
  std::atomic<bool> fired{false};
  const ActorRef actor = spawn(*host, {.message = [&](const ActorRef&, const Number&) { fired = true; }});
  host->set_timer(MonotonicClock::now() + 300ms, actor, number(1));
  REQUIRE(eventually([&] { return io.waits() >= 1; }));
  const std::size_t waits = io.waits();
  REQUIRE(eventually([&] { return fired.load(); }));
  CHECK(io.waits() <= waits + 5);
}

TEST_CASE("io: two actors that talk to each other wake no thread") {
  FakeIo io;
  const auto host = engine({.workers = 2}, &io);
  ActorRef pong;
  std::atomic<bool> done{false};
  const ActorRef ping = spawn(*host, {.message = [&](const ActorRef& self, const Number& n) {
    if (n.value == 0) done = true;
    if (n.value > 0) CHECK(post(pong, n.value - 1, self.serial()) == Posted::ok);
  }});
  pong =
      spawn(*host,
            {.message = [&](const ActorRef&, const Number& n) { CHECK(post(ping, n.value) == Posted::ok); }});
  const std::size_t before = io.wakes();
  CHECK(post(ping, 20'000) == Posted::ok);
  REQUIRE(eventually([&] { return done.load(); }));
  CHECK(io.wakes() - before < 100);
}

TEST_CASE("io: while a worker is busy with short slices, I/O is still polled") {
  FakeIo io;
  const auto host = engine({.workers = 1, .slice_messages_max = 10}, &io);
  std::atomic<bool> stop{false};
  const ActorRef busy = spawn(*host, {.start = [](const ActorRef& self) { static_cast<void>(post(self, 0)); },
                                      .message =
                                          [&](const ActorRef& self, const Number&) {
                                            if (!stop) static_cast<void>(post(self, 0));
                                          }});
  for (int i = 0; i < 10; ++i) {
    Latch happened;
    io.happen([&] { happened.open(); });
    CHECK(eventually([&] { return happened.is_open(); }));
  }
  stop = true;
}

TEST_CASE("fairness: a flooded actor lets others run after a few slices, whoever posted to them") {
  constexpr std::size_t kSlice = 10;
  constexpr int kOthers = 5;
  const auto host = engine({.workers = 1, .slice_messages_max = kSlice});
  std::atomic<int> flooded_handled{0};
  std::vector<int> flooded_before;  // what the flooded actor had handled when another ran
  std::atomic<int> others_handled{0};
  const ActorRef flooded =
      spawn(*host, {.message = [&](const ActorRef&, const Number&) { ++flooded_handled; }});
  std::vector<ActorRef> others;
  for (int i = 0; i < kOthers; ++i)
    others.push_back(spawn(*host, {.message = [&](const ActorRef&, const Number&) {
      flooded_before.push_back(flooded_handled);
      ++others_handled;
    }}));
  for (const bool from_actor : {false, true}) {
    CAPTURE(from_actor);
    flooded_handled = 0;
    others_handled = 0;
    flooded_before.clear();
    const auto post_all = [&] {
      for (int n = 0; n < 20'000; ++n) CHECK(post(flooded, n) == Posted::ok);
      for (const ActorRef& other : others) CHECK(post(other, 1) == Posted::ok);
    };
    if (from_actor) {
      spawn(*host, {.start = [&](const ActorRef& self) {
        post_all();
        self.stop({});
      }});
    } else {
      Blockade blockade(*host, 1);
      post_all();
    }
    REQUIRE(eventually([&] { return others_handled == kOthers; }));
    // Every fourth look for work begins with what came from outside, so each other waits four slices at most.
    for (std::size_t i = 0; i < flooded_before.size(); ++i) {
      CAPTURE(i);
      CHECK(flooded_before[i] <= static_cast<int>((4 * (i + 1) + 4) * kSlice));
    }
    REQUIRE(eventually([&] { return flooded_handled == 20'000; }));
  }
}

TEST_CASE("fairness: two actors that keep waking each other let a third run") {
  const auto host = engine({.workers = 1});
  std::atomic<bool> stop{false};
  std::atomic<int> third{0};
  ActorRef pong;
  const ActorRef ping = spawn(*host, {.message = [&](const ActorRef&, const Number&) {
    if (!stop) CHECK(post(pong, 1) == Posted::ok);
  }});
  pong =
      spawn(*host, {.message = [&](const ActorRef&, const Number&) { CHECK(post(ping, 1) == Posted::ok); }});
  const ActorRef other = spawn(*host, {.message = [&](const ActorRef&, const Number&) { ++third; }});
  CHECK(post(ping, 1) == Posted::ok);
  for (int round = 1; round <= 100; ++round) {
    CHECK(post(other, round) == Posted::ok);
    REQUIRE(eventually([&] { return third == round; }));
  }
  stop = true;
}

TEST_CASE(
    "spare: while all workers are blocked I/O is polled, timers fire and system actors run, others wait") {
  for (const std::size_t workers : {1U, 2U}) {
    CAPTURE(workers);
    FakeIo io;
    const auto host = engine({.workers = workers, .spare_period = 2ms}, &io);
    std::atomic<int> system_handled{0};
    std::atomic<int> user_handled{0};
    const ActorRef system = spawn(
        *host, {.message = [&](const ActorRef&, const Number&) { ++system_handled; }}, {.system = true});
    const ActorRef user = spawn(*host, {.message = [&](const ActorRef&, const Number&) { ++user_handled; }});
    Blockade blockade(*host, static_cast<int>(workers));
    CHECK(post(user, 1) == Posted::ok);
    for (int round = 1; round <= 20; ++round) {
      Latch happened;
      io.happen([&] {
        CHECK(post(system, 1) == Posted::ok);
        CHECK(Engine::on_worker());
        happened.open();
      });
      CHECK(eventually([&] { return happened.is_open(); }));
      host->set_timer(MonotonicClock::now() + 1ms, system, number(2));
      CHECK(post(system, 3) == Posted::ok);
      CHECK(eventually([&] { return system_handled == 3 * round; }));
    }
    CHECK(user_handled == 0);
    blockade.release();
    CHECK(eventually([&] { return user_handled == 1; }));
    // The workers drive again.
    const std::size_t waits = io.waits();
    CHECK(post(user, 2) == Posted::ok);
    CHECK(eventually([&] { return user_handled == 2 && io.waits() > waits; }));
  }
}

TEST_CASE("spare: if the driver is blocked by an actor, a parked worker takes over the I/O") {
  FakeIo io;
  const auto host = engine({.workers = 2, .spare_period = 2ms}, &io);
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    Latch inside;
    Latch release;
    io.happen([&] {
      spawn(*host, {.start = [&](const ActorRef& self) {
        inside.open();
        release.wait();
        self.stop({});
      }});
    });
    inside.wait();
    Latch happened;
    io.happen([&] { happened.open(); });
    CHECK(eventually([&] { return happened.is_open(); }));
    release.open();
    CHECK(eventually([&] { return host->actors() == 0; }));
  }
}

TEST_CASE("spare: the job in the hand-off slot of a blocked worker is run by another") {
  const auto host = engine({.workers = 2, .spare_period = 2ms});
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    Latch other_ran;
    const ActorRef other =
        spawn(*host, {.message = [&](const ActorRef&, const Number&) { other_ran.open(); }});
    std::atomic<bool> done{false};
    spawn(*host, {.start = [&](const ActorRef& self) {
      CHECK(post(other, 1) == Posted::ok);
      other_ran.wait();  // it sits in this worker's slot
      self.stop({});
      done = true;
    }});
    CHECK(eventually([&] { return done.load(); }));
    other.stop({});
    CHECK(eventually([&] { return host->actors() == 0; }));
  }
}

TEST_CASE(
    "spare: a system actor in the slot of the only worker, which waits for it, is run by the spare thread") {
  const auto host = engine({.workers = 1, .spare_period = 2ms});
  Latch system_ran;
  const ActorRef system =
      spawn(*host, {.message = [&](const ActorRef&, const Number&) { system_ran.open(); }}, {.system = true});
  std::atomic<bool> done{false};
  spawn(*host, {.start = [&](const ActorRef&) {
    CHECK(post(system, 1) == Posted::ok);
    system_ran.wait();
    done = true;
  }});
  CHECK(eventually([&] { return done.load(); }));
}

TEST_CASE("detached: an actor on its own thread may block, and does not count as a worker") {
  const auto host = engine({.workers = 1});
  Latch inside;
  Latch release;
  std::atomic<bool> on_worker{true};
  std::atomic<int> handled{0};
  const ActorRef blocking = spawn(*host,
                                  {.start =
                                       [&](const ActorRef& self) {
                                         on_worker = Engine::on_worker() || Engine::current() == nullptr ||
                                                     *Engine::current() != self;
                                         inside.open();
                                         release.wait();
                                       },
                                   .message = [&](const ActorRef&, const Number&) { ++handled; }},
                                  {.detached = true});
  inside.wait();
  std::atomic<int> others{0};
  const ActorRef other = spawn(*host, {.message = [&](const ActorRef&, const Number&) {
    ++others;
    CHECK(post(blocking, 1) == Posted::ok);
  }});
  for (int i = 0; i < 100; ++i) CHECK(post(other, i) == Posted::ok);
  CHECK(eventually([&] { return others == 100; }));
  CHECK(handled == 0);
  release.open();
  CHECK(eventually([&] { return handled == 100; }));
  for (int i = 1; i <= 100; ++i) {
    CHECK(post(blocking, i) == Posted::ok);
    CHECK(eventually([&] { return handled == 100 + i; }));
  }
  CHECK_FALSE(on_worker);
}

TEST_CASE("detached: many start, stop by themselves or with the engine, and are monitored like others") {
  const auto host = engine();
  std::atomic<int> downs{0};
  const ActorRef watcher = spawn(*host, {.down = [&](std::uint64_t, const ExitReason&) { ++downs; }});
  for (int i = 0; i < 50; ++i) {
    const ActorRef actor = spawn(
        *host, {.message = [](const ActorRef& self, const Number&) { self.stop({}); }}, {.detached = true});
    host->monitor(watcher, actor);
    if (i % 2 == 0) CHECK(post(actor, 1) == Posted::ok);
  }
  CHECK(eventually([&] { return downs == 25; }));
  host->stop();
  CHECK(host->actors() == 0);
}
