#pragma once
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include "cluster/base/node_id.hpp"

namespace cluster {

/// Values sorted by the NodeId that each holds at `Key`. Copies share what they have in common: copying takes
/// O(1), and the first change after it copies one block of at most 64 pointers and the list of blocks, never
/// the values. So a thousand replicas of one table, each a few edits apart, take little more than one.
/// Look-ups take O(log n). Values are immutable: change a copy and put it. One writer at a time; copies may
/// be read by other threads.
template <class Value, NodeId Value::*Key>
class SharedMap {
  using Item = std::shared_ptr<const Value>;
  using Block = std::vector<Item>;  // never empty in a map
  using Blocks = std::vector<std::shared_ptr<Block>>;
  static constexpr std::size_t kBlockMax = 64;

 public:
  class const_iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Value;
    using difference_type = std::ptrdiff_t;
    using pointer = const Value*;
    using reference = const Value&;

    const_iterator() = default;
    reference operator*() const { return *(*(*blocks_)[block_])[item_]; }
    pointer operator->() const { return &**this; }
    const_iterator& operator++() {
      if (++item_ == (*blocks_)[block_]->size()) ++block_, item_ = 0;
      return *this;
    }
    const_iterator operator++(int) {
      auto before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const const_iterator& a, const const_iterator& b) {
      return a.block_ == b.block_ && a.item_ == b.item_;
    }

   private:
    friend class SharedMap;
    const_iterator(const Blocks& blocks, std::size_t block) : blocks_(&blocks), block_(block) {}
    const Blocks* blocks_ = nullptr;
    std::size_t block_ = 0;
    std::size_t item_ = 0;
  };

  [[nodiscard]] const_iterator begin() const noexcept { return {*blocks_, 0}; }
  [[nodiscard]] const_iterator end() const noexcept { return {*blocks_, blocks_->size()}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// Null if there is none. Valid until that value is replaced or erased.
  [[nodiscard]] const Value* find(const NodeId& id) const noexcept {
    const auto block = block_of(id);
    if (block == blocks_->size()) return nullptr;
    const auto& items = *(*blocks_)[block];
    const auto at = place_in(items, id);
    return at != items.end() && key(*at) == id ? at->get() : nullptr;
  }
  /// The first value with an id behind `text` in the order of ids.
  [[nodiscard]] const_iterator upper_bound(std::string_view text) const noexcept {
    const auto is_before = [](std::string_view wanted, const NodeId& id) { return wanted < id.str(); };
    const auto block = std::upper_bound(
        blocks_->begin(), blocks_->end(), text,
        [&](std::string_view wanted, const auto& each) { return is_before(wanted, key(each->back())); });
    const_iterator found(*blocks_, static_cast<std::size_t>(block - blocks_->begin()));
    if (block == blocks_->end()) return found;
    const auto item = std::upper_bound(
        (*block)->begin(), (*block)->end(), text,
        [&](std::string_view wanted, const Item& each) { return is_before(wanted, key(each)); });
    found.item_ = static_cast<std::size_t>(item - (*block)->begin());
    return found;
  }
  /// The value at `rank` in the order of ids, rank < size(). O(size / 64).
  [[nodiscard]] const Value& at_rank(std::size_t rank) const noexcept {
    std::size_t block = 0;
    while (rank >= (*blocks_)[block]->size()) rank -= (*blocks_)[block++]->size();
    return *(*(*blocks_)[block])[rank];
  }

  /// Adds the value, or replaces the one with its id.
  void put(Value value) {
    const NodeId& id = value.*Key;
    if (blocks_->empty()) {
      own_blocks().push_back(std::make_shared<Block>());
      return insert(0, 0, std::move(value));
    }
    const auto block = std::min(block_of(id), blocks_->size() - 1);
    const auto& items = *(*blocks_)[block];
    const auto at = place_in(items, id);
    const auto item = static_cast<std::size_t>(at - items.begin());
    if (at != items.end() && key(*at) == id)
      own_block(block)[item] = std::make_shared<const Value>(std::move(value));
    else
      insert(block, item, std::move(value));
  }

  /// True if there was one.
  bool erase(const NodeId& id) {
    if (find(id) == nullptr) return false;
    const auto block = block_of(id);
    auto& items = own_block(block);
    items.erase(place_in(items, id));
    if (items.empty()) own_blocks().erase(own_blocks().begin() + static_cast<std::ptrdiff_t>(block));
    --size_;
    return true;
  }

  friend bool operator==(const SharedMap& a, const SharedMap& b) {
    return a.blocks_ == b.blocks_ || (a.size_ == b.size_ && std::equal(a.begin(), a.end(), b.begin()));
  }

 private:
  static const NodeId& key(const Item& item) noexcept { return (*item).*Key; }

  /// The first block that ends at `id` or later.
  [[nodiscard]] std::size_t block_of(const NodeId& id) const noexcept {
    const auto ends_before = [](const auto& block, const NodeId& wanted) {
      return key(block->back()) < wanted;
    };
    return static_cast<std::size_t>(std::lower_bound(blocks_->begin(), blocks_->end(), id, ends_before) -
                                    blocks_->begin());
  }
  template <class Items>
  static auto place_in(Items& items, const NodeId& id) noexcept {
    return std::lower_bound(items.begin(), items.end(), id,
                            [](const Item& item, const NodeId& wanted) { return key(item) < wanted; });
  }

  void insert(std::size_t block, std::size_t item, Value value) {
    auto& items = own_block(block);
    items.insert(items.begin() + static_cast<std::ptrdiff_t>(item),
                 std::make_shared<const Value>(std::move(value)));
    ++size_;
    if (items.size() <= kBlockMax) return;
    const auto half = items.begin() + kBlockMax / 2;
    auto upper = std::make_shared<Block>(half, items.end());
    items.erase(half, items.end());
    auto& blocks = own_blocks();
    blocks.insert(blocks.begin() + static_cast<std::ptrdiff_t>(block) + 1, std::move(upper));
  }

  Blocks& own_blocks() {
    if (blocks_.use_count() > 1) blocks_ = std::make_shared<Blocks>(*blocks_);
    return *blocks_;
  }
  Block& own_block(std::size_t block) {
    auto& mine = own_blocks()[block];
    if (mine.use_count() > 1) mine = std::make_shared<Block>(*mine);
    return *mine;
  }

  std::shared_ptr<Blocks> blocks_ = std::make_shared<Blocks>();
  std::size_t size_ = 0;
};

}  // namespace cluster
