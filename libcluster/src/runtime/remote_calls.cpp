#include "remote_calls.hpp"

#include <atomic>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/random.hpp"

namespace cluster::runtime {
namespace {

/// A number for the calling thread, so that threads spread over the shards.
std::size_t thread_number() noexcept {
  static std::atomic<std::size_t> last{0};
  thread_local const std::size_t number = last.fetch_add(1, std::memory_order_relaxed);
  return number;
}

}  // namespace

RemoteCalls::RemoteCalls(std::uint64_t first_generation) {
  for (Shard& shard : shards_) shard.generation = first_generation;
}

RemoteCalls::RemoteCalls() : RemoteCalls(crypto::random_u64() >> (kSlotBits + kShardBits)) {}

RemoteCalls::Slot* RemoteCalls::Shard::find(std::uint64_t id) noexcept {
  const auto at = static_cast<std::size_t>(id >> kShardBits & ((1u << kSlotBits) - 1));
  return id != 0 && at < slots.size() && slots[at].id == id ? &slots[at] : nullptr;
}

RemoteCalls::Call RemoteCalls::Shard::take(Slot& slot) noexcept {
  slot.id = 0;
  free.push_back(static_cast<std::uint32_t>(&slot - slots.data()));  // `open` has reserved the place
  return std::move(slot.call);
}

std::uint64_t RemoteCalls::open(std::shared_ptr<Route> route, ReplyTo to) {
  const std::size_t number = thread_number() % shards_.size();
  Shard& shard = shards_[number];
  const std::lock_guard lock(shard.mutex);
  if (shard.free.empty()) {
    CLUSTER_ASSERT(shard.slots.size() >> kSlotBits == 0);
    shard.free.push_back(static_cast<std::uint32_t>(shard.slots.size()));
    shard.slots.emplace_back();
    shard.free.reserve(shard.slots.capacity());
  }
  const std::uint64_t at = shard.free.back();
  shard.free.pop_back();
  Slot& slot = shard.slots[at];
  do slot.id = ++shard.generation << (kSlotBits + kShardBits) | at << kShardBits | number;
  while (slot.id == 0);  // which means "no call"
  const std::uint64_t breaks = route->breaks.load();
  slot.call = Call{std::move(route), std::move(to), std::nullopt, breaks};
  return slot.id;
}

bool RemoteCalls::set_ticket(std::uint64_t id, net::Ticket ticket) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  Slot* slot = shard.find(id);
  if (slot == nullptr) return false;
  slot->call.ticket = ticket;
  return slot->call.breaks != slot->call.route->breaks.load();
}

std::optional<RemoteCalls::Call> RemoteCalls::close(std::uint64_t id) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  Slot* slot = shard.find(id);
  if (slot == nullptr) return std::nullopt;
  return shard.take(*slot);
}

std::optional<RemoteCalls::Call> RemoteCalls::close_at(std::uint64_t id, const NodeId& node) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  Slot* slot = shard.find(id);
  if (slot == nullptr || slot->call.route->node != node) return std::nullopt;
  return shard.take(*slot);
}

bool RemoteCalls::has_calls(const Route& route) {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const Slot& slot : shard.slots)
      if (slot.id != 0 && slot.call.route.get() == &route) return true;
  }
  return false;
}

}  // namespace cluster::runtime
