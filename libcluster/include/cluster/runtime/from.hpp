#pragma once
#include <exception>
#include <type_traits>
#include <utility>

#include "cluster/runtime/message.hpp"

namespace cluster {

/// The right to answer one call, later and from anywhere: keep it, move it, answer it from any thread.
/// Answers at most once. Destroyed unanswered, it tells the caller so; no caller waits in vain.
template <class R = void>
class From {
 public:
  explicit From(runtime::ReplyTo to, bool tells_outcome = false) noexcept
      : to_(std::move(to)), tells_outcome_(tells_outcome) {}
  From(From&&) noexcept = default;
  From& operator=(From&&) noexcept = default;
  ~From() {
    if (to_ && std::uncaught_exceptions() > exceptions_)
      to_.fail(Error(Errc::handler_failed, "the handler threw before it answered"));
  }

  /// An error counts as one of a handler that ran, whatever its code, unless the server `tells_outcome`.
  void reply(Result<R> result) noexcept {
    if (!result) return fail(result.error());
    runtime::deliver<R>(to_, std::move(result));
  }
  void reply() noexcept requires std::is_void_v<R> { runtime::deliver<void>(to_, {}); }
  void fail(const Error& error) noexcept { to_.fail(tells_outcome_ ? error : runtime::ran(error)); }
  /// False once answered, and for a message that was cast.
  [[nodiscard]] bool waiting() const noexcept { return static_cast<bool>(to_); }

 private:
  runtime::ReplyTo to_;
  bool tells_outcome_;
  int exceptions_ = std::uncaught_exceptions();
};

}  // namespace cluster
