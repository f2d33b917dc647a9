#include <doctest/doctest.h>

#include "cluster/runtime/server_harness.hpp"
#include "cluster/wire/value.hpp"
#include "test_servers.hpp"

using namespace cluster;
using namespace cluster::testing;

namespace {

Ref<Counter> counter_ref() {
  return Ref<Counter>({.name = "counter", .node = {}, .actor = {}, .type = nullptr});
}

}  // namespace

TEST_CASE("gen server: casts add up, a call reads the total, a refusal is a value") {
  ServerHarness<Counter> counter(5);
  counter.cast(Add{2});
  CHECK(counter.call(Get{}).value() == 7);
  CHECK(counter.call(Add{1}).value() == 8);
  const auto refused = counter.call(Add{-1});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::refused);
  CHECK(refused.error().executed() == Executed::yes);
}

TEST_CASE("gen server: a message without a reply may be called, and answers when it was handled") {
  ServerHarness<Deferrer> server;
  CHECK(server.call(Release{}).has_value());
}

TEST_CASE("gen server: events have the names of their types, and no two the same") {
  const auto& type = Counter::type();
  CHECK(type.name == "Counter");
  REQUIRE(type.events.size() == 3);
  CHECK(type.events[0].name == "add");
  CHECK(type.find("get")->replies);
  CHECK_FALSE(type.find("fail")->replies);
  CHECK(type.find("none") == nullptr);
}

TEST_CASE("gen server: a reply may come later, and a caller that is never answered is told so") {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  ServerHarness<Deferrer> server;
  first = server.start_call(Later{4});
  CHECK_FALSE(server.take_answer<Later>(first).has_value());
  server.cast(Release{});
  CHECK(server.take_answer<Later>(first)->value() == 40);
  second = server.start_call(Later{5});
  CHECK_FALSE(server.take_answer<Later>(second).has_value());
}

TEST_CASE("gen server: a From that dies unanswered answers with an error") {
  struct Callers : runtime::ReplySink {
    std::optional<Error> seen;
    void deliver(std::uint64_t, runtime::ReplyPtr reply) noexcept override { seen = *reply->error(); }
  };
  auto callers = runtime::make_sink<Callers>();
  { From<std::int64_t> from(runtime::ReplyTo(callers, 1)); }
  REQUIRE(callers->seen.has_value());
  CHECK(callers->seen->code() == Errc::stopped);
  CHECK(callers->seen->executed() == Executed::unknown);
}

TEST_CASE("gen server: a coroutine handler answers when the call it awaits does") {
  ServerHarness<Proxy> proxy(counter_ref());
  const auto id = proxy.start_call(Forward{3});
  CHECK(proxy.suspended());
  auto sent = proxy.take_sent();
  REQUIRE(sent.size() == 1);
  REQUIRE(sent[0].as<Add>() != nullptr);
  CHECK(sent[0].as<Add>()->n == 3);
  CHECK_FALSE(proxy.take_answer<Forward>(id).has_value());
  proxy.answer<std::int64_t>(sent[0], 33);
  CHECK_FALSE(proxy.suspended());
  CHECK(proxy.take_answer<Forward>(id)->value() == 33);
}

TEST_CASE("gen server: two calls run side by side, and answers may come in any order") {
  ServerHarness<Proxy> proxy(counter_ref());
  const auto id = proxy.start_call(ForwardTwice{1});
  auto sent = proxy.take_sent();
  REQUIRE(sent.size() == 2);
  proxy.answer<std::int64_t>(sent[0], 10);
  CHECK_FALSE(proxy.take_answer<ForwardTwice>(id).has_value());
  proxy.answer<std::int64_t>(sent[1], 20);
  CHECK(proxy.take_answer<ForwardTwice>(id)->value() == "10,20");
}

TEST_CASE("gen server: a handler suspended across 1,000 other messages; they wait, in order") {
  ServerHarness<Proxy> proxy(counter_ref());
  const auto id = proxy.start_call(Forward{1});
  for (int i = 0; i < 1000; ++i) proxy.cast(Note{std::to_string(i)});
  CHECK(proxy.stashed() == 1000);
  const auto notes = proxy.start_call(Notes{});
  auto sent = proxy.take_sent();
  REQUIRE(sent.size() == 1);
  proxy.answer<std::int64_t>(sent[0], 1);
  CHECK(proxy.take_answer<Forward>(id)->value() == 1);
  const auto seen = proxy.take_answer<Notes>(notes);
  REQUIRE(seen.has_value());
  REQUIRE(seen->value().size() == 1000);
  for (int i = 0; i < 1000; ++i) CHECK(seen->value()[static_cast<std::size_t>(i)] == std::to_string(i));
}

