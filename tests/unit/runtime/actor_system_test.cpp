#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cluster/runtime/actor_system.hpp"
#include "system_pair.hpp"
#include "test_servers.hpp"

using namespace cluster;
using namespace cluster::testing;

TEST_CASE("actor system: call, cast and refusal between a thread and a server of the same node") {
  auto system = start_system("a");
  auto counter = system->spawn<Counter>({.name = "counter"}, 5).value();
  CHECK(system->call(counter, Add{2}).value() == 7);
  REQUIRE(system->cast(counter, Add{3}));
  CHECK(system->call(counter, Get{}).value() == 10);
  CHECK(system->call(counter, Add{-1}).error().code() == Errc::refused);
}

TEST_CASE("actor system: names are unique on a node, and free again when the server has ended") {
  auto system = start_system("a");
  auto first = system->spawn<Counter>({.name = "counter"}).value();
  CHECK(system->spawn<Counter>({.name = "counter"}).error().code() == Errc::already_exists);
  CHECK(system->spawn<Counter>({.name = "a@b"}).error().code() == Errc::invalid_argument);
  REQUIRE(system->stop(first));
  REQUIRE(eventually([&] { return system->spawn<Counter>({.name = "counter"}, 7).has_value(); }));
  // A reference by name leads to whoever has the name now.
  CHECK(system->call(first, Get{}).value() == 7);
}

TEST_CASE("actor system: a call to an absent name fails at once, and a wrong class is refused") {
  auto system = start_system("a");
  auto absent = system->ref<Counter>("nobody").value();
  const auto answer = system->call(absent, Get{});
  CHECK(answer.error().code() == Errc::no_server);
  CHECK(answer.error().executed() == Executed::no);
  auto deferrer = system->spawn<Deferrer>({.name = "deferrer"}).value();
  CHECK(system->call(system->ref<Counter>("deferrer").value(), Get{}).error().code() == Errc::bad_message);
}

TEST_CASE("actor system: the dynamic form calls and casts by event name") {
  auto system = start_system("a");
  auto counter = system->spawn<Counter>({.name = "counter"}).value();
  CHECK(*system->call("counter", "add", wire::Value::map({{"n", 4}})).value().integer() == 4);
  REQUIRE(system->cast("counter@a", "add", wire::Value::map({{"n", 5}})));
  CHECK(*system->call("counter", "get", {}).value().integer() == 9);
  CHECK(system->call("counter", "subtract", {}).error().code() == Errc::bad_message);
  CHECK(system->call("counter", "add", wire::Value::map({{"n", "x"}})).error().code() == Errc::bad_message);
  CHECK(system->call("nobody", "get", {}).error().code() == Errc::no_server);
}

TEST_CASE("actor system: a constructor that throws is an error of spawn, and leaves the name free") {
  struct Nothing {};
  class Throwing : public GenServer<Throwing, Release> {
   public:
    Throwing() { throw std::runtime_error("no disk"); }
    void handle_cast(const Release&) {}
  };
  auto system = start_system("a");
  const auto failed = system->spawn<Throwing>({.name = "x"});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message().find("no disk") != std::string::npos);
  CHECK(system->spawn<Counter>({.name = "x"}).has_value());
}

TEST_CASE("actor system: a handler that throws never ends the node; the server restarts fresh if it is to") {
  auto system = start_system("a");
  auto fragile = system->spawn<Counter>({.name = "fragile"}, 1).value();
  auto sturdy = system->spawn<Counter>({.name = "sturdy", .restart = Restart::on_failure}, 1).value();
  REQUIRE(system->cast(sturdy, Add{5}));
  CHECK(system->call(sturdy, Fail{"on purpose"}).error().code() == Errc::handler_failed);
  CHECK(system->call(sturdy, Get{}).value() == 1);
  CHECK(system->call(fragile, Fail{"on purpose"}).error().code() == Errc::handler_failed);
  REQUIRE(eventually([&] {
    const auto answer = system->call(fragile, Get{});
    return !answer && answer.error().code() == Errc::no_server;
  }));
}

