#pragma once
#include <cstddef>
#include <memory>
#include <utility>

#include "cluster/runtime/message.hpp"

namespace cluster::runtime {

/// Items in order, linked through themselves: empty it is one pointer, and adding never allocates. Owns them.
class ItemQueue {
 public:
  ItemQueue() = default;
  ~ItemQueue() { clear(); }
  ItemQueue(const ItemQueue&) = delete;
  ItemQueue& operator=(const ItemQueue&) = delete;

  [[nodiscard]] bool empty() const noexcept { return last_ == nullptr; }
  /// O(n).
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t count = empty() ? 0 : 1;
    for (const Envelope* item = last_; count != 0 && item->next != last_; item = item->next) ++count;
    return count;
  }
  void push_front(std::unique_ptr<Item> item) noexcept {
    Envelope* added = item.release();
    added->next = empty() ? added : last_->next;
    (empty() ? last_ : last_->next) = added;
  }
  void push_back(std::unique_ptr<Item> item) noexcept {
    Envelope* added = item.get();
    push_front(std::move(item));
    last_ = added;
  }
  /// Null if it is empty.
  [[nodiscard]] std::unique_ptr<Item> pop_front() noexcept {
    if (empty()) return nullptr;
    Envelope* first = last_->next;
    if (first == last_)
      last_ = nullptr;
    else
      last_->next = first->next;
    return std::unique_ptr<Item>(static_cast<Item*>(first));
  }
  /// Destroys those for which `is_unwanted(item)`. What their destructors do must not touch the queue.
  template <class Predicate>
  void erase_if(Predicate is_unwanted) {
    ItemQueue kept;
    while (auto item = pop_front())
      if (!is_unwanted(*item)) kept.push_back(std::move(item));
    std::swap(last_, kept.last_);
  }
  void clear() noexcept {
    while (pop_front() != nullptr) continue;
  }

 private:
  Envelope* last_ = nullptr;  // its `next` is the first
};

}  // namespace cluster::runtime
