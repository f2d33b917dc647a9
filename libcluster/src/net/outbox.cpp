#include "outbox.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace cluster::net {

Outbox::Outbox(BufferPool& pool, QueueRoom& room, const NetLimits& limits)
    : limits_(&limits),
      lanes_{OutLane(pool), OutLane(pool), OutLane(pool)},
      streams_{.bytes_max = wire::reassembly_bytes_max(limits.message_bytes_max)},
      control_{.bound = limits.control_queue_bytes_max, .hold = QueueHold(room)},
      others_{.bound = limits.queue_bytes_max, .hold = QueueHold(room)},
      serial_(pool.first_serial()) {}

Result<std::uint64_t> Outbox::admit(Lane lane, std::size_t message_bytes) {
  if (message_bytes > limits_->message_bytes_max)
    return Error(Errc::too_large, "a message of " + std::to_string(message_bytes) + " bytes; the limit is " +
                                      std::to_string(limits_->message_bytes_max));
  Room& room = room_of(lane);
  const std::size_t cost = message_bytes + kMessageOverheadBytes;
  const bool oversize = cost > room.bound;
  if (oversize && room.oversize != 0)
    return Error(Errc::overloaded,
                 "another message over the queue's " + std::to_string(room.bound) + " bytes is on its way");
  if (!oversize && cost > room.bound - room.used)
    return Error(Errc::overloaded, "the queue is full (" + std::to_string(room.bound) + " bytes)");
  if (!room.hold.grow(room.bytes() + room.leaving + cost))
    return Error(Errc::overloaded, "the queues of all peers are full (" +
                                       std::to_string(room.hold.room().bytes_max()) + " bytes)");
  (oversize ? room.oversize : room.used) += cost;
  ++messages_;
  return ++serial_ * 4 + static_cast<std::uint64_t>(lane);
}

/// Returns what they counted.
std::size_t Outbox::account_out(Lane lane, OutLane::Left left) noexcept {
  const std::size_t cost = left.bytes + left.messages * kMessageOverheadBytes;
  Room& room = room_of(lane);
  // The message over the bound travels alone, so it left alone.
  if (left.messages == 1 && cost > room.bound)
    room.oversize = 0;
  else
    room.used -= cost;
  messages_ -= left.messages;
  return cost;
}

bool Outbox::travels_alone(Lane lane, std::size_t message_bytes) noexcept {
  return message_bytes > wire::kWholeMessageBytesMax ||
         message_bytes + kMessageOverheadBytes > room_of(lane).bound;
}

Result<Ticket> Outbox::push(Lane lane, std::uint64_t pair, ByteView message) {
  if (travels_alone(lane, message.size())) return push(lane, pair, Bytes(message.begin(), message.end()));
  auto ticket = admit(lane, message.size());
  if (!ticket) return std::move(ticket).error();
  lanes_[static_cast<std::size_t>(lane)].push(ticket.value(), pair, message);
  return Ticket{ticket.value()};
}

Result<Ticket> Outbox::push(Lane lane, std::uint64_t pair, Bytes&& message) {
  if (!travels_alone(lane, message.size())) return push(lane, pair, ByteView(message));
  auto ticket = admit(lane, message.size());
  if (!ticket) return std::move(ticket).error();
  lanes_[static_cast<std::size_t>(lane)].push_large(ticket.value(), pair, std::move(message));
  return Ticket{ticket.value()};
}

/// kLanes if no lane has a frame.
std::size_t Outbox::choose_lane() {
  std::array<bool, wire::kLanes> ready{};
  for (std::size_t lane = 0; lane < wire::kLanes; ++lane) ready[lane] = lanes_[lane].ready(streams_);
  std::size_t chosen = wire::kLanes;
  for (std::size_t lane = wire::kLanes; lane-- > 0;)
    if (ready[lane] && (chosen == wire::kLanes || passed_over_[chosen] < kPassedOverMax)) chosen = lane;
  for (std::size_t lane = 0; lane < wire::kLanes; ++lane)
    passed_over_[lane] = lane != chosen && ready[lane] ? passed_over_[lane] + 1 : 0;
  return chosen;
}

bool Outbox::pop_frame(OutFrame& frame) {
  const std::size_t lane = choose_lane();
  if (lane == wire::kLanes) return false;
  const auto left = lanes_[lane].pop(frame, streams_);
  frame.lane = static_cast<Lane>(lane);
  room_of(frame.lane).leaving += account_out(frame.lane, left);
  return true;
}

void Outbox::settle() noexcept {
  for (Room* room : {&control_, &others_}) {
    room->leaving = 0;
    room->hold.shrink(room->bytes());
  }
}

bool Outbox::contains(Ticket ticket) const {
  return lane_index(ticket) < lanes_.size() && lanes_[lane_index(ticket)].contains(ticket.value);
}

bool Outbox::cancel(Ticket ticket) {
  if (lane_index(ticket) >= lanes_.size()) return false;
  const auto left = lanes_[lane_index(ticket)].cancel(ticket.value);
  const auto lane = static_cast<Lane>(lane_index(ticket));
  account_out(lane, left);
  Room& room = room_of(lane);
  room.hold.shrink(room.bytes() + room.leaving);
  return left.messages != 0;
}

void Outbox::on_link_down() noexcept {
  for (OutLane& lane : lanes_) lane.on_link_down(streams_);
  settle();
}

std::vector<Ticket> Outbox::clear() {
  std::vector<Ticket> tickets;
  tickets.reserve(messages_);
  for (OutLane& lane : lanes_) lane.clear(tickets);
  streams_.bytes = 0;
  control_.used = control_.oversize = others_.used = others_.oversize = 0;
  settle();
  messages_ = 0;
  std::sort(tickets.begin(), tickets.end());
  return tickets;
}

}  // namespace cluster::net