TEST_CASE("actor system: coroutine handlers call other servers, on the same node") {
  auto system = start_system("a");
  auto counter = system->spawn<Counter>({.name = "counter"}).value();
  auto proxy = system->spawn<Proxy>({.name = "proxy"}, counter).value();
  CHECK(system->call(proxy, Forward{3}).value() == 3);
  CHECK(system->call(proxy, ForwardTwice{1}).value() == "4,5");
  CHECK(system->call(proxy, AskMyself{}).error().code() == Errc::would_deadlock);
}

TEST_CASE("actor system: a server stopped while suspended tells its caller, and leaks nothing") {
  auto system = start_system("a");
  auto deferrer =
      system->spawn<Deferrer>({.name = "counter"}).value();  // never answers add: it has no such event
  auto target = system->spawn<Counter>({.name = "real"}).value();
  REQUIRE(system->pause(target));
  auto proxy = system->spawn<Proxy>({.name = "proxy"}, target).value();
  auto waiting = std::async(std::launch::async, [&] { return system->call(proxy, Forward{1}); });
  REQUIRE(system->cast(proxy, Note{"stashed"}));
  REQUIRE(system->stop(proxy));
  const auto answer = waiting.get();
  REQUIRE_FALSE(answer);
  CHECK((answer.error().code() == Errc::stopped || answer.error().code() == Errc::no_server));
}

TEST_CASE("actor system: pause keeps messages, resume handles them; a blocked caller times out as unknown") {
  auto system = start_system("a");
  auto counter = system->spawn<Counter>({.name = "counter"}).value();
  REQUIRE(system->pause(counter));
  REQUIRE(system->cast(counter, Add{4}));
  const auto answer = system->call(counter, Get{}, 50ms);
  CHECK(answer.error().code() == Errc::timeout);
  CHECK(answer.error().executed() == Executed::unknown);
  REQUIRE(system->resume(counter));
  CHECK(system->call(counter, Get{}).value() == 4);
}

TEST_CASE("actor system: a full mailbox refuses with overloaded, and loses nothing that it took") {
  auto system = start_system("a");
  auto gate = std::make_shared<std::promise<void>>();
  struct Block {};
  struct Count {
    using reply = std::int64_t;
  };
  class Blocker : public GenServer<Blocker, Block, Count> {
   public:
    explicit Blocker(std::shared_future<void> open) : open_(std::move(open)) {}
    void handle_cast(const Block&) {
      open_.wait();
      ++seen_;
    }
    std::int64_t handle_call(const Count&) { return seen_; }

   private:
    std::shared_future<void> open_;
    std::int64_t seen_ = 0;
  };
  auto blocker =
      system->spawn<Blocker>({.name = "b", .detached = true, .mailbox_max = 10}, gate->get_future().share())
          .value();
  std::int64_t taken = 0;
  Errc refusal{};
  for (int i = 0; i < 100; ++i) {
    const auto posted = system->cast(blocker, Block{});
    if (posted)
      ++taken;
    else
      refusal = posted.error().code();
  }
  CHECK(refusal == Errc::overloaded);
  CHECK((taken >= 10 && taken <= 12));
  gate->set_value();
  REQUIRE(eventually([&] {
    const auto seen = system->call(blocker, Count{});
    return seen && seen.value() == taken;
  }));
}

TEST_CASE("actor system: what a paused server has put aside counts against its mailbox's bound") {
  auto system = start_system("a");
  auto counter = system->spawn<Counter>({.name = "counter", .mailbox_max = 10}).value();
  REQUIRE(system->pause(counter));
  std::int64_t taken = 0;
  REQUIRE(eventually([&] {  // the bound holds however fast the messages are put aside
    const auto sent = system->cast(counter, Add{1});
    if (sent) ++taken;
    return !sent && sent.error().code() == Errc::overloaded;
  }));
  CHECK(taken < 100);
  REQUIRE(system->resume(counter));
  REQUIRE(eventually([&] {
    const auto total = system->call(counter, Get{});
    return total && total.value() == taken;
  }));
}