TEST_CASE("gen server: an awaited call that gets no answer ends at its timeout") {
  ServerHarness<Proxy> proxy(counter_ref());
  const auto id = proxy.start_call(Forward{1});
  proxy.advance(kCallTimeout - 1ms);
  CHECK_FALSE(proxy.take_answer<Forward>(id).has_value());
  proxy.advance(1ms);
  const auto answer = proxy.take_answer<Forward>(id);
  REQUIRE(answer.has_value());
  CHECK(answer->error().code() == Errc::timeout);
  CHECK(answer->error().executed() == Executed::yes);  // the proxy ran; what it asked is another matter
  auto sent = proxy.take_sent();                       // the late answer finds nobody
  proxy.answer<std::int64_t>(sent[0], 5);
}

TEST_CASE("gen server: awaiting an answer of oneself is refused, not waited for") {
  ServerHarness<Proxy> proxy(runtime::HostConfig{.name = "proxy"}, counter_ref());
  const auto id = proxy.start_call(AskMyself{});
  const auto answer = proxy.take_answer<AskMyself>(id);
  REQUIRE(answer.has_value());
  CHECK(answer->error().code() == Errc::would_deadlock);
}

TEST_CASE("gen server: a multicall gives one result a node, in order, failures included") {
  ServerHarness<Proxy> proxy(counter_ref());
  const auto id = proxy.start_call(AskAll{{"a", "b", "c"}, 5});
  auto sent = proxy.take_sent();
  REQUIRE(sent.size() == 3);
  CHECK(sent[1].to.name == "counter@b");
  proxy.answer<std::int64_t>(sent[2], 3);
  proxy.answer<std::int64_t>(sent[1], Error(Errc::unreachable, "gone"));
  proxy.answer<std::int64_t>(sent[0], 1);
  const auto answers = proxy.take_answer<AskAll>(id);
  REQUIRE(answers.has_value());
  CHECK(answers->value() == std::vector<std::string>{"a=1", "b=unreachable", "c=3"});
}

TEST_CASE("gen server: a reentrant server takes messages while 1,000 handlers are suspended") {
  ServerHarness<Reentrant> server(counter_ref());
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 1000; ++i) ids.push_back(server.start_call(Slow{i}));
  CHECK(server.call(Quick{}).value() == 1000);
  auto sent = server.take_sent();
  REQUIRE(sent.size() == 1000);
  for (std::size_t i = 1000; i > 0; --i)
    server.answer<std::int64_t>(sent[i - 1], sent[i - 1].as<Add>()->n * 2);
  for (std::size_t i = 0; i < 1000; ++i)
    CHECK(server.take_answer<Slow>(ids[i])->value() == static_cast<std::int64_t>(i) * 2);
  CHECK(server.call(Quick{}).value() == 0);
}

TEST_CASE("gen server: stopped while suspended, the frame's locals are destroyed and the caller is told") {
  ServerHarness<Proxy> proxy(counter_ref());
  const auto id = proxy.start_call(Forward{1});
  proxy.stop();
  const auto told = proxy.take_answer<Forward>(id);
  REQUIRE(told.has_value());
  CHECK(told->error().code() == Errc::stopped);
  CHECK(told->error().executed() == Executed::unknown);
}

TEST_CASE("gen server: a handler that throws fails its call and ends the server, with the text") {
  ServerHarness<Counter> counter;
  const auto id = counter.start_call(Fail{"no more"});
  const auto answer = counter.take_answer<Fail>(id);
  REQUIRE(answer.has_value());
  CHECK(answer->error().code() == Errc::handler_failed);
  CHECK(answer->error().message() == "no more");
  REQUIRE(counter.exited().has_value());
  CHECK(counter.exited()->kind == runtime::ExitReason::Kind::failed);
}

TEST_CASE("gen server: a restart gives fresh state from the constructor's arguments, within its limit") {
  ServerHarness<Counter> counter(
      runtime::HostConfig{.name = "c", .restart = Restart::on_failure, .restart_limit = {2, 10s}}, 100);
  counter.cast(Add{1});
  counter.cast(Fail{"first"});
  CHECK(counter.call(Get{}).value() == 100);
  counter.cast(Fail{"second"});
  CHECK_FALSE(counter.exited().has_value());
  counter.advance(11s);
  counter.cast(Fail{"third, but long after"});
  counter.cast(Fail{"fourth"});
  CHECK_FALSE(counter.exited().has_value());
  counter.cast(Fail{"one too many"});
  CHECK(counter.exited().has_value());
}

