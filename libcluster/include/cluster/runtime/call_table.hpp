#pragma once
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cluster/base/time.hpp"
#include "cluster/runtime/message.hpp"

namespace cluster::runtime {

/// The open calls of one server: who waits for which reply, until when. Ids are never reused, so a late
/// reply finds nobody. One thread at a time. All operations O(1) but `expired` and `earliest`, O(open).
class CallTable {
 public:
  struct Call {
    std::uint64_t id = 0;      ///< 0: the slot is free
    std::uint64_t remote = 0;  ///< the Services' name of it, 0 for a local one
    Instant deadline = kNever;
    std::coroutine_handle<> waiter;
    ReplyPtr reply;
  };

  /// 0 if a million calls are open already.
  std::uint64_t open(Instant deadline);
  /// Null if there is no such call (any more).
  [[nodiscard]] Call* find(std::uint64_t id) noexcept;
  void close(std::uint64_t id) noexcept;
  /// The unanswered calls whose deadline is at or before `now`.
  [[nodiscard]] std::vector<std::uint64_t> expired(Instant now) const;
  /// The earliest deadline of an unanswered call; kNever if there is none.
  [[nodiscard]] Instant earliest() const noexcept;

 private:
  static constexpr unsigned kSlotBits = 20;  // at most a million open calls a server
  std::vector<Call> slots_;
  std::vector<std::uint32_t> free_;
  std::uint64_t generation_ = 0;
};

}  // namespace cluster::runtime
