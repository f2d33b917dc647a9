#pragma once
#include <coroutine>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "cluster/runtime/server_host.hpp"

namespace cluster {

/// A call that a handler made and whose answer it has not yet taken. Sent already: two of them run side by
/// side. Destroyed unawaited, its answer is dropped. Stays in the server that made it.
///
/// GCC 12 destroys aggregate temporaries inside a co_await expression twice, so a call made from a message
/// is named first:  auto pending = call(bank, Deposit{"ada", 5});  auto sum = co_await pending;
template <class R>
class PendingCall {
 public:
  class Awaiter {
   public:
    explicit Awaiter(PendingCall& call) noexcept : call_(call) {}
    [[nodiscard]] bool await_ready() const noexcept { return call_.host_->call_answered(call_.id_); }
    void await_suspend(std::coroutine_handle<> waiter) const noexcept {
      call_.host_->await_call(call_.id_, waiter);
    }
    Result<R> await_resume() const { return call_.take(); }

   private:
    PendingCall& call_;
  };

  PendingCall(runtime::ServerHost& host, std::uint64_t id) noexcept : host_(&host), id_(id) {}
  PendingCall(PendingCall&& other) noexcept : host_(other.host_), id_(std::exchange(other.id_, 0)) {}
  PendingCall& operator=(PendingCall&& other) noexcept {
    if (this != &other) {
      if (id_ != 0) host_->forget_call(id_);
      host_ = other.host_;
      id_ = std::exchange(other.id_, 0);
    }
    return *this;
  }
  ~PendingCall() {
    if (id_ != 0) host_->forget_call(id_);
  }

  /// Awaited once.
  Awaiter operator co_await() & noexcept { return Awaiter(*this); }
  Awaiter operator co_await() && = delete;

 protected:
  Result<R> take() {
    const auto id = std::exchange(id_, 0);
    if (id == 0) return Error(Errc::invalid_argument, "this call was awaited before");
    const auto reply = host_->take_reply(id);
    return runtime::take<R>(*reply);
  }

 private:
  runtime::ServerHost* host_;
  std::uint64_t id_;
};

/// A PendingCall whose message was built inside `call<M>(ref, fields...)`, so that it is safe to await in
/// place.
template <class R>
class DirectCall : public PendingCall<R> {
 public:
  using PendingCall<R>::PendingCall;
  typename PendingCall<R>::Awaiter operator co_await() & noexcept {
    return typename PendingCall<R>::Awaiter(*this);
  }
  typename PendingCall<R>::Awaiter operator co_await() && noexcept {
    return typename PendingCall<R>::Awaiter(*this);
  }
};

namespace detail {
/// GCC 12 would destroy a temporary of this type twice inside a co_await expression.
template <class T>
inline constexpr bool is_unsafe_in_await =
    !std::is_lvalue_reference_v<T> && std::is_aggregate_v<std::remove_cvref_t<T>> &&
    !std::is_trivially_destructible_v<std::remove_cvref_t<T>>;
}  // namespace detail

/// What `call<M>(ref, fields...)` gives: awaitable in place, unless a field is itself an aggregate temporary.
template <class R, class... Fields>
using InPlaceCall =
    std::conditional_t<(detail::is_unsafe_in_await<Fields> || ...), PendingCall<R>, DirectCall<R>>;

}  // namespace cluster
