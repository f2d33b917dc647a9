#pragma once
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cluster/base/time.hpp"
#include "cluster/runtime/message.hpp"

namespace cluster::runtime {

/// The open calls of one server: who waits for which reply, until when. Ids are never reused, so a late
/// reply finds nobody. One thread at a time. `find` is O(1); `open`, `close` too while
/// calls are opened in the order of their deadlines, as those of one timeout are, else O(log open) amortized.
class CallTable {
 public:
  struct Call {
    std::uint64_t id = 0;      ///< 0: the slot is free
    std::uint64_t remote = 0;  ///< the Services' name of it, 0 for a local one
    std::coroutine_handle<> waiter;
    ReplyPtr reply;
  };

  /// 0 if a million calls are open already.
  std::uint64_t open(Instant deadline);
  /// Null if there is no such call (any more).
  [[nodiscard]] Call* find(std::uint64_t id) noexcept {
    const std::size_t slot = slot_of(id);
    return id != 0 && slot < slots_.size() && slots_[slot].id == id ? &slots_[slot] : nullptr;
  }
  void close(std::uint64_t id) noexcept;
  /// The unanswered calls whose deadline is at or before `now`, the earliest first; each is told once.
  [[nodiscard]] std::vector<std::uint64_t> take_expired(Instant now);
  /// The earliest deadline of the other unanswered calls; kNever if there is none.
  [[nodiscard]] Instant earliest();
  /// How many deadlines it keeps, those of closed calls included: at most 64 more than twice the open calls.
  [[nodiscard]] std::size_t deadlines_kept() const noexcept { return deadlines_.size(); }

 private:
  struct Deadline {
    Instant at;
    std::uint64_t id;
  };
  static constexpr unsigned kSlotBits = 20;  // at most a million open calls a server
  static constexpr std::size_t kStaleMax = 64;

  [[nodiscard]] static std::size_t slot_of(std::uint64_t id) noexcept {
    return static_cast<std::size_t>(id & ((std::uint64_t{1} << kSlotBits) - 1));
  }
  [[nodiscard]] bool waits(std::uint64_t id) noexcept {
    const Call* call = find(id);
    return call != nullptr && call->reply == nullptr;
  }
  void push_deadline(Deadline deadline);
  void pop_deadline() noexcept;
  /// The first of `deadlines_` is of a call that waits, or there is none.
  void drop_stale_deadlines() noexcept;

  std::vector<Call> slots_;
  std::vector<std::uint32_t> free_;
  // A heap, the earliest first. An entry stays when its call is closed or answered (stale), until it is the
  // first, or more than half of all are stale.
  std::vector<Deadline> deadlines_;
  std::size_t open_ = 0;
  std::uint64_t generation_ = 0;
};

}  // namespace cluster::runtime
