// Spawning, messages and their order, mailboxes, exits.
#include "cluster/runtime/engine.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "engine_support.hpp"

using namespace cluster;
using namespace cluster::runtime;
using namespace cluster::runtime::testing;

namespace {

// Holds the one worker of an engine until `release`, so that a test can fill mailboxes unseen.
struct BlockedWorker {
  explicit BlockedWorker(Engine& engine) {
    spawn(engine, {.start = [this](const ActorRef& self) {
            entered.open();
            released.wait();
            self.stop({});
          }});
    entered.wait();
  }
  void release() { released.open(); }
  Latch entered;
  Latch released;
};

}  // namespace

TEST_CASE("engine: messages of each sender arrive in order and none is lost, with many senders") {
  constexpr std::size_t kSenders = 8;
  constexpr std::int64_t kMessages = 20'000;
  const auto host = engine();
  std::vector<std::int64_t> last(kSenders, -1);
  std::atomic<std::int64_t> received{0};
  std::atomic<bool> ordered{true};
  const ActorRef sink = spawn(*host, {.message = [&](const ActorRef&, const Number& n) {
    if (n.value != last[n.sender] + 1) ordered = false;
    last[n.sender] = n.value;
    ++received;
  }});
  std::vector<std::thread> threads;
  for (std::size_t sender = 0; sender < kSenders / 2; ++sender)
    threads.emplace_back([&, sender] {
      for (std::int64_t n = 0; n < kMessages; ++n) CHECK(post(sink, n, sender) == Posted::ok);
    });
  for (std::size_t sender = kSenders / 2; sender < kSenders; ++sender)
    spawn(*host, {.start = [=](const ActorRef& self) { static_cast<void>(post(self, 0)); },
                  .message =
                      [=](const ActorRef& self, const Number& n) {
                        static_cast<void>(post(sink, n.value, sender));
                        if (n.value + 1 < kMessages) static_cast<void>(post(self, n.value + 1));
                      }});
  for (std::thread& thread : threads) thread.join();
  CHECK(eventually([&] { return received == kMessages * static_cast<std::int64_t>(kSenders); }));
  CHECK(ordered);
}

TEST_CASE("engine: on_start comes before any message, and on_stop after the last") {
  const auto host = engine();
  std::mutex mutex;
  std::string story;
  const auto add = [&](std::string_view what) {
    const std::lock_guard lock(mutex);
    story += what;
  };
  const ActorRef actor = spawn(*host, {.start =
                                           [&](const ActorRef& self) {
                                             add("start ");
                                             CHECK(post(self, 1) == Posted::ok);
                                           },
                                       .message =
                                           [&](const ActorRef& self, const Number&) {
                                             add("message ");
                                             self.stop({});
                                           },
                                       .stop =
                                           [&](const ExitReason& reason) {
                                             add("stop ");
                                             add(name(reason.kind));
                                           }});
  CHECK(eventually([&] { return !actor.alive() && host->actors() == 0; }));
  CHECK(story == "start message stop normal");
}

TEST_CASE("engine: system messages come out before all user messages, each kind in order") {
  const auto host = engine({.workers = 1});
  BlockedWorker worker(*host);
  std::vector<std::int64_t> order;
  std::atomic<bool> done{false};
  const ActorRef actor = spawn(*host, {.message = [&](const ActorRef&, const Number& n) {
    order.push_back(n.value);
    if (order.size() == 6) done = true;
  }});
  for (std::int64_t n = 1; n <= 3; ++n) {
    CHECK(post(actor, n) == Posted::ok);
    CHECK(post_system(actor, -n) == Posted::ok);
  }
  worker.release();
  REQUIRE(eventually([&] { return done.load(); }));
  CHECK(order == std::vector<std::int64_t>{-1, -2, -3, 1, 2, 3});
}

TEST_CASE(
    "engine: a system message overtakes user messages that the actor has already taken from the stack") {
  const auto host = engine({.workers = 1});
  BlockedWorker worker(*host);
  std::vector<std::int64_t> order;
  std::atomic<bool> done{false};
  const ActorRef actor = spawn(*host, {.message = [&](const ActorRef& self, const Number& n) {
    order.push_back(n.value);
    if (n.value == 1) CHECK(post_system(self, -1) == Posted::ok);
    if (order.size() == 4) done = true;
  }});
  for (std::int64_t n = 1; n <= 3; ++n) CHECK(post(actor, n) == Posted::ok);
  worker.release();
  REQUIRE(eventually([&] { return done.load(); }));
  CHECK(order == std::vector<std::int64_t>{1, -1, 2, 3});
}