namespace {

struct Start {};
struct Stop {};
struct Ticks {
  using reply = std::int64_t;
};
struct Tick {};  // only to itself: not in the list

class Ticker : public GenServer<Ticker, Start, Stop, Ticks> {
 public:
  Result<void> init() override {
    continue_with(Tick{});
    return {};
  }
  void handle_cast(const Start&) { timer_ = send_every(100ms, Tick{}); }
  void handle_cast(const Stop&) { cancel(timer_); }
  std::int64_t handle_call(const Ticks&) { return ticks_; }
  void handle_info(const Tick&) { ++ticks_; }

 private:
  TimerId timer_ = 0;
  std::int64_t ticks_ = 0;
};

}  // namespace

TEST_CASE(
    "gen server: timers fire at their time, stop when cancelled, and init may continue with a message") {
  ServerHarness<Ticker> ticker;
  CHECK(ticker.call(Ticks{}).value() == 1);
  ticker.cast(Start{});
  ticker.advance(99ms);
  CHECK(ticker.call(Ticks{}).value() == 1);
  ticker.advance(1ms);
  CHECK(ticker.call(Ticks{}).value() == 2);
  ticker.advance(1s);
  CHECK(ticker.call(Ticks{}).value() == 12);
  ticker.cast(Stop{});
  ticker.advance(1s);
  CHECK(ticker.call(Ticks{}).value() == 12);
}

namespace {

struct SetFor {
  Duration wait{};  // the maximum: never
};
struct Rung {
  using reply = std::vector<Duration>;  // of the server's life
};

class Sleeper : public GenServer<Sleeper, SetFor, Rung> {
 public:
  void handle_cast(const SetFor& set) {
    set_alarm(alarm_, set.wait == Duration::max() ? kNever : now() + set.wait, Tick{});
  }
  Result<void> init() override {
    begun_ = now();
    return {};
  }
  std::vector<Duration> handle_call(const Rung&) { return std::exchange(rung_, {}); }
  void handle_info(const Tick&) {
    CHECK(alarm_.at() <= now());
    alarm_.fired();
    rung_.push_back(now() - begun_);
  }

 private:
  Alarm alarm_{};
  Instant begun_{};
  std::vector<Duration> rung_{};
};

}  // namespace

TEST_CASE("gen server: an alarm rings once, when it was set for last, however often it was set anew") {
  ServerHarness<Sleeper> server;
  const Instant start = server.now();
  const auto rung = [&](Duration wait) {
    server.advance(wait);
    return server.call(Rung{}).value();
  };
  using Times = std::vector<Duration>;
  server.cast(SetFor{100ms});
  server.cast(SetFor{100ms});
  server.cast(SetFor{300ms});  // later
  CHECK(rung(200ms) == Times{});
  server.cast(SetFor{50ms});  // sooner
  CHECK(rung(1s) == Times{250ms});
  server.cast(SetFor{-1s});  // past
  CHECK(rung(0ms) == Times{server.now() - start});
  server.cast(SetFor{10ms});
  server.cast(SetFor{Duration::max()});
  CHECK(rung(1s) == Times{});
  server.cast(SetFor{10ms});
  server.set_paused(true);
  server.advance(20ms);  // its message waits
  server.set_paused(false);
  CHECK(rung(1s).size() == 1);
}

TEST_CASE("gen server: a cancelled beat that waits does not come, and of one timer at most one waits") {
  ServerHarness<Ticker> ticker;
  ticker.cast(Start{});
  ticker.set_paused(true);
  ticker.advance(1s);
  CHECK(ticker.stashed() == 1);
  ticker.set_paused(false);
  CHECK(ticker.call(Ticks{}).value() == 2);
  ticker.set_paused(true);
  ticker.cast(Stop{});
  ticker.advance(150ms);  // the beat waits behind the Stop
  ticker.set_paused(false);
  CHECK(ticker.call(Ticks{}).value() == 2);
}

namespace {

struct Crash {};

/// Starts a chain of its own messages at each start.
class Chain : public GenServer<Chain, Crash, Ticks> {
 public:
  Result<void> init() override {
    send_after(100ms, Tick{});
    return {};
  }
  void handle_info(const Tick&) {
    ++ticks_;
    send_after(100ms, Tick{});
  }
  void handle_cast(const Crash&) { throw std::runtime_error("on purpose"); }
  std::int64_t handle_call(const Ticks&) { return ticks_; }

