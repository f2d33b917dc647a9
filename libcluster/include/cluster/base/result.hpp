#pragma once
#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "cluster/base/assert.hpp"
#include "cluster/base/error.hpp"

namespace cluster {

namespace detail {
/// Prints the error to stderr and aborts.
[[noreturn]] void value_of_error(const Error& error) noexcept;
}  // namespace detail

/// A value or an Error. Names mirror std::expected, which C++20 lacks. `value()` on an error is a
/// broken invariant and aborts with its text: test first, or use `value_or`.
template <class T>
class [[nodiscard]] Result {
  static_assert(!std::is_reference_v<T>, "a Result holds a value, not a reference");

 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  /// From anything that makes a T, so that `return {};` and `return "text";` read well.
  template <class U>
  requires(std::constructible_from<T, U&&>&& std::convertible_to<U&&, T> &&
           !std::same_as<std::remove_cvref_t<U>, T> && !std::same_as<std::remove_cvref_t<U>, Error> &&
           !std::same_as<std::remove_cvref_t<U>, Result>) Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] T& value() & { return checked(), *std::get_if<0>(&state_); }
  [[nodiscard]] const T& value() const& { return checked(), *std::get_if<0>(&state_); }
  [[nodiscard]] T&& value() && { return checked(), std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  template <class U>
  [[nodiscard]] T value_or(U&& otherwise) const& {
    return has_value() ? value() : static_cast<T>(std::forward<U>(otherwise));
  }
  template <class U>
  [[nodiscard]] T value_or(U&& otherwise) && {
    return has_value() ? std::move(*this).value() : static_cast<T>(std::forward<U>(otherwise));
  }

  [[nodiscard]] const Error& error() const& {
    CLUSTER_ASSERT(!has_value());
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] Error&& error() && {
    CLUSTER_ASSERT(!has_value());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  void checked() const {
    if (!has_value()) detail::value_of_error(*std::get_if<1>(&state_));
  }
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  [[nodiscard]] bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }
  void value() const {
    if (!has_value()) detail::value_of_error(*error_);
  }
  [[nodiscard]] const Error& error() const& {
    CLUSTER_ASSERT(!has_value());
    return *error_;
  }
  [[nodiscard]] Error&& error() && {
    CLUSTER_ASSERT(!has_value());
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

}  // namespace cluster
