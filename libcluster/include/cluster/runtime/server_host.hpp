#pragma once
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/base/time.hpp"
#include "cluster/runtime/behaviour.hpp"
#include "cluster/runtime/call_table.hpp"
#include "cluster/runtime/item_queue.hpp"
#include "cluster/runtime/message.hpp"
#include "cluster/runtime/services.hpp"

namespace cluster {

class ServerBase;

/// What happens to a server whose handler threw: it ends, or starts again with fresh state from its kept
/// constructor arguments, under the same name and with the same mailbox.
enum class Restart : std::uint8_t { never, on_failure };

/// Restarts more frequent than this end the server.
struct RestartLimit {
  std::size_t restarts_max = 3;
  Duration within = 5s;
};

namespace runtime {

/// Makes the server anew from its kept constructor arguments; may throw what the constructor throws.
using ServerFactory = std::function<std::unique_ptr<ServerBase>()>;

struct HostConfig {
  std::string name = {};
  Restart restart = Restart::never;
  RestartLimit restart_limit = {};
  bool reentrant = false;  ///< take other messages while a handler is suspended
};

/// The semantics of a GenServer, once for the engine and the harness: dispatch, stash, timers, coroutines,
/// failure. Knows neither threads nor the network. One thread at a time. Small when idle: what only some
/// servers need (calls, timers, restarts) is allocated when it is needed.
class ServerHost {
 public:
  using Timer = std::uint64_t;

  /// `factory` is needed for a restart only.
  ServerHost(HostConfig config, Services& services, ServerFactory factory,
             std::unique_ptr<ServerBase> server);
  virtual ~ServerHost();
  ServerHost(const ServerHost&) = delete;
  ServerHost& operator=(const ServerHost&) = delete;

  // The driver's side.
  /// `self` is empty in a harness, which takes replies through `sink` instead.
  void start(ActorRef self, SinkPtr<ReplySink> sink = nullptr);
  void on_item(std::unique_ptr<Item> item);
  /// While paused, messages and timers wait.
  void set_paused(bool paused);
  /// Ends the server: suspended handlers are destroyed, their callers and those of stashed messages told.
  void on_stop(const ExitReason& reason) noexcept;
  [[nodiscard]] ServerBase& server() noexcept { return *server_; }
  [[nodiscard]] bool suspended() const noexcept { return active_ != nullptr; }
  [[nodiscard]] std::size_t stashed() const noexcept { return stash_.size(); }

  // The server's side.
  [[nodiscard]] Services& services() noexcept { return services_; }
  [[nodiscard]] const ActorRef& self() const noexcept { return self_; }
  /// Empty if it has none.
  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] std::uint64_t serial() const noexcept;
  void exit(const ExitReason& reason);

  Timer set_timer(Duration wait, Duration period, std::function<MessagePtr()> make);
  bool cancel_timer(Timer timer);
  /// Puts a message of this server to itself before all others that wait. A restart forgets it.
  void prepend(MessagePtr message);

  /// Books a call; `return_address` is where its reply is to go. A call of `target` that is this server
  /// itself would never be answered: `would_deadlock`. 0: too many are open.
  std::uint64_t open_call(Duration timeout);
  [[nodiscard]] ReplyTo return_address(std::uint64_t call);
  void call_sent(std::uint64_t call, const Result<SentCall>& sent);
  [[nodiscard]] bool call_answered(std::uint64_t call) noexcept;
  void await_call(std::uint64_t call, std::coroutine_handle<> waiter) noexcept;
  [[nodiscard]] ReplyPtr take_reply(std::uint64_t call);
  void forget_call(std::uint64_t call) noexcept;
  [[nodiscard]] bool is_self(const Target& target) const noexcept;

 private:
  struct TimerEntry {
    std::uint64_t engine_timer = 0;
    Instant due;
    Duration period{};
    std::function<MessagePtr()> make;
    bool waits = false;  ///< fired, and its beat waits in the stash
  };
  /// What a server needs that calls others, sets timers or restarts.
  struct Extra {
    CallTable calls;
    Instant deadline_armed = kNever;
    std::map<Timer, TimerEntry> timers;
    Timer timer_last = 0;
    ServerFactory factory;  // empty: it does not restart
    RestartLimit restart_limit;
    std::vector<Instant> restart_times;
  };
  struct Suspended {
    MessagePtr message;  // the handler's frame may refer to it until it is destroyed: declared before it
    std::unique_ptr<ActiveHandler> handler;
    ServerHost* host = nullptr;
    bool done = false;
    std::unique_ptr<Suspended> next;  // more than one only in a reentrant server
  };

  void dispatch(MessagePtr message);
  void put_aside(MessagePtr message);
  void beat(Timer timer);
  void forget_own_messages() noexcept;
  void on_reply(ReplyPtr reply);
  void on_timer(std::unique_ptr<Item> item);
  void on_deadline(Instant at);
  void arm_deadline(Instant deadline);
  /// Called at most once, when the server wants to end.
  virtual void on_exit_wanted(const ExitReason& reason) = 0;
  [[nodiscard]] Extra& extra() {
    if (extra_ == nullptr) extra_ = std::make_unique<Extra>();
    return *extra_;
  }
  [[nodiscard]] CallTable::Call* find_call(std::uint64_t id) noexcept {
    return extra_ == nullptr ? nullptr : extra_->calls.find(id);
  }
  [[nodiscard]] TimerEntry* find_timer(Timer timer) noexcept;
  void suspend(MessagePtr message, std::unique_ptr<ActiveHandler> handler);
  void finish_handlers();
  void drain_stash();
  void fail_message(Message& message, const std::string& what);
  void on_failure(const std::string& what);
  void drop_handlers() noexcept;
  void start_server();
  void fail_start(const std::string& why);
  void end_server(const ExitReason& reason) noexcept;
  [[nodiscard]] bool takes_messages() const noexcept {
    return !paused_ && (active_ == nullptr || reentrant_);
  }

  Services& services_;
  ActorRef self_;
  ActorRef returned_;  // a reference to self_ that came back with a reply: saves the next call two atomics
  SinkPtr<ReplySink> sink_;
  const std::unique_ptr<const std::string> name_;
  std::unique_ptr<Extra> extra_;
  ItemQueue stash_;  // what waits while messages are not taken: messages, and TimerItems for a timer's beat
  std::unique_ptr<ServerBase> server_;
  std::unique_ptr<Suspended> active_;  // destroyed before the server that its frames refer to
  bool handler_ended_ = false;
  bool paused_ = false;
  bool exiting_ = false;
  const bool reentrant_;
};

}  // namespace runtime
}  // namespace cluster