TEST_CASE("actor system: blocking calls inside a handler are refused, not waited for") {
  struct Try {
    using reply = std::string;
  };
  class Blocking : public GenServer<Blocking, Try> {
   public:
    explicit Blocking(ActorSystem* system) : system_(system) {}
    std::string handle_call(const Try&) {
      auto other = system_->ref<Counter>("counter").value();
      auto me = system_->ref<Blocking>("blocking").value();
      return std::string(name(system_->call(other, Get{}).error().code())) + "," +
             std::string(name(system_->call(me, Try{}).error().code()));
    }

   private:
    using GenServer<Blocking, Try>::name;
    static std::string_view name(Errc code) { return cluster::name(code); }
    ActorSystem* system_;
  };
  auto system = start_system("a");
  auto counter = system->spawn<Counter>({.name = "counter"}).value();
  auto blocking = system->spawn<Blocking>({.name = "blocking"}, system.get()).value();
  CHECK(system->call(blocking, Try{}).value() == "would_block,would_deadlock");
}

TEST_CASE("actor system: many threads call one server, and each gets its own answers") {
  auto system = start_system("a");
  auto counter = system->spawn<Counter>({.name = "counter"}).value();
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      std::int64_t last = 0;
      for (int i = 0; i < 2000; ++i) {
        const auto sum = system->call(counter, Add{1});
        if (!sum || sum.value() <= last) ++failures;
        if (sum) last = sum.value();
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(system->call(counter, Get{}).value() == 8000);
}

TEST_CASE("two systems: calls, casts, refusals and errors across the network") {
  SystemPair pair;
  auto counter = pair.b->spawn<Counter>({.name = "counter"}).value();
  auto far = pair.a->ref<Counter>("counter@b").value();
  CHECK(pair.a->call(far, Add{2}).value() == 2);
  REQUIRE(pair.a->cast(far, Add{3}));
  CHECK(pair.a->call(far, Get{}).value() == 5);
  const auto refused = pair.a->call(far, Add{-1});
  CHECK(refused.error().code() == Errc::refused);
  CHECK(refused.error().executed() == Executed::yes);
  CHECK(pair.a->call(pair.a->ref<Counter>("nobody@b").value(), Get{}).error().code() == Errc::no_server);
  const auto unknown = pair.a->call(pair.a->ref<Counter>("counter@nowhere").value(), Get{});
  CHECK(unknown.error().code() == Errc::unreachable);
  CHECK(unknown.error().executed() == Executed::no);
  CHECK(*pair.a->call("counter@b", "get", {}).value().integer() == 5);
  CHECK(pair.a->call("counter@b", "add", wire::Value::map({{"n", "x"}})).error().code() == Errc::bad_message);
  CHECK(pair.a->ping(NodeId("b")).value() > 0ns);
}

TEST_CASE("two systems: a From that outlives its node answers nobody, and harms nothing") {
  struct Ask {
    using reply = std::int64_t;
  };
  class Giver : public GenServer<Giver, Ask> {
   public:
    explicit Giver(std::promise<From<std::int64_t>>* out) : out_(out) {}
    void handle_call(const Ask&, From<std::int64_t> from) { out_->set_value(std::move(from)); }

   private:
    std::promise<From<std::int64_t>>* out_;
  };
  std::promise<From<std::int64_t>> given;
  auto kept = given.get_future();
  auto pair = std::make_unique<SystemPair>();
  auto giver = pair->b->spawn<Giver>({.name = "giver"}, &given).value();
  auto far = pair->a->ref<Giver>("giver@b").value();
  auto waiting = std::async(std::launch::async, [&] { return pair->a->call(far, Ask{}, 20s); });
  auto from = kept.get();
  pair->b.reset();
  const auto answer = waiting.get();
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code() == Errc::peer_lost);
  CHECK(answer.error().executed() == Executed::unknown);
  CHECK(from.waiting());
  from.reply(1);
  pair.reset();
}

TEST_CASE("two systems: a coroutine handler awaits a server of the other node; multicall spans both") {
  SystemPair pair;
  auto here = pair.a->spawn<Counter>({.name = "counter"}, 100).value();
  auto there = pair.b->spawn<Counter>({.name = "counter"}, 200).value();
  auto proxy = pair.a->spawn<Proxy>({.name = "proxy"}, pair.a->ref<Counter>("counter@b").value()).value();
  CHECK(pair.a->call(proxy, Forward{1}).value() == 201);
  CHECK(pair.b->call(pair.b->ref<Proxy>("proxy@a").value(), Forward{1}).value() == 202);
  const auto all = pair.a->call(proxy, AskAll{{"a", "b", "nowhere"}, 1}).value();
  CHECK(all == std::vector<std::string>{"a=101", "b=203", "nowhere=unreachable"});
  const std::vector<NodeId> nodes{"a", "nowhere", "b"};
  const auto answers = pair.a->multicall<Counter>(nodes, "counter", Get{});
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].result.value() == 101);
  CHECK(answers[1].result.error().code() == Errc::unreachable);
  CHECK(answers[2].result.value() == 203);
}