 private:
  std::int64_t ticks_ = 0;
};

}  // namespace

TEST_CASE(
    "gen server: a restart forgets what the server before had sent itself, and keeps its callers' messages") {
  ServerHarness<Chain> chain(runtime::HostConfig{.name = "chain", .restart = Restart::on_failure});
  chain.set_paused(true);
  chain.cast(Crash{});
  const auto asked = chain.start_call(Ticks{});
  chain.advance(150ms);
  chain.set_paused(false);
  CHECK(chain.take_answer<Ticks>(asked)->value() == 0);
  chain.advance(1s);
  CHECK(chain.call(Ticks{}).value() == 10);
}

namespace {

struct Keep {
  std::string text;
  using reply = std::int64_t;
};
/// A handler whose locals look at its message when they are destroyed.
class Keeper : public GenServer<Keeper, Keep> {
 public:
  Keeper(Ref<Counter> to, std::size_t* seen) : to_(std::move(to)), seen_(seen) {}
  Task<Result<std::int64_t>> handle_call(const Keep& m) {
    struct Guard {
      const std::string& text;
      std::size_t* seen;
      Guard(const std::string& t, std::size_t* s) : text(t), seen(s) {}
      ~Guard() { *seen = text.size(); }
    } guard(m.text, seen_);
    co_return co_await call<Add>(to_, 1);
  }

 private:
  Ref<Counter> to_;
  std::size_t* seen_;
};

struct Throw {
  using reply = std::int64_t;
};
class Thrower : public GenServer<Thrower, Throw> {
 public:
  void handle_call(const Throw&, From<std::int64_t> from) {
    if (from.waiting()) throw std::runtime_error("before it answered");
  }
};

}  // namespace

TEST_CASE("gen server: the message outlives the frame of a handler that is stopped while suspended") {
  std::size_t seen = 0;
  {
    ServerHarness<Keeper> keeper(counter_ref(), &seen);
    keeper.start_call(Keep{"a text that is longer than any small buffer, to be seen by the sanitizer"});
    CHECK(keeper.suspended());
    keeper.stop();
  }
  CHECK(seen == 72);
}

TEST_CASE("gen server: a handler that throws while it holds the From has failed, and ran") {
  ServerHarness<Thrower> thrower;
  const auto id = thrower.start_call(Throw{});
  const auto answer = thrower.take_answer<Throw>(id);
  REQUIRE(answer.has_value());
  CHECK(answer->error().code() == Errc::handler_failed);
  CHECK(answer->error().executed() == Executed::yes);
}

TEST_CASE("gen server: an error that a handler passes on ran, whatever it says of where it came from") {
  ServerHarness<Proxy> proxy(counter_ref());
  const auto id = proxy.start_call(Forward{1});
  auto sent = proxy.take_sent();
  sent[0].message->reply_to.fail(Error(Errc::unreachable, "gone"));
  proxy.advance(0s);
  const auto answer = proxy.take_answer<Forward>(id);
  REQUIRE(answer.has_value());
  CHECK(answer->error().code() == Errc::unreachable);
  CHECK(answer->error().executed() == Executed::yes);
}

TEST_CASE("gen server: what a server that tells outcomes says of its errors is what its callers are told") {
  ServerHarness<Teller> teller;
  CHECK(teller.call(Now{}).error().executed() == Executed::no);
  CHECK(teller.call(Whenever{}).error().executed() == Executed::no);
  const auto id = teller.start_call(Soon{});
  teller.advance(1s);
  CHECK(teller.take_answer<Soon>(id)->error().executed() == Executed::unknown);
}

TEST_CASE("gen server: while paused, messages wait; resumed, they are handled in order") {
  ServerHarness<Counter> counter;
  counter.set_paused(true);
  counter.cast(Add{1});
  counter.cast(Add{2});
  CHECK(counter.stashed() == 2);
  counter.set_paused(false);
  CHECK(counter.call(Get{}).value() == 3);
}

TEST_CASE(
    "gen server: a payload decodes into its message, nil means defaults, garbage is refused with the field") {
  const auto* add = Counter::type().find("add");
  REQUIRE(add != nullptr);
  CHECK(add->decode(wire::encode(wire::Value::map({{"n", 5}}))).has_value());
  CHECK(add->decode(wire::encode(wire::Value())).has_value());
  const auto bad = add->decode(wire::encode(wire::Value::map({{"n", "five"}})));
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code() == Errc::bad_message);
  CHECK(bad.error().message().find('n') != std::string::npos);
}
