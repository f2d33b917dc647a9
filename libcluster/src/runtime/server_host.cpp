#include "cluster/runtime/server_host.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "cluster/base/log.hpp"
#include "cluster/runtime/gen_server.hpp"
#include "server_items.hpp"

namespace cluster::runtime {
namespace {

/// Runs `body`; the text of what it threw, or nothing.
template <class Body>
std::optional<std::string> thrown_by(Body&& body) noexcept {
  try {
    body();
    return std::nullopt;
  } catch (const std::exception& thrown) {
    return thrown.what();
  } catch (...) {
    return "something that is no std::exception";
  }
}

}  // namespace

ServerHost::ServerHost(HostConfig config, Services& services, ServerFactory factory,
                       std::unique_ptr<ServerBase> server, std::function<void(const ExitReason&)> exit)
    : config_(std::move(config)),
      services_(services),
      factory_(std::move(factory)),
      exit_(std::move(exit)),
      server_(std::move(server)) {}

ServerHost::~ServerHost() { drop_handlers(); }

void ServerHost::start(ActorRef self, std::shared_ptr<ReplySink> sink) {
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
  log::warn("server", "'", config_.name, "' did not start: ", why);
  exit({ExitReason::Kind::failed, why});
}

std::uint64_t ServerHost::serial() const noexcept { return self_ ? self_.serial() : 0; }

void ServerHost::exit(const ExitReason& reason) {
  if (std::exchange(exiting_, true)) return;
  exit_(reason);
}

bool ServerHost::takes_messages() const noexcept {
  return !paused_ && (active_.empty() || config_.reentrant);
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
      on_timer(static_cast<const TimerItem&>(*item).timer);
      break;
    case Item::Kind::deadline:
      on_deadline(static_cast<const DeadlineItem&>(*item).at);
      break;
    case Item::Kind::pause:
    case Item::Kind::resume:
      paused_ = item->kind() == Item::Kind::pause;
      break;
  }
  finish_handlers();
  drain_stash();
}

void ServerHost::set_paused(bool paused) { on_item(std::make_unique<PauseItem>(paused)); }

void ServerHost::dispatch(MessagePtr message) {
  if (message->expires != kNever && message->expires <= services_.now()) {
    message->reply_to.fail(
        Error(Errc::timeout, "the caller's time was over before the handler began", Executed::no));
    return;
  }
  std::unique_ptr<ActiveHandler> handler;
  if (const auto what = thrown_by([&] { handler = message->invoke(*server_, *message); })) {
    message->reply_to.fail(Error(Errc::handler_failed, *what));
    on_failure(*what);
    return;
  }
  if (handler == nullptr) return;
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
  active_.push_back(std::move(suspended));
}

void ServerHost::finish_handlers() {
  while (std::exchange(handler_ended_, false)) {
    const auto first_ended =
        std::partition(active_.begin(), active_.end(), [](const auto& handler) { return !handler->done; });
    std::vector<std::unique_ptr<Suspended>> ended(std::make_move_iterator(first_ended),
                                                  std::make_move_iterator(active_.end()));
    active_.erase(first_ended, active_.end());
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
    Waiting next = std::move(stash_.front());
    stash_.pop_front();
    if (next.timer != 0) {
      beat(next.timer);
    } else {
      if (self_ && !next.own) self_.core()->taken_up();
      dispatch(std::move(next.message));
    }
    finish_handlers();
  }
}

// What is put aside still counts as waiting, so that a bounded mailbox stays bounded.
void ServerHost::put_aside(MessagePtr message) {
  if (self_) self_.core()->put_aside();
  stash_.push_back({std::move(message)});
}

void ServerHost::prepend(MessagePtr message) { stash_.push_front({std::move(message), 0, true}); }

void ServerHost::forget_own_messages() noexcept {
  std::erase_if(stash_, [](const Waiting& waiting) { return waiting.own || waiting.timer != 0; });
}

void ServerHost::on_failure(const std::string& what) {
  log::warn("server", "'", config_.name, "' failed: ", what);
  const ExitReason reason{ExitReason::Kind::failed, what};
  const Instant now = services_.now();
  while (!restart_times_.empty() && restart_times_.front() + config_.restart_limit.within <= now)
    restart_times_.pop_front();
  const bool may_restart = config_.restart == Restart::on_failure && factory_ && !exiting_ &&
                           restart_times_.size() < config_.restart_limit.restarts_max;
  if (!may_restart) return exit(reason);

  restart_times_.push_back(now);
  ++restarts_;
  end_server(reason);
  if (const auto again = thrown_by([&] { server_ = factory_(); }))
    return fail_start("the constructor threw: " + *again);
  start_server();
}

void ServerHost::end_server(const ExitReason& reason) noexcept {
  drop_handlers();
  for (const auto& [id, timer] : timers_) services_.cancel_timer(timer.engine_timer);
  timers_.clear();
  forget_own_messages();
  if (server_ == nullptr) return;
  if (const auto what = thrown_by([&] { server_->terminate(reason); }))
    log::warn("server", "'", config_.name, "': terminate threw: ", *what);
  server_.reset();
}

