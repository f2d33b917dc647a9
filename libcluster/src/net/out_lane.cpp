#include "out_lane.hpp"

#include <algorithm>
#include <utility>

#include "cluster/base/assert.hpp"

namespace cluster::net {
namespace {

using wire::kFrameBodyBytesMax;
using wire::kFrameHeaderBytes;
using wire::kMessagePrefixBytes;

}  // namespace

void OutLane::append(Items& items, std::uint64_t ticket, ByteView message) {
  const std::size_t needed = kMessagePrefixBytes + message.size();
  if (items.empty() || items.back().whole != 0 ||
      items.back().batch.size() + needed > kFrameHeaderBytes + kBatchBytes) {
    items.push_back(Item{.batch = pool_->take()});
    items.back().entries.reserve(kEntriesAtFirst);
  }
  Item& item = items.back();
  const std::size_t at = item.batch.size();
  item.entries.push_back({ticket, static_cast<std::uint32_t>(at)});
  std::array<std::uint8_t, kMessagePrefixBytes> length;
  store_be(length.data(), static_cast<std::uint32_t>(message.size()));
  item.batch.insert(item.batch.end(), length.begin(), length.end());
  item.batch.insert(item.batch.end(), message.begin(), message.end());
}

void OutLane::push(std::uint64_t ticket, std::uint64_t pair, ByteView message) {
  if (!queue_of_.empty())
    if (const auto found = queue_of_.find(pair); found != queue_of_.end())
      return append(found->second->items, ticket, message);
  append(batches_, ticket, message);
}

void OutLane::push_large(std::uint64_t ticket, std::uint64_t pair, Bytes&& message) {
  auto& queue = queue_of_[pair];
  if (queue == Queues::iterator()) {
    const std::uint64_t after = batches_.empty() ? 0 : batches_.back().last_ticket();
    queue = waiting_.insert(waiting_.end(), Queue{.pair = pair, .after = after});
  }
  const std::size_t whole = message.size();
  queue->items.push_back(Item{
      .entries = {{ticket, 0}}, .whole = whole, .large = std::make_shared<const Bytes>(std::move(message))});
}

bool OutLane::may_go(const Queue& queue, const OpenStreams& streams) const {
  const Item& item = queue.items.front();
  return item.whole == 0 || item.stream != 0 || item.whole <= streams.bytes_max - streams.bytes;
}

void OutLane::admit_waiting() {
  while (!waiting_.empty() && turns_.size() < kTurnsMax &&
         (batches_.empty() || batches_.front().entries.front().ticket > waiting_.front().after)) {
    waiting_.front().waiting = false;
    turns_.splice(turns_.end(), waiting_, waiting_.begin());
  }
}

OutLane::Queues::iterator OutLane::next_queue(const OpenStreams& streams) {
  admit_waiting();
  return std::find_if(turns_.begin(), turns_.end(),
                      [&](const Queue& queue) { return may_go(queue, streams); });
}

bool OutLane::ready(const OpenStreams& streams) {
  return !batches_.empty() || next_queue(streams) != turns_.end();
}

OutLane::Left OutLane::pop(OutFrame& frame, OpenStreams& streams) {
  const auto queue = queue_of_.empty() ? turns_.end() : next_queue(streams);
  if (!batches_.empty() && (!batch_was_last_ || queue == turns_.end())) {
    batch_was_last_ = true;
    return pop_batch(batches_, frame);
  }
  batch_was_last_ = false;
  CLUSTER_ASSERT(queue != turns_.end());
  Items& items = queue->items;
  turns_.splice(turns_.end(), turns_, queue);
  if (items.front().whole == 0) {
    const Left left = pop_batch(items, frame);
    remove_if_empty(queue);
    return left;
  }
  const Left left = pop_fragment(items.front(), frame, streams);
  if ((frame.flags & (wire::kFlagFragmentLast | wire::kFlagFragmentWithdrawn)) != 0) {
    items.pop_front();
    remove_if_empty(queue);
  }
  return left;
}

OutLane::Left OutLane::pop_batch(Items& items, OutFrame& frame) {
  Item item = std::move(items.front());
  items.pop_front();
  const std::size_t count = item.entries.size();
  const Left left{count, item.batch.size() - kFrameHeaderBytes - count * kMessagePrefixBytes};
  frame = OutFrame{.bytes = std::move(item.batch), .messages = count};
  return left;
}

OutLane::Left OutLane::pop_fragment(Item& item, OutFrame& frame, OpenStreams& streams) {
  frame = OutFrame{.flags = wire::kFlagFragment};
  const bool first = item.stream == 0;
  if (first) {
    if (++streams.last == 0) ++streams.last;
    item.stream = streams.last;
    streams.bytes += item.whole;
    frame.flags |= wire::kFlagFragmentFirst;
  }
  frame.prefix_bytes =
      kFrameHeaderBytes + wire::write_fragment_prefix(frame.prefix.data() + kFrameHeaderBytes, item.stream,
                                                      first ? item.whole : 0);
  if (item.is_withdrawn()) {
    frame.flags |= wire::kFlagFragmentWithdrawn;
    end_stream(item, streams);
    return {};
  }
  const std::size_t room = kFrameHeaderBytes + kFrameBodyBytesMax - frame.prefix_bytes;
  frame.message = item.large;
  frame.slice = ByteView(*item.large).subspan(item.sent, std::min(room, item.whole - item.sent));
  item.sent += frame.slice.size();
  if (item.sent < item.whole) return {};
  frame.flags |= wire::kFlagFragmentLast;
  frame.messages = 1;
  end_stream(item, streams);
  return {1, item.whole};
}

void OutLane::end_stream(Item& item, OpenStreams& streams) noexcept {
  if (item.stream != 0) streams.bytes -= item.whole;
  item.stream = 0;
  item.sent = 0;
}

void OutLane::remove_if_empty(Queues::iterator queue) {
  if (!queue->items.empty()) return;
  queue_of_.erase(queue->pair);
  (queue->waiting ? waiting_ : turns_).erase(queue);
}

bool OutLane::find_in(const Items& items, std::uint64_t ticket, Place& place) {
  const auto item = std::partition_point(items.begin(), items.end(),
                                         [&](const Item& i) { return i.last_ticket() < ticket; });
  if (item == items.end() || item->is_withdrawn()) return false;
  const auto entry = std::partition_point(item->entries.begin(), item->entries.end(),
                                          [&](const Entry& e) { return e.ticket < ticket; });
  if (entry->ticket != ticket) return false;
  place.item = static_cast<std::size_t>(item - items.begin());
  place.entry = static_cast<std::size_t>(entry - item->entries.begin());
  return true;
}

bool OutLane::find(std::uint64_t ticket, Place& place) {
  place.items = &batches_;
  place.queue = turns_.end();
  if (find_in(batches_, ticket, place)) return true;
  for (Queues* queues : {&turns_, &waiting_})
    for (auto queue = queues->begin(); queue != queues->end(); ++queue)
      if (find_in(queue->items, ticket, place)) {
        place.items = &queue->items;
        place.queue = queue;
        return true;
      }
  return false;
}

bool OutLane::contains(std::uint64_t ticket) const {
  Place place;
  const auto has = [&](const Queue& queue) { return find_in(queue.items, ticket, place); };
  return find_in(batches_, ticket, place) || std::any_of(turns_.begin(), turns_.end(), has) ||
         std::any_of(waiting_.begin(), waiting_.end(), has);
}

OutLane::Left OutLane::cancel(std::uint64_t ticket) {
  Place place;
  if (!find(ticket, place)) return {};
  const Left left = (*place.items)[place.item].whole != 0 ? cancel_large(place) : cancel_small(place);
  if (place.items != &batches_) remove_if_empty(place.queue);
  return left;
}

OutLane::Left OutLane::cancel_large(const Place& place) {
  Item& item = (*place.items)[place.item];
  const Left left{1, item.whole};
  item.large = nullptr;
  if (item.stream == 0) place.items->erase(place.items->begin() + static_cast<std::ptrdiff_t>(place.item));
  return left;
}

OutLane::Left OutLane::cancel_small(const Place& place) {
  Item& item = (*place.items)[place.item];
  const std::uint32_t offset = item.entries[place.entry].offset;
  const std::size_t message_bytes = load_be<std::uint32_t>(item.batch.data() + offset);
  const std::size_t gone = kMessagePrefixBytes + message_bytes;
  item.batch.erase(item.batch.begin() + offset,
                   item.batch.begin() + offset + static_cast<std::ptrdiff_t>(gone));
  item.entries.erase(item.entries.begin() + static_cast<std::ptrdiff_t>(place.entry));
  for (std::size_t i = place.entry; i < item.entries.size(); ++i)
    item.entries[i].offset -= static_cast<std::uint32_t>(gone);
  if (item.entries.empty()) {
    pool_->give(std::move(item.batch));
    place.items->erase(place.items->begin() + static_cast<std::ptrdiff_t>(place.item));
  }
  return {1, message_bytes};
}

void OutLane::on_link_down(OpenStreams& streams) noexcept {
  for (auto queue = turns_.begin(); queue != turns_.end();) {
    const auto next = std::next(queue);
    Item& item = queue->items.front();  // no other is begun
    end_stream(item, streams);
    if (item.is_withdrawn()) queue->items.pop_front();  // there is nobody to tell any more
    remove_if_empty(queue);
    queue = next;
  }
}

void OutLane::clear(std::vector<Ticket>& tickets) {
  const auto take = [&](Items& items) {
    for (Item& item : items) {
      if (item.is_withdrawn()) continue;
      for (const Entry& entry : item.entries) tickets.push_back(Ticket{entry.ticket});
      pool_->give(std::move(item.batch));
    }
    items.clear();
  };
  take(batches_);
  for (Queues* queues : {&turns_, &waiting_}) {
    for (Queue& queue : *queues) take(queue.items);
    queues->clear();
  }
  queue_of_.clear();
}

}  // namespace cluster::net
