#include "timers.hpp"

namespace cluster::net {

Timers::Id Timers::add(Instant due, std::function<void()> then) {
  const Id id{due, ++serial_};
  timers_.emplace(id, std::move(then));
  arm();
  return id;
}

void Timers::cancel(Id& id) {
  timers_.erase(id);
  id = {};
}

void Timers::clear() {
  timers_.clear();
  timer_.cancel();
}

/// A timer of Asio's that is too early does no harm, so cancelled ones are left to fire.
void Timers::arm() {
  if (timers_.empty() || timers_.begin()->first.first >= armed_) return;
  armed_ = timers_.begin()->first.first;
  timer_.expires_at(std::chrono::steady_clock::time_point(armed_.time_since_epoch()));
  timer_.async_wait([this](const boost::system::error_code& fault) {
    if (!fault) on_fired();
  });
}

void Timers::on_fired() {
  armed_ = kNever;
  const Instant now = MonotonicClock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    const auto first = timers_.begin();
    const auto then = std::move(first->second);
    timers_.erase(first);
    then();
  }
  arm();
}

}  // namespace cluster::net
