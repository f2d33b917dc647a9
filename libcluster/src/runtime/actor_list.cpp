#include "actor_list.hpp"

namespace cluster::runtime {

bool ActorList::add(Node& node, ActorCore& core) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  node.core_ = &core;
  node.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &node;
  first_ = &node;
  size_.store(size() + 1, std::memory_order_release);
  return true;
}

void ActorList::remove(Node& node) {
  const std::lock_guard lock(mutex_);
  (node.previous_ != nullptr ? node.previous_->next_ : first_) = node.next_;
  if (node.next_ != nullptr) node.next_->previous_ = node.previous_;
  size_.store(size() - 1, std::memory_order_release);
  if (closed_ && first_ == nullptr) empty_.notify_all();
}

std::vector<ActorRef> ActorList::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  std::vector<ActorRef> actors;
  for (Node* node = first_; node != nullptr; node = node->next_) {
    node->core_->retain();
    actors.push_back(ActorRef::adopt(node->core_));
  }
  return actors;
}

void ActorList::wait_until_empty() {
  std::unique_lock lock(mutex_);
  empty_.wait(lock, [this] { return first_ == nullptr; });
}

}  // namespace cluster::runtime
