#pragma once
#include <algorithm>
#include <concepts>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/base/time.hpp"
#include "cluster/runtime/gen_server.hpp"
#include "cluster/runtime/server_host.hpp"
#include "cluster/runtime/services.hpp"

namespace cluster {

/// Runs one server in the calling thread, on a clock that the test moves, and records what it asks of the
/// world: a test of a server's logic without an engine, threads or a network.
///
///   ServerHarness<Counter> counter;
///   counter.cast(Add{2});
///   CHECK(counter.call(Get{}).value() == 2);
template <class S>
class ServerHarness {
 public:
  /// A call or cast that the server sent; the test answers it if it is a call.
  struct Sent {
    runtime::Target to;
    runtime::MessagePtr message;

    [[nodiscard]] bool is_call() const noexcept { return static_cast<bool>(message->reply_to); }
    /// The message, if it is an M; else null.
    template <class M>
    [[nodiscard]] const M* as() const noexcept {
      const auto* typed = dynamic_cast<const runtime::TypedMessage<M>*>(message.get());
      return typed == nullptr ? nullptr : &typed->value;
    }
  };

  /// The same by event name; its payload is encoded.
  struct SentEvent {
    std::string to;
    std::string event;
    Bytes payload;
    runtime::ReplyTo reply_to;
  };

  template <class... Args>
  requires(!(std::same_as<Args, runtime::HostConfig> || ...)) explicit ServerHarness(const Args&... args)
      : ServerHarness(runtime::HostConfig{.name = "server"}, args...) {}
  template <class... Args>
  explicit ServerHarness(runtime::HostConfig config, const Args&... args)
      : replies_(runtime::make_sink<Replies>()),
        host_(configured(std::move(config)), services_, factory(args...), std::make_unique<S>(args...)) {
    host_.start({}, replies_);
    settle();
  }
  ~ServerHarness() { stop(); }

  /// Ends the server as its node would.
  void stop() {
    if (!std::exchange(stopped_, true)) host_.on_stop(host_.exited.value_or(runtime::ExitReason{}));
  }
  void set_paused(bool paused) { host_.set_paused(paused); }

  template <class M>
  void cast(M message) {
    post(runtime::ReplyTo{}, std::move(message));
  }
  /// The answer, if it came at once; else an error `timeout`, and `answers()` has it when it comes.
  template <class M>
  Result<reply_of<M>> call(M message) {
    const auto id = start_call(std::move(message));
    auto answer = take_answer<M>(id);
    if (!answer) return Error(Errc::timeout, "the server has not answered yet");
    return *std::move(answer);
  }
  /// Calls without expecting the answer at once; `take_answer` gets it.
  template <class M>
  std::uint64_t start_call(M message) {
    const auto id = ++call_last_;
    post(runtime::ReplyTo(callers_, id), std::move(message));
    return id;
  }
  template <class M>
  std::optional<Result<reply_of<M>>> take_answer(std::uint64_t id) {
    const auto found = callers_->arrived.find(id);
    if (found == callers_->arrived.end()) return std::nullopt;
    const auto reply = std::move(found->second);
    callers_->arrived.erase(found);
    return runtime::take<reply_of<M>>(*reply);
  }

  /// What the server sent to others since the last time, oldest first.
  [[nodiscard]] std::vector<Sent> take_sent() { return std::exchange(services_.sent, {}); }
  [[nodiscard]] std::vector<SentEvent> take_sent_events() { return std::exchange(services_.sent_events, {}); }
  /// Answers a call of the server with an R (or an Error).
  template <class R>
  void answer(Sent& call, Result<R> result) {
    runtime::deliver<R>(call.message->reply_to, std::move(result));
    settle();
  }
  template <class R>
  void answer(SentEvent& call, Result<R> result) {
    runtime::deliver<R>(call.reply_to, std::move(result));
    settle();
  }
  /// Moves the clock and fires the timers that are due, in their order.
  void advance(Duration by) {
    const Instant end = services_.time + by;
    for (;;) {
      const auto next = std::ranges::min_element(services_.timers, {}, &Services::Timer::due);
      if (next == services_.timers.end() || next->due > end) break;
      services_.time = std::max(services_.time, next->due);
      auto item = std::move(next->item);
      services_.timers.erase(next);
      host_.on_item(std::unique_ptr<runtime::Item>(static_cast<runtime::Item*>(item.release())));
      settle();
    }
    services_.time = end;
    settle();
  }

