#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace cluster::detail {

/// An array that grows, with room for `Inline` elements inside: up to there it never allocates. A part of
/// VectorClock that is here because its size must be known; not for users.
template <class T, std::size_t Inline>
class SmallArray {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>);
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

 public:
  SmallArray() noexcept {}
  SmallArray(const SmallArray& other) : SmallArray() { *this = other; }
  SmallArray(SmallArray&& other) noexcept : SmallArray() { *this = std::move(other); }
  ~SmallArray() {
    std::destroy_n(data_, size_);
    release();
  }

  SmallArray& operator=(const SmallArray& other) {
    if (this == &other) return *this;
    if (other.size_ > capacity_) {
      clear();
      reserve(other.size_);
    }
    const std::size_t common = std::min(size_, other.size_);
    std::copy_n(other.data_, common, data_);  // what strings have allocated is used again
    std::uninitialized_copy_n(other.data_ + common, other.size_ - common, data_ + common);
    std::destroy_n(data_ + other.size_, size_ - common);
    size_ = other.size_;
    return *this;
  }

  /// `other` is empty afterwards.
  SmallArray& operator=(SmallArray&& other) noexcept {
    if (this == &other) return *this;
    clear();
    if (other.is_inline()) {
      std::uninitialized_move_n(other.data_, other.size_, data_);
      size_ = other.size_;
      other.clear();
      return *this;
    }
    release();
    data_ = std::exchange(other.data_, other.inline_data());
    capacity_ = std::exchange(other.capacity_, Inline);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  [[nodiscard]] T* begin() noexcept { return data_; }
  [[nodiscard]] T* end() noexcept { return data_ + size_; }
  [[nodiscard]] const T* begin() const noexcept { return data_; }
  [[nodiscard]] const T* end() const noexcept { return data_ + size_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }

  void clear() noexcept {
    std::destroy_n(data_, size_);
    size_ = 0;
  }

  void push_back(T value) {
    if (size_ == capacity_) reserve(2 * capacity_);
    ::new (static_cast<void*>(data_ + size_)) T(std::move(value));
    ++size_;
  }

  /// Puts `value` before the element `at`, and gives its place.
  T& insert(std::size_t at, T value) {
    push_back(std::move(value));
    std::rotate(data_ + at, data_ + size_ - 1, data_ + size_);
    return data_[at];
  }

  void erase(std::size_t at) noexcept {
    std::move(data_ + at + 1, data_ + size_, data_ + at);
    --size_;
    std::destroy_at(data_ + size_);
  }

  /// New elements at the end are T().
  void resize(std::size_t size) {
    reserve(size);
    if (size > size_)
      std::uninitialized_value_construct_n(data_ + size_, size - size_);
    else
      std::destroy_n(data_ + size, size_ - size);
    size_ = size;
  }

  void reserve(std::size_t capacity) {
    if (capacity <= capacity_) return;
    T* const grown = static_cast<T*>(::operator new(capacity * sizeof(T)));
    std::uninitialized_move_n(data_, size_, grown);
    std::destroy_n(data_, size_);
    release();
    data_ = grown;
    capacity_ = capacity;
  }

 private:
  [[nodiscard]] T* inline_data() noexcept { return reinterpret_cast<T*>(inline_); }
  [[nodiscard]] bool is_inline() noexcept { return data_ == inline_data(); }
  /// Frees the memory, whose elements are gone already.
  void release() noexcept {
    if (!is_inline()) ::operator delete(data_);
    data_ = inline_data();
    capacity_ = Inline;
  }

  T* data_ = inline_data();
  std::size_t size_ = 0;
  std::size_t capacity_ = Inline;
  alignas(T) std::byte inline_[Inline * sizeof(T)];  // not initialised
};

}  // namespace cluster::detail
