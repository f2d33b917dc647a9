#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "cluster/net/net_kernel.hpp"
#include "cluster/runtime/message.hpp"
#include "route.hpp"

namespace cluster::runtime {

/// The calls that this node has open at other nodes. Thread-safe. Ids start at a random number, so that an
/// earlier life's late reply finds nobody.
///
/// An id is generation | slot | shard: it says where its call is, and a call that has ended is never taken
/// for its successor in the slot. A thread opens its calls in one shard, so threads seldom meet at a lock.
class RemoteCalls {
 public:
  struct Call {
    std::shared_ptr<Route> route;
    ReplyTo to;
    std::optional<net::Ticket> ticket;  ///< empty until the kernel took it
    std::uint64_t breaks = 0;           ///< of the route, when it was opened
  };

  explicit RemoteCalls(std::uint64_t first_generation);
  RemoteCalls();

  std::uint64_t open(std::shared_ptr<Route> route, ReplyTo to);
  /// The kernel took the call. True: a link to the node broke meanwhile. If the message did not stay in the
  /// queue, nobody else will end the call.
  [[nodiscard]] bool set_ticket(std::uint64_t id, net::Ticket ticket);
  /// Ends the call and hands it out; nothing if it has ended.
  std::optional<Call> close(std::uint64_t id);
  /// The same, only if it is a call to `node`: nobody answers for another.
  std::optional<Call> close_at(std::uint64_t id, const NodeId& node);
  /// Whether a call on `route` is open.
  [[nodiscard]] bool has_calls(const Route& route);
  /// A link broke, or the queue was dropped: ends all calls on `route` for which `ends(ticket)`.
  template <class Ends>
  std::vector<Call> close_all(Route& route, Ends&& ends);

 private:
  static constexpr unsigned kShardBits = 4;
  static constexpr unsigned kSlotBits = 24;
  struct Slot {
    std::uint64_t id = 0;  // 0: free
    Call call;
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::uint64_t generation = 0;  // of the last call opened
    std::vector<Slot> slots;
    std::vector<std::uint32_t> free;

    [[nodiscard]] Slot* find(std::uint64_t id) noexcept;
    [[nodiscard]] Call take(Slot& slot) noexcept;
  };
  [[nodiscard]] Shard& shard_of(std::uint64_t id) noexcept { return shards_[id % shards_.size()]; }

  std::array<Shard, 1u << kShardBits> shards_;
};

template <class Ends>
std::vector<RemoteCalls::Call> RemoteCalls::close_all(Route& route, Ends&& ends) {
  std::vector<Call> closed;
  route.breaks.fetch_add(1);  // who gets a ticket after a shard was swept sees it
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (Slot& slot : shard.slots)
      if (slot.id != 0 && slot.call.route.get() == &route && slot.call.ticket && ends(*slot.call.ticket))
        closed.push_back(shard.take(slot));
  }
  return closed;
}

}  // namespace cluster::runtime