TEST_CASE("two systems: a call queued to a down node times out as not executed and never runs late") {
  SystemPair pair;
  auto counter = pair.b->spawn<Counter>({.name = "counter"}).value();
  auto far = pair.a->ref<Counter>("counter@b").value();
  CHECK(pair.a->call(far, Get{}).value() == 0);
  const Endpoint home = pair.b->kernel().listening();
  REQUIRE(pair.b->stop());
  REQUIRE(eventually([&] { return !pair.connected(); }));
  const auto late = pair.a->call(far, Add{1}, 100ms);
  CHECK(late.error().code() == Errc::timeout);
  CHECK(late.error().executed() == Executed::no);
  pair.b = start_system("b", home.port, 2);
  auto again = pair.b->spawn<Counter>({.name = "counter"}).value();
  REQUIRE(eventually([&] { return pair.connected(); }));
  REQUIRE(pair.a->cast(far, Add{10}));  // behind the call, had that stayed in the queue
  REQUIRE(eventually([&] { return pair.b->call(again, Get{}).value() != 0; }));
  CHECK(pair.b->call(again, Get{}).value() == 10);
}

namespace {

/// Runs even while user code blocks all workers.
class Vital : public GenServer<Vital, Get> {
 public:
  static constexpr bool system = true;
  std::int64_t handle_call(const Get&) { return ++answers_; }

 private:
  std::int64_t answers_ = 0;
};

}  // namespace

TEST_CASE(
    "two systems: while user code blocks all workers, a node answers pings and calls of its system servers") {
  class Blocker : public GenServer<Blocker, Release> {
   public:
    Blocker(std::shared_future<void> open, std::shared_ptr<std::atomic<int>> inside)
        : open_(std::move(open)), inside_(std::move(inside)) {}
    void handle_cast(const Release&) {
      ++*inside_;
      open_.wait();
    }

   private:
    std::shared_future<void> open_;
    std::shared_ptr<std::atomic<int>> inside_;
  };
  SystemPair pair;
  auto vital = pair.a->spawn<Vital>({.name = "vital"}).value();
  auto counter = pair.a->spawn<Counter>({.name = "counter"}).value();
  std::promise<void> gate;
  const auto open = gate.get_future().share();
  const auto inside = std::make_shared<std::atomic<int>>(0);
  for (int i = 0; i < 2; ++i)
    REQUIRE(pair.a->cast(pair.a->spawn<Blocker>({}, open, inside).value(), Release{}));
  REQUIRE(eventually([&] { return *inside == 2; }));
  REQUIRE(pair.a->cast(counter, Add{1}));
  const auto far = pair.b->ref<Vital>("vital@a").value();
  for (int round = 1; round <= 20; ++round) {
    CAPTURE(round);
    CHECK(pair.b->ping(NodeId("a")).has_value());
    CHECK(pair.b->call(far, Get{}).value() == 2 * round - 1);
    CHECK(pair.a->call(vital, Get{}).value() == 2 * round);
  }
  CHECK(*inside == 2);
  gate.set_value();
  CHECK(eventually([&] { return pair.a->call(counter, Get{}).value() == 1; }));
}

TEST_CASE("actor system: a server without an init starts with its first message, and may end before it") {
  auto system = start_system("a");
  auto counter = system->spawn<Counter>({.name = "counter"}, 3).value();
  CHECK(system->engine().actors() == 1);
  REQUIRE(system->stop(counter));
  REQUIRE(eventually([&] { return system->engine().actors() == 0; }));
  CHECK(system->call(counter, Get{}).error().code() == Errc::no_server);
  std::vector<Ref<Counter>> many;
  for (int i = 0; i < 100; ++i) many.push_back(system->spawn<Counter>({}, i).value());
  for (int i = 0; i < 100; i += 2) CHECK(system->call(many[static_cast<std::size_t>(i)], Get{}).value() == i);
  CHECK(system->stop());
  CHECK(system->engine().actors() == 0);
}
