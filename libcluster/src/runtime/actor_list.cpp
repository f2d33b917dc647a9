#include "actor_list.hpp"

namespace cluster::runtime {

bool ActorList::add(ActorCore& actor) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  actor.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &actor;
  first_ = &actor;
  size_.store(size() + 1, std::memory_order_release);
  return true;
}

void ActorList::remove(ActorCore& actor) {
  const std::lock_guard lock(mutex_);
  (actor.previous_ != nullptr ? actor.previous_->next_ : first_) = actor.next_;
  if (actor.next_ != nullptr) actor.next_->previous_ = actor.previous_;
  size_.store(size() - 1, std::memory_order_release);
  if (closed_ && first_ == nullptr) empty_.notify_all();
}

std::vector<ActorRef> ActorList::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  std::vector<ActorRef> actors;
  for (ActorCore* actor = first_; actor != nullptr; actor = actor->next_) {
    actor->retain();
    actors.push_back(ActorRef::adopt(actor));
  }
  return actors;
}

void ActorList::wait_until_empty() {
  std::unique_lock lock(mutex_);
  empty_.wait(lock, [this] { return first_ == nullptr; });
}

}  // namespace cluster::runtime
