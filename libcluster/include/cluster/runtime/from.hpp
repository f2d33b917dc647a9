#pragma once
#include <type_traits>
#include <utility>

#include "cluster/runtime/message.hpp"

namespace cluster {

/// The right to answer one call, later and from anywhere: keep it, move it, answer it from any thread.
/// Answers at most once. Destroyed unanswered, it tells the caller so; no caller waits in vain.
template <class R = void>
class From {
 public:
  explicit From(runtime::ReplyTo to) noexcept : to_(std::move(to)) {}

  void reply(Result<R> result) noexcept { runtime::deliver<R>(to_, std::move(result)); }
  void reply() noexcept requires std::is_void_v<R> { runtime::deliver<void>(to_, {}); }
  void fail(Error error) noexcept { to_.fail(std::move(error)); }
  /// False once answered, and for a message that was cast.
  [[nodiscard]] bool waiting() const noexcept { return static_cast<bool>(to_); }

 private:
  runtime::ReplyTo to_;
};

}  // namespace cluster