TEST_CASE("engine: what is queued when an actor ends is handed back in order, and later posts are refused") {
  const auto host = engine({.workers = 1});
  BlockedWorker worker(*host);
  std::vector<std::int64_t> back;
  const ActorRef actor =
      spawn(*host, {.message = [&](const ActorRef&, const Number&) { FAIL("must not be handled"); },
                    .undelivered = [&](const Number& n) { back.push_back(n.value); }});
  for (std::int64_t n = 1; n <= 3; ++n) CHECK(post(actor, n) == Posted::ok);
  actor.stop({ExitReason::Kind::shutdown, "enough"});
  CHECK(post_system(actor, -1) == Posted::ok);
  worker.release();
  CHECK(eventually([&] { return host->actors() == 0; }));
  CHECK(back == std::vector<std::int64_t>{-1, 1, 2, 3});
  CHECK_FALSE(actor.alive());
  EnvelopePtr late = number(4);
  CHECK(actor.post(late) == Posted::closed);
  CHECK(actor.post_system(late) == Posted::closed);
  CHECK(late != nullptr);
  actor.stop({});
}

TEST_CASE("engine: an empty ref refuses messages and has serial 0") {
  EnvelopePtr message = number(1);
  CHECK(ActorRef().post(message) == Posted::closed);
  CHECK(message != nullptr);
  CHECK(ActorRef().serial() == 0);
  CHECK_FALSE(ActorRef().alive());
  ActorRef().stop({});
}

TEST_CASE("engine: a bounded mailbox takes exactly mailbox_max user messages; system messages pass") {
  const auto host = engine({.workers = 1});
  BlockedWorker worker(*host);
  std::atomic<int> handled{0};
  const ActorRef actor =
      spawn(*host, {.message = [&](const ActorRef&, const Number&) { ++handled; }}, {.mailbox_max = 3});
  for (std::int64_t n = 1; n <= 3; ++n) CHECK(post(actor, n) == Posted::ok);
  EnvelopePtr fourth = number(4);
  CHECK(actor.post(fourth) == Posted::full);
  CHECK(fourth != nullptr);
  CHECK(post_system(actor, -1) == Posted::ok);
  worker.release();
  CHECK(eventually([&] { return handled == 4; }));
  CHECK(actor.post(fourth) == Posted::ok);
  CHECK(eventually([&] { return handled == 5; }));
}

TEST_CASE("engine: a callback that throws ends the actor as failed, with the text, and nothing else") {
  const auto host = engine();
  std::mutex mutex;
  std::vector<ExitReason> reasons;
  const auto stopped = [&](const ExitReason& reason) {
    const std::lock_guard lock(mutex);
    reasons.push_back(reason);
  };
  const auto broken = [](const ActorRef&, const Number&) { throw std::runtime_error("broken"); };
  const ActorRef a = spawn(*host, {.message = broken, .stop = stopped});
  spawn(*host, {.start = [](const ActorRef&) { throw 7; }, .stop = stopped});
  CHECK(post(a, 1) == Posted::ok);
  REQUIRE(eventually([&] { return host->actors() == 0; }));
  std::sort(reasons.begin(), reasons.end(), [](const auto& x, const auto& y) { return x.text < y.text; });
  REQUIRE(reasons.size() == 2);
  CHECK(reasons[0] == ExitReason{ExitReason::Kind::failed, "broken"});
  CHECK(reasons[1].kind == ExitReason::Kind::failed);
}

TEST_CASE("engine: serials differ, current() is the running actor, on_worker() only there") {
  const auto host = engine();
  std::atomic<int> right{0};
  const auto check = [&](const ActorRef& self) {
    const ActorRef* current = Engine::current();
    if (current != nullptr && *current == self && Engine::on_worker()) ++right;
  };
  ActorRef a;
  a = spawn(*host, {.start = check, .stop = [&](const ExitReason&) { check(a); }});
  const ActorRef b = spawn(*host, {.start = check});
  CHECK(a.serial() != b.serial());
  CHECK(a != b);
  CHECK(eventually([&] { return right == 2; }));
  a.stop({});
  CHECK(eventually([&] { return right == 3; }));
  CHECK(Engine::current() == nullptr);
  CHECK_FALSE(Engine::on_worker());
}