  [[nodiscard]] S& server() { return static_cast<S&>(host_.server()); }
  [[nodiscard]] bool suspended() const noexcept { return host_.suspended(); }
  [[nodiscard]] std::size_t stashed() const noexcept { return host_.stashed(); }
  [[nodiscard]] const std::optional<runtime::ExitReason>& exited() const noexcept { return host_.exited; }
  [[nodiscard]] Instant now() const noexcept { return services_.time; }

 private:
  struct Replies final : runtime::ReplySink {  // to calls that the server made
    std::deque<runtime::ReplyPtr> waiting;
    void deliver(std::uint64_t id, runtime::ReplyPtr reply) noexcept override {
      reply->id = id;
      waiting.push_back(std::move(reply));
    }
  };
  struct Callers final : runtime::ReplySink {  // to calls that the test made
    std::map<std::uint64_t, runtime::ReplyPtr> arrived;
    void deliver(std::uint64_t id, runtime::ReplyPtr reply) noexcept override {
      arrived[id] = std::move(reply);
    }
  };
  struct Host final : runtime::ServerHost {
    using runtime::ServerHost::ServerHost;
    std::optional<runtime::ExitReason> exited;
    void on_exit_wanted(const runtime::ExitReason& reason) override { exited = reason; }
  };
  struct Services final : runtime::Services {
    struct Timer {
      std::uint64_t id;
      Instant due;
      runtime::EnvelopePtr item;
    };
    Instant time{};
    std::uint64_t timer_last = 0;
    std::vector<Timer> timers;
    std::vector<Sent> sent;
    std::vector<SentEvent> sent_events;

    Result<void> post(const runtime::Target& to, const runtime::ServerType&,
                      runtime::MessagePtr& message) override {
      sent.push_back({to, std::move(message)});
      return {};
    }
    Result<void> post_encoded(const wire::Target& to, std::string_view event, ByteView payload,
                              runtime::ReplyTo reply_to, Instant) override {
      sent_events.push_back({std::string(std::get<std::string_view>(to)), std::string(event),
                             Bytes(payload.begin(), payload.end()), std::move(reply_to)});
      return {};
    }
    // References that this harness resolves are all "here": typed messages are recorded, nothing is encoded.
    std::uint64_t open_call(const runtime::Target&, runtime::ReplyTo to) override { return to.forget(), 0; }
    Result<void> send_call(std::uint64_t, const runtime::Target& to, Bytes&, std::size_t, Duration) override {
      return unreachable(to.node);
    }
    Executed abandon_call(std::uint64_t) override { return Executed::unknown; }
    Result<void> send_cast(const runtime::Target& to, Bytes&) override { return unreachable(to.node); }
    static Error unreachable(const NodeId& node) {
      return Error(Errc::unreachable, "no network in a harness, to reach '" + node.str() + "'");
    }
    [[nodiscard]] Instant now() const override { return time; }
    std::uint64_t set_timer(Instant due, const runtime::ActorRef&, runtime::EnvelopePtr item) override {
      timers.push_back({++timer_last, due, std::move(item)});
      return timer_last;
    }
    void cancel_timer(std::uint64_t timer) override {
      std::erase_if(timers, [&](const Timer& set) { return set.id == timer; });
    }
    [[nodiscard]] Result<runtime::Target> resolve(std::string_view address) const override {
      runtime::Target target;
      target.name = address;
      return target;
    }
  };

  static runtime::HostConfig configured(runtime::HostConfig config) {
    if constexpr (requires { S::reentrant; }) config.reentrant = S::reentrant;
    return config;
  }
  template <class... Args>
  static runtime::ServerFactory factory(const Args&... args) {
    return [args...]() -> std::unique_ptr<ServerBase> { return std::make_unique<S>(args...); };
  }
  template <class M>
  void post(runtime::ReplyTo reply_to, M message) {
    static_assert(S::template handles<M>, "the server's class does not list this message");
    host_.on_item(
        std::make_unique<runtime::TypedMessage<M>>(&runtime::detail::invoke<S, M>, std::move(reply_to),
                                                   runtime::Item::Kind::message, std::move(message)));
    settle();
  }
  void settle() {
    while (!replies_->waiting.empty()) {
      auto reply = std::move(replies_->waiting.front());
      replies_->waiting.pop_front();
      host_.on_item(std::move(reply));
    }
  }

  Services services_;
  runtime::SinkPtr<Replies> replies_;
  runtime::SinkPtr<Callers> callers_ = runtime::make_sink<Callers>();
  std::uint64_t call_last_ = 0;
  bool stopped_ = false;
  Host host_;
};

}  // namespace cluster
