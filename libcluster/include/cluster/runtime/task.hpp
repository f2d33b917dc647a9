#pragma once
#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "cluster/base/assert.hpp"
#include "cluster/runtime/pool.hpp"

namespace cluster {

template <class T>
class Task;

namespace detail {

/// What every Task's promise shares: who continues when it ends, and what it threw.
class TaskPromiseBase : public runtime::Pooled {
 public:
  /// Called once when a top-level task (one that nobody awaits) has ended; its frame is still alive.
  using OnDone = void (*)(void* context);

  struct FinalAwaiter {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      TaskPromiseBase& promise = ended.promise();
      if (promise.continuation_) return promise.continuation_;
      if (promise.on_done_ != nullptr) promise.on_done_(promise.context_);
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };

  /// Runs at once, in the caller: a handler that never waits never suspends.
  [[nodiscard]] std::suspend_never initial_suspend() const noexcept { return {}; }
  [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { thrown_ = std::current_exception(); }

  void continue_with(std::coroutine_handle<> continuation) noexcept { continuation_ = continuation; }
  void notify(OnDone on_done, void* context) noexcept {
    on_done_ = on_done;
    context_ = context;
  }
  void rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  std::coroutine_handle<> continuation_;
  OnDone on_done_ = nullptr;
  void* context_ = nullptr;
  std::exception_ptr thrown_;
};

template <class T>
class TaskPromise : public TaskPromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <class U>
  requires std::convertible_to<U&&, T>
  void return_value(U&& value) { value_.emplace(std::forward<U>(value)); }
  T take() {
    rethrow();
    CLUSTER_ASSERT(value_.has_value());
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class TaskPromise<void> : public TaskPromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const { rethrow(); }
};

}  // namespace detail

/// A coroutine that ends with a T: what a handler that waits returns, and what its helper functions
/// return to it. It runs inside its actor's slice and is never resumed concurrently. Owns its frame:
/// destroying a suspended task destroys the locals of all that it waits in.
template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle frame) noexcept : frame_(frame) {}
  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = std::exchange(other.frame_, {});
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (frame_) frame_.destroy();
  }

  [[nodiscard]] bool done() const noexcept { return frame_.done(); }
  /// The result, or what the coroutine threw. Only once, when `done()`.
  T take() { return frame_.promise().take(); }
  /// Calls `on_done(context)` when the task ends; for tasks that no coroutine awaits.
  void notify(detail::TaskPromiseBase::OnDone on_done, void* context) noexcept {
    frame_.promise().notify(on_done, context);
  }

  [[nodiscard]] bool await_ready() const noexcept { return frame_.done(); }
  void await_suspend(std::coroutine_handle<> awaiting) noexcept { frame_.promise().continue_with(awaiting); }
  T await_resume() { return take(); }

 private:
  Handle frame_;
};

template <class T>
Task<T> detail::TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(Task<T>::Handle::from_promise(*this));
}
inline Task<void> detail::TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(Task<void>::Handle::from_promise(*this));
}

template <class T>
inline constexpr bool is_task_v = false;
template <class T>
inline constexpr bool is_task_v<Task<T>> = true;

}  // namespace cluster
