#include "cluster/sim/host.hpp"

#include <algorithm>

namespace cluster::sim {

void Host::submit(Event work) {
  if (!paused_ && lag_ == Duration{} && inbox_.empty()) return work();
  if (inbox_.size() >= kInboxMax) {
    ++dropped_;
    return;
  }
  const auto ready = simulator_.now() + lag_;
  inbox_.push_back({inbox_.empty() ? ready : std::max(ready, inbox_.back().ready), std::move(work)});
  if (!paused_) serve();
}

void Host::wake_at(Instant due) {
  timer_ = due;
  if (due < armed_) arm(due);
}

/// One event looks at the timer; moving the timer back costs nothing until then.
void Host::arm(Instant when) {
  armed_ = when;
  simulator_.at(when, [this, when] {
    if (armed_ != when) return;
    armed_ = kNever;
    fire();
  });
}

void Host::fire() {
  if (paused_ || timer_ == kNever) return;
  if (timer_ > simulator_.now()) return arm(timer_);
  timer_ = kNever;
  tick_();
}

void Host::resume() {
  if (!paused_) return;
  paused_ = false;
  serve();
  fire();
}

/// Handles what is ready, in the order of arrival.
void Host::serve() {
  while (!paused_ && !inbox_.empty() && inbox_.front().ready <= simulator_.now()) {
    auto work = std::move(inbox_.front().work);
    inbox_.pop_front();
    work();
  }
  if (paused_ || inbox_.empty() || serves_at_ <= inbox_.front().ready) return;
  serves_at_ = inbox_.front().ready;
  simulator_.at(serves_at_, [this, when = serves_at_] {
    if (serves_at_ != when) return;
    serves_at_ = kNever;
    serve();
  });
}

void Host::clear() {
  inbox_.clear();
  timer_ = kNever;
}

}  // namespace cluster::sim