void ServerHost::on_stop(const ExitReason& reason) noexcept {
  exiting_ = true;
  end_server(reason);
  for (const auto& waiting : std::exchange(stash_, {}))
    waiting.message->reply_to.fail(Error(Errc::stopped, "the server stopped", Executed::no));
}

void ServerHost::drop_handlers() noexcept {
  const auto dropped = std::exchange(active_, {});
  handler_ended_ = false;
}

// Timers.

ServerHost::Timer ServerHost::set_timer(Duration wait, Duration period, std::function<MessagePtr()> make) {
  const Timer timer = ++timer_last_;
  const Instant due = saturated_add(services_.now(), wait);
  const auto engine_timer = services_.set_timer(due, self_, std::make_unique<TimerItem>(timer));
  timers_.emplace(timer, TimerEntry{engine_timer, due, period, std::move(make), false});
  return timer;
}

bool ServerHost::cancel_timer(Timer timer) {
  const auto found = timers_.find(timer);
  if (found == timers_.end()) return false;
  services_.cancel_timer(found->second.engine_timer);
  timers_.erase(found);
  return true;
}

void ServerHost::on_timer(Timer timer) {
  const auto found = timers_.find(timer);
  if (found == timers_.end()) return;
  auto& entry = found->second;
  if (entry.period > Duration::zero()) {
    // Keeps the beat, but does not catch up on beats that were missed.
    entry.due = std::max(saturated_add(entry.due, entry.period), services_.now());
    entry.engine_timer = services_.set_timer(entry.due, self_, std::make_unique<TimerItem>(timer));
  }
  if (exiting_ || entry.waits) return;  // one beat of a timer waits at most
  if (takes_messages() && stash_.empty()) return beat(timer);
  entry.waits = true;
  stash_.push_back({nullptr, timer});
}

/// The timer's message, unless it was cancelled meanwhile.
void ServerHost::beat(Timer timer) {
  const auto found = timers_.find(timer);
  if (found == timers_.end()) return;
  found->second.waits = false;
  MessagePtr message = found->second.make();
  if (found->second.period == Duration::zero()) timers_.erase(found);
  dispatch(std::move(message));
}

// Calls.

std::uint64_t ServerHost::open_call(Duration timeout) {
  const Instant deadline = saturated_add(services_.now(), timeout);
  const auto call = calls_.open(deadline);
  if (call != 0) arm_deadline(deadline);
  return call;
}

ReplyTo ServerHost::return_address(std::uint64_t call) {
  return self_ ? ReplyTo(self_, call) : ReplyTo(sink_, call);
}

void ServerHost::call_sent(std::uint64_t id, const Result<SentCall>& sent) {
  auto* call = calls_.find(id);
  if (call == nullptr) return;
  if (sent)
    call->remote = sent->call;
  else
    call->reply = std::make_unique<Reply>(sent.error());
}

bool ServerHost::call_answered(std::uint64_t id) noexcept {
  const auto* call = calls_.find(id);
  return call == nullptr || call->reply != nullptr;
}

void ServerHost::await_call(std::uint64_t id, std::coroutine_handle<> waiter) noexcept {
  auto* call = calls_.find(id);
  CLUSTER_ASSERT(call != nullptr && !call->waiter);
  call->waiter = waiter;
}

ReplyPtr ServerHost::take_reply(std::uint64_t id) {
  auto* call = calls_.find(id);
  if (call == nullptr)
    return std::make_unique<Reply>(Error(Errc::overloaded, "the server has too many open calls"));
  ReplyPtr reply = std::move(call->reply);
  calls_.close(id);
  return reply;
}

void ServerHost::forget_call(std::uint64_t id) noexcept {
  const auto* call = calls_.find(id);
  if (call == nullptr) return;
  if (call->remote != 0 && call->reply == nullptr) static_cast<void>(services_.abandon_call(call->remote));
  calls_.close(id);
}

void ServerHost::on_reply(ReplyPtr reply) {
  auto* call = calls_.find(reply->id);
  if (call == nullptr || call->reply != nullptr) return;  // late: the caller gave up
  call->reply = std::move(reply);
  if (const auto waiter = std::exchange(call->waiter, {})) waiter.resume();
}

void ServerHost::arm_deadline(Instant deadline) {
  if (deadline >= deadline_armed_) return;
  deadline_armed_ = deadline;
  services_.set_timer(deadline, self_, std::make_unique<DeadlineItem>(deadline));
}

void ServerHost::on_deadline(Instant at) {
  const bool is_latest = at == deadline_armed_;
  if (is_latest) deadline_armed_ = kNever;
  for (const auto id : calls_.expired(services_.now())) {
    auto* call = calls_.find(id);
    if (call == nullptr || call->reply != nullptr) continue;  // a handler resumed before has dropped it
    const auto executed = call->remote != 0 ? services_.abandon_call(call->remote) : Executed::unknown;
    call->reply = std::make_unique<Reply>(Error(Errc::timeout, "no answer in time", executed));
    if (const auto waiter = std::exchange(call->waiter, {})) waiter.resume();
  }
  if (is_latest) arm_deadline(calls_.earliest());
}

bool ServerHost::is_self(const Target& target) const noexcept {
  if (!target.node.empty() || config_.reentrant) return false;
  return target.actor ? target.actor == self_ : target.name == config_.name && !config_.name.empty();
}

}  // namespace cluster::runtime
