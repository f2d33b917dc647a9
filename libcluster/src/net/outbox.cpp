#include "outbox.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace cluster::net {
namespace {

using wire::kFrameBodyBytesMax;
using wire::kFrameHeaderBytes;
using wire::kMessagePrefixBytes;

void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

void append_u32(Bytes& to, std::size_t value) {
  const std::size_t at = to.size();
  to.resize(at + 4);
  store_be(to.data() + at, static_cast<std::uint32_t>(value));
}

}  // namespace

Bytes BufferPool::take() {
  Bytes buffer;
  {
    const std::lock_guard lock(mutex_);
    if (!buffers_.empty()) {
      buffer = std::move(buffers_.back());
      buffers_.pop_back();
    }
  }
  buffer.resize(kFrameHeaderBytes);
  return buffer;
}

void BufferPool::give(Bytes&& buffer) noexcept {
  if (buffer.capacity() > 2 * wire::kFrameBytesMax) return;
  buffer.clear();
  const std::lock_guard lock(mutex_);
  if (buffers_.size() < kBuffersMax) buffers_.push_back(std::move(buffer));
}

Result<Ticket> Outbox::admit(Lane lane, std::size_t message_bytes) {
  if (message_bytes > limits_->message_bytes_max)
    return Error(Errc::too_large, "a message of " + std::to_string(message_bytes) + " bytes; the limit is " +
                                      std::to_string(limits_->message_bytes_max));
  const bool control = lane == Lane::control;
  std::size_t& used = control ? control_bytes_ : bulk_bytes_;
  const std::size_t bound = control ? limits_->control_queue_bytes_max : limits_->queue_bytes_max;
  const std::size_t cost = message_bytes + kMessageOverheadBytes;
  // An empty queue takes any message, so that one over the bound can travel at all.
  if (used > 0 && (used > bound || cost > bound - used))
    return Error(Errc::overloaded, "the queue is full (" + std::to_string(bound) + " bytes)");
  used += cost;
  ++messages_;
  return Ticket{++serial_ * 4 + static_cast<std::uint64_t>(lane)};
}

void Outbox::account_out(Lane lane, std::size_t messages, std::size_t message_bytes) noexcept {
  (lane == Lane::control ? control_bytes_ : bulk_bytes_) -= message_bytes + messages * kMessageOverheadBytes;
  messages_ -= messages;
}

Result<Ticket> Outbox::push(Lane lane, ByteView message) {
  const auto ticket = admit(lane, message.size());
  if (!ticket) return ticket;
  if (message.size() > wire::kWholeMessageBytesMax)
    return push_large(lane, ticket.value(), Bytes(message.begin(), message.end()));
  Lane_& items = lanes_[static_cast<std::size_t>(lane)];
  const std::size_t needed = kMessagePrefixBytes + message.size();
  if (items.empty() || items.back().large ||
      items.back().bytes.size() + needed > kFrameHeaderBytes + kFrameBodyBytesMax)
    items.push_back(Item{.bytes = pool_->take(), .entries = {}});
  Item& item = items.back();
  item.entries.push_back({ticket.value().value, static_cast<std::uint32_t>(item.bytes.size())});
  append_u32(item.bytes, message.size());
  append(item.bytes, message);
  return ticket;
}

Result<Ticket> Outbox::push(Lane lane, Bytes&& message) {
  if (message.size() <= wire::kWholeMessageBytesMax) return push(lane, ByteView(message));
  const auto ticket = admit(lane, message.size());
  if (!ticket) return ticket;
  return push_large(lane, ticket.value(), std::move(message));
}

Ticket Outbox::push_large(Lane lane, Ticket ticket, Bytes message) {
  Item item{.bytes = std::move(message), .entries = {{ticket.value, 0}}, .large = true};
  lanes_[static_cast<std::size_t>(lane)].push_back(std::move(item));
  return ticket;
}

bool Outbox::pop_frame(OutFrame& frame) {
  const auto found =
      std::find_if(lanes_.begin(), lanes_.end(), [](const Lane_& items) { return !items.empty(); });
  if (found == lanes_.end()) return false;
  const auto lane = static_cast<Lane>(found - lanes_.begin());
  if (found->front().large) {
    pop_fragment(lane, frame);
    return true;
  }
  Item item = std::move(found->front());
  found->pop_front();
  const std::size_t count = item.entries.size();
  account_out(lane, count, item.bytes.size() - kFrameHeaderBytes - count * kMessagePrefixBytes);
  frame = OutFrame{.bytes = std::move(item.bytes), .lane = lane, .messages = count};
  return true;
}

