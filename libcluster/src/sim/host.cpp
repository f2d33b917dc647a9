#include "cluster/sim/host.hpp"

#include <algorithm>

namespace cluster::sim {

void Host::submit(Event work) {
  if (!paused_ && service_time_ == Duration{} && inbox_.empty()) return work();
  if (inbox_.size() >= kInboxMax) {
    ++dropped_;
    return;
  }
  inbox_.push_back(std::move(work));
  if (!paused_) serve_later();
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
  if (service_time_ > Duration{}) {
    serve_later();
  } else {
    for (auto waiting = inbox_.size(); waiting > 0 && !inbox_.empty(); --waiting) {
      auto work = std::move(inbox_.front());
      inbox_.pop_front();
      work();
    }
  }
  fire();
}

void Host::clear() {
  inbox_.clear();
  timer_ = kNever;
}

void Host::serve_later() {
  if (serving_ || inbox_.empty()) return;
  serving_ = true;
  simulator_.after(service_time_, [this] {
    serving_ = false;
    serve_one();
  });
}

void Host::serve_one() {
  if (paused_ || inbox_.empty()) return;
  auto work = std::move(inbox_.front());
  inbox_.pop_front();
  work();
  serve_later();
}

}  // namespace cluster::sim
