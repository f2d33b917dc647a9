#include "cluster/runtime/server_host.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "cluster/base/log.hpp"
#include "cluster/runtime/gen_server.hpp"
#include "server_items.hpp"

namespace cluster::runtime {
namespace {

constexpr const char* kNoStdException = "something that is no std::exception";

/// Runs `body`; the text of what it threw, or nothing.
template <class Body>
std::optional<std::string> thrown_by(Body&& body) noexcept {
  try {
    body();
    return std::nullopt;
  } catch (const std::exception& thrown) {
    return thrown.what();
  } catch (...) {
    return kNoStdException;
  }
}

}  // namespace

ServerHost::ServerHost(HostConfig config, Services& services, ServerFactory factory,
                       std::unique_ptr<ServerBase> server)
    : services_(services),
      name_(config.name.empty() ? nullptr : std::make_unique<const std::string>(std::move(config.name))),
      server_(std::move(server)),
      reentrant_(config.reentrant) {
  if (config.restart == Restart::never || !factory) return;
  extra().factory = std::move(factory);
  extra().restart_limit = config.restart_limit;
}

ServerHost::~ServerHost() { drop_handlers(); }

const std::string& ServerHost::name() const noexcept {
  static const std::string none;
  return name_ == nullptr ? none : *name_;
}

void ServerHost::start(ActorRef self, SinkPtr<ReplySink> sink) {
  self_ = std::move(self);
  sink_ = std::move(sink);
  start_server();
  drain_stash();  // what `init` asked to be handled first
}

void ServerHost::start_server() {
  server_->host_ = this;
  Result<void> started;
  if (const auto what = thrown_by([&] { started = server_->init(); }))
    fail_start("init threw: " + *what);
  else if (!started)
    fail_start(started.error().to_string());
}

void ServerHost::fail_start(const std::string& why) {
  log::warn("server", "'", name(), "' did not start: ", why);
  exit({ExitReason::Kind::failed, why});
}

std::uint64_t ServerHost::serial() const noexcept { return self_ ? self_.serial() : 0; }

void ServerHost::exit(const ExitReason& reason) {
  if (std::exchange(exiting_, true)) return;
  on_exit_wanted(reason);
}

void ServerHost::on_item(std::unique_ptr<Item> item) {
  switch (item->kind()) {
    case Item::Kind::message: {
      MessagePtr message(static_cast<Message*>(item.release()));
      if (exiting_)
        message->reply_to.fail(Error(Errc::stopped, "the server is stopping", Executed::no));
      else if (takes_messages() && stash_.empty())
        dispatch(std::move(message));
      else
        put_aside(std::move(message));
      break;
    }
    case Item::Kind::reply:
      on_reply(ReplyPtr(static_cast<Reply*>(item.release())));
      break;
    case Item::Kind::timer:
      on_timer(std::move(item));
      break;
    case Item::Kind::deadline:
      on_deadline(static_cast<const DeadlineItem&>(*item).at);
      break;
    case Item::Kind::pause:
    case Item::Kind::resume:
      paused_ = item->kind() == Item::Kind::pause;
      break;
  }
  if (handler_ended_) finish_handlers();
  if (!stash_.empty()) drain_stash();
}

void ServerHost::set_paused(bool paused) { on_item(std::make_unique<PauseItem>(paused)); }

void ServerHost::dispatch(MessagePtr message) {
  if (message->expires != kNever && message->expires <= services_.now()) {
    message->reply_to.fail(
        Error(Errc::timeout, "the caller's time was over before the handler began", Executed::no));
    return;
  }
  std::unique_ptr<ActiveHandler> handler;
  try {
    handler = message->invoke(*server_, *message);
  } catch (const std::exception& thrown) {
    return fail_message(*message, thrown.what());
  } catch (...) {
    return fail_message(*message, kNoStdException);
  }
  if (handler != nullptr) suspend(std::move(message), std::move(handler));
}

void ServerHost::fail_message(Message& message, const std::string& what) {
  message.reply_to.fail(Error(Errc::handler_failed, what));
  on_failure(what);
}

void ServerHost::suspend(MessagePtr message, std::unique_ptr<ActiveHandler> handler) {
  auto suspended = std::make_unique<Suspended>();
  suspended->handler = std::move(handler);
  suspended->message = std::move(message);
  suspended->host = this;
  suspended->handler->notify(
      [](void* context) {
        auto& ended = *static_cast<Suspended*>(context);
        ended.done = true;
        ended.host->handler_ended_ = true;
      },
      suspended.get());
  suspended->next = std::move(active_);
  active_ = std::move(suspended);
}

void ServerHost::finish_handlers() {
  while (std::exchange(handler_ended_, false)) {
    std::vector<std::unique_ptr<Suspended>> ended;
    for (auto* place = &active_; *place != nullptr;) {
      auto handler = std::move(*place);
      *place = std::move(handler->next);
      if (handler->done) {
        ended.push_back(std::move(handler));
      } else {
        handler->next = std::move(*place);
        *place = std::move(handler);
        place = &(*place)->next;
      }
    }
    for (const auto& handler : ended)
      if (const auto what = thrown_by([&] { handler->handler->finish(); })) {
        ended.clear();  // the frames refer to the server that a restart replaces
        on_failure(*what);
        break;
      }
  }
}

void ServerHost::drain_stash() {
  while (!stash_.empty() && takes_messages() && !exiting_) {
    auto next = stash_.pop_front();
    if (next->kind() == Item::Kind::timer) {
      beat(static_cast<const TimerItem&>(*next).timer);
    } else {
      MessagePtr message(static_cast<Message*>(next.release()));
      if (self_ && !message->own) self_.core()->taken_up();
      dispatch(std::move(message));
    }
    finish_handlers();
  }
}

// What is put aside still counts as waiting, so that a bounded mailbox stays bounded.
void ServerHost::put_aside(MessagePtr message) {
  if (self_) self_.core()->put_aside();
  stash_.push_back(std::move(message));
}

void ServerHost::prepend(MessagePtr message) {
  message->own = true;
  stash_.push_front(std::move(message));
}

void ServerHost::forget_own_messages() noexcept {
  stash_.erase_if([](const Item& item) {
    return item.kind() == Item::Kind::timer || static_cast<const Message&>(item).own;
  });
}

void ServerHost::on_failure(const std::string& what) {
  log::warn("server", "'", name(), "' failed: ", what);
  const ExitReason reason{ExitReason::Kind::failed, what};
  if (extra_ == nullptr || !extra_->factory || exiting_) return exit(reason);
  auto& times = extra_->restart_times;
  const RestartLimit& limit = extra_->restart_limit;
  const Instant now = services_.now();
  std::erase_if(times, [&](Instant time) { return time + limit.within <= now; });
  if (times.size() >= limit.restarts_max) return exit(reason);

  times.push_back(now);
  end_server(reason);
  if (const auto again = thrown_by([&] { server_ = extra_->factory(); }))
    return fail_start("the constructor threw: " + *again);
  start_server();
}

void ServerHost::end_server(const ExitReason& reason) noexcept {
  drop_handlers();
  if (extra_ != nullptr) {
    for (const auto& [id, timer] : extra_->timers) services_.cancel_timer(timer.engine_timer);
    extra_->timers.clear();
  }
  forget_own_messages();
  if (server_ == nullptr) return;
  if (const auto what = thrown_by([&] { server_->terminate(reason); }))
    log::warn("server", "'", name(), "': terminate threw: ", *what);
  server_.reset();
}

void ServerHost::on_stop(const ExitReason& reason) noexcept {
  exiting_ = true;
  end_server(reason);
  while (auto item = stash_.pop_front())  // a timer's beats are gone already
    static_cast<Message&>(*item).reply_to.fail(Error(Errc::stopped, "the server stopped", Executed::no));
}

void ServerHost::drop_handlers() noexcept {
  // One by one: a long chain would be destroyed recursively.
  for (auto dropped = std::move(active_); dropped != nullptr;) dropped = std::move(dropped->next);
  handler_ended_ = false;
}

// Timers.

ServerHost::TimerEntry* ServerHost::find_timer(Timer timer) noexcept {
  if (extra_ == nullptr) return nullptr;
  const auto found = extra_->timers.find(timer);
  return found == extra_->timers.end() ? nullptr : &found->second;
}

ServerHost::Timer ServerHost::set_timer(Duration wait, Duration period, std::function<MessagePtr()> make) {
  const Timer timer = ++extra().timer_last;
  const Instant due = saturated_add(services_.now(), wait);
  const auto engine_timer = services_.set_timer(due, self_, std::make_unique<TimerItem>(timer));
  extra_->timers.emplace(timer, TimerEntry{engine_timer, due, period, std::move(make), false});
  return timer;
}

bool ServerHost::cancel_timer(Timer timer) {
  const auto* found = find_timer(timer);
  if (found == nullptr) return false;
  services_.cancel_timer(found->engine_timer);
  extra_->timers.erase(timer);
  return true;
}

void ServerHost::on_timer(std::unique_ptr<Item> item) {
  const Timer timer = static_cast<const TimerItem&>(*item).timer;
  auto* entry = find_timer(timer);
  if (entry == nullptr) return;
  if (entry->period > Duration::zero()) {
    // Keeps the beat, but does not catch up on beats that were missed.
    entry->due = std::max(saturated_add(entry->due, entry->period), services_.now());
    entry->engine_timer = services_.set_timer(entry->due, self_, std::make_unique<TimerItem>(timer));
  }
  if (exiting_ || entry->waits) return;  // one beat of a timer waits at most
  if (takes_messages() && stash_.empty()) return beat(timer);
  entry->waits = true;
  stash_.push_back(std::move(item));
}

/// The timer's message, unless it was cancelled meanwhile.
void ServerHost::beat(Timer timer) {
  auto* entry = find_timer(timer);
  if (entry == nullptr) return;
  entry->waits = false;
  MessagePtr message = entry->make();
  if (entry->period == Duration::zero()) extra_->timers.erase(timer);
  dispatch(std::move(message));
}

// Calls.

std::uint64_t ServerHost::open_call(Duration timeout) {
  const Instant deadline = services_.deadline_after(timeout);
  const auto call = extra().calls.open(deadline);
  if (call != 0) arm_deadline(deadline);
  return call;
}

ReplyTo ServerHost::return_address(std::uint64_t call) {
  if (returned_) return ReplyTo(std::move(returned_), call);
  return self_ ? ReplyTo(self_, call) : ReplyTo(sink_, call);
}

void ServerHost::call_sent(std::uint64_t id, const Result<SentCall>& sent) {
  auto* call = find_call(id);
  if (call == nullptr) return;
  if (sent)
    call->remote = sent->call;
  else
    call->reply = std::make_unique<ErrorReply>(sent.error());
}

bool ServerHost::call_answered(std::uint64_t id) noexcept {
  const auto* call = find_call(id);
  return call == nullptr || call->reply != nullptr;
}

void ServerHost::await_call(std::uint64_t id, std::coroutine_handle<> waiter) noexcept {
  auto* call = find_call(id);
  CLUSTER_ASSERT(call != nullptr && !call->waiter);
  call->waiter = waiter;
}

ReplyPtr ServerHost::take_reply(std::uint64_t id) {
  auto* call = find_call(id);
  if (call == nullptr)
    return std::make_unique<ErrorReply>(Error(Errc::overloaded, "the server has too many open calls"));
  ReplyPtr reply = std::move(call->reply);
  extra_->calls.close(id);
  return reply;
}

void ServerHost::forget_call(std::uint64_t id) noexcept {
  const auto* call = find_call(id);
  if (call == nullptr) return;
  if (call->remote != 0 && call->reply == nullptr) static_cast<void>(services_.abandon_call(call->remote));
  extra_->calls.close(id);
}

void ServerHost::on_reply(ReplyPtr reply) {
  returned_ = std::move(reply->caller);
  auto* call = find_call(reply->id);
  if (call == nullptr || call->reply != nullptr) return;  // late: the caller gave up
  call->reply = std::move(reply);
  if (const auto waiter = std::exchange(call->waiter, {})) waiter.resume();
}

void ServerHost::arm_deadline(Instant deadline) {
  if (deadline >= extra_->deadline_armed) return;
  extra_->deadline_armed = deadline;
  services_.set_timer(deadline, self_, std::make_unique<DeadlineItem>(deadline));
}

void ServerHost::on_deadline(Instant at) {
  const bool is_latest = at == extra_->deadline_armed;
  if (is_latest) extra_->deadline_armed = kNever;
  for (const auto id : extra_->calls.take_expired(services_.now())) {
    auto* call = find_call(id);
    if (call == nullptr || call->reply != nullptr) continue;  // a handler resumed before has dropped it
    const auto executed = call->remote != 0 ? services_.abandon_call(call->remote) : Executed::unknown;
    call->reply = std::make_unique<ErrorReply>(Error(Errc::timeout, "no answer in time", executed));
    if (const auto waiter = std::exchange(call->waiter, {})) waiter.resume();
  }
  if (is_latest) arm_deadline(extra_->calls.earliest());
}

bool ServerHost::is_self(const Target& target) const noexcept {
  if (!target.node.empty() || reentrant_) return false;
  if (target.actor.alive()) return target.actor == self_;
  return name_ != nullptr && target.name == *name_;
}

}  // namespace cluster::runtime