TEST_CASE("engine: a busy actor gives others their turn after a slice") {
  const auto host = engine({.workers = 1, .slice_messages_max = 10});
  std::atomic<bool> stop{false};
  const ActorRef busy = spawn(*host, {.start = [](const ActorRef& self) { static_cast<void>(post(self, 0)); },
                                      .message =
                                          [&](const ActorRef& self, const Number&) {
                                            if (!stop) static_cast<void>(post(self, 0));
                                          }});
  std::atomic<int> handled{0};
  const ActorRef other = spawn(*host, {.message = [&](const ActorRef&, const Number&) { ++handled; }});
  for (int i = 1; i <= 100; ++i) {
    CHECK(post(other, i) == Posted::ok);
    CHECK(eventually([&] { return handled == i; }));
  }
  stop = true;
}

TEST_CASE("engine: two actors that hand work to each other for ever do not starve a third") {
  const auto host = engine({.workers = 1});
  ActorRef ping;
  ActorRef pong;
  const auto bounce = [&](const ActorRef& to) {
    return Functions{
        .message = [&](const ActorRef&, const Number& n) { static_cast<void>(post(to, n.value)); }};
  };
  ping = spawn(*host, bounce(pong));
  pong = spawn(*host, bounce(ping));
  CHECK(post(ping, 1) == Posted::ok);
  std::atomic<int> handled{0};
  const ActorRef third = spawn(*host, {.message = [&](const ActorRef&, const Number&) { ++handled; }});
  for (int i = 1; i <= 100; ++i) {
    CHECK(post(third, i) == Posted::ok);
    CHECK(eventually([&] { return handled == i; }));
  }
}

TEST_CASE("engine: 10,000 actors start, answer and stop; spawning from actors works too") {
  constexpr std::int64_t kActors = 10'000;
  const auto host = engine();
  std::atomic<std::int64_t> sum{0};
  std::atomic<std::int64_t> stopped{0};
  const Functions functions{
      .message = [&](const ActorRef& self, const Number& n) { sum += n.value, self.stop({}); },
      .stop = [&](const ExitReason&) { ++stopped; }};
  spawn(*host, {.start = [&](const ActorRef& self) {
    for (std::int64_t n = 0; n < kActors / 2; ++n) CHECK(post(spawn(*host, functions), n) == Posted::ok);
    self.stop({});
  }});
  for (std::int64_t n = kActors / 2; n < kActors; ++n) CHECK(post(spawn(*host, functions), n) == Posted::ok);
  CHECK(eventually([&] { return host->actors() == 0; }));
  CHECK(stopped == kActors);
  CHECK(sum == kActors * (kActors - 1) / 2);
}

TEST_CASE("engine: stop() during traffic ends every actor with shutdown, and spawn is refused afterwards") {
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    const auto host = engine();
    std::atomic<int> started{0};
    std::atomic<int> stopped{0};
    std::atomic<int> refused{0};
    std::vector<ActorRef> actors;
    for (int i = 0; i < 50; ++i)
      actors.push_back(spawn(
          *host, {.start =
                      [&](const ActorRef& self) {
                        ++started;
                        static_cast<void>(post(self, 0));
                      },
                  .message = [](const ActorRef& self, const Number&) { static_cast<void>(post(self, 0)); },
                  .stop =
                      [&](const ExitReason& reason) {
                        if (reason.kind == ExitReason::Kind::shutdown) ++stopped;
                        if (!spawn(*host, {})) ++refused;
                      }}));
    std::thread sender([&] {
      bool open = true;
      while (open) {
        open = false;
        for (const ActorRef& actor : actors) open = post(actor, 1) == Posted::ok || open;
      }
    });
    host->stop();
    CHECK(host->actors() == 0);
    CHECK(stopped == 50);
    CHECK(refused == 50);
    CHECK_FALSE(spawn(*host, {}));
    sender.join();
    host->stop();
  }
}

TEST_CASE("engine: it may be stopped and destroyed by another thread than the one that started it") {
  auto host = engine();
  const ActorRef actor = spawn(*host, {});
  std::thread([host = std::move(host)]() mutable { host.reset(); }).join();
  CHECK_FALSE(actor.alive());
  CHECK(post(actor, 1) == Posted::closed);
}

TEST_CASE("engine: a configuration that cannot work is refused") {
  CHECK_FALSE(Engine::start({.workers = 257}, nullptr).has_value());
  CHECK_FALSE(Engine::start({.slice_messages_max = 0}, nullptr).has_value());
  CHECK_FALSE(Engine::start({.spin = -1ns}, nullptr).has_value());
  CHECK_FALSE(Engine::start({.spare_period = 0ns}, nullptr).has_value());
}