void Outbox::pop_fragment(Lane lane, OutFrame& frame) {
  Lane_& items = lanes_[static_cast<std::size_t>(lane)];
  Item& item = items.front();
  frame = OutFrame{.bytes = pool_->take(), .lane = lane, .flags = wire::kFlagFragment};
  if (item.sent == 0) item.stream = ++streams_;
  append_u32(frame.bytes, item.stream);
  if (item.sent == 0) {
    frame.flags |= wire::kFlagFragmentFirst;
    append_u32(frame.bytes, item.bytes.size());
  }
  const std::size_t room = kFrameHeaderBytes + kFrameBodyBytesMax - frame.bytes.size();
  const std::size_t count = std::min(room, item.bytes.size() - item.sent);
  append(frame.bytes, ByteView(item.bytes).subspan(item.sent, count));
  item.sent += count;
  if (item.sent < item.bytes.size()) return;
  frame.flags |= wire::kFlagFragmentLast;
  frame.messages = 1;
  account_out(lane, 1, item.bytes.size());
  items.pop_front();
}

bool Outbox::find(Ticket ticket, Place& place) const {
  if (ticket.value == 0 || lane_index(ticket) >= lanes_.size()) return false;
  const Lane_& items = lanes_[lane_index(ticket)];
  const auto item = std::partition_point(items.begin(), items.end(),
                                         [&](const Item& i) { return i.last_ticket() < ticket.value; });
  if (item == items.end()) return false;
  const auto entry = std::partition_point(item->entries.begin(), item->entries.end(),
                                          [&](const Entry& e) { return e.ticket < ticket.value; });
  if (entry->ticket != ticket.value) return false;
  place = Place{static_cast<std::size_t>(item - items.begin()),
                static_cast<std::size_t>(entry - item->entries.begin())};
  return true;
}

bool Outbox::contains(Ticket ticket) const {
  Place place;
  return find(ticket, place);
}

bool Outbox::cancel(Ticket ticket) {
  Place place;
  if (!find(ticket, place)) return false;
  Lane_& items = lanes_[lane_index(ticket)];
  const auto item = items.begin() + static_cast<std::ptrdiff_t>(place.item);
  const auto lane = static_cast<Lane>(lane_index(ticket));
  if (item->large) {
    if (item->sent > 0) return false;
    account_out(lane, 1, item->bytes.size());
    items.erase(item);
    return true;
  }
  const std::uint32_t offset = item->entries[place.entry].offset;
  const std::size_t message_bytes = load_be<std::uint32_t>(item->bytes.data() + offset);
  const std::size_t gone = kMessagePrefixBytes + message_bytes;
  account_out(lane, 1, message_bytes);
  item->bytes.erase(item->bytes.begin() + offset,
                    item->bytes.begin() + offset + static_cast<std::ptrdiff_t>(gone));
  item->entries.erase(item->entries.begin() + static_cast<std::ptrdiff_t>(place.entry));
  for (std::size_t i = place.entry; i < item->entries.size(); ++i)
    item->entries[i].offset -= static_cast<std::uint32_t>(gone);
  if (item->entries.empty()) {
    pool_->give(std::move(item->bytes));
    items.erase(item);
  }
  return true;
}

void Outbox::on_link_down() noexcept {
  for (Lane_& items : lanes_)
    if (!items.empty()) items.front().sent = 0;
}

std::vector<Ticket> Outbox::clear() {
  std::vector<Ticket> tickets;
  tickets.reserve(messages_);
  for (Lane_& items : lanes_) {
    for (Item& item : items) {
      for (const Entry& entry : item.entries) tickets.push_back(Ticket{entry.ticket});
      if (!item.large) pool_->give(std::move(item.bytes));
    }
    items.clear();
  }
  messages_ = bulk_bytes_ = control_bytes_ = 0;
  std::sort(tickets.begin(), tickets.end());
  return tickets;
}

}  // namespace cluster::net
