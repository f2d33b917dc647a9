#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/net/net_kernel.hpp"
#include "cluster/wire/frame.hpp"
#include "cluster/wire/reassembler.hpp"
#include "out_frame.hpp"
#include "out_lane.hpp"
#include "queue_room.hpp"

namespace cluster::net {

/// The messages that wait for one peer: three lanes, their bounds in bytes, and the tickets that name
/// messages.
///
/// The most urgent lane goes first, but a lane that waits gets one frame after each kPassedOverMax of more
/// urgent ones. Within a lane the pairs of sender and receiver take turns (OutLane). Not synchronised: its
/// Peer's lock guards it.
class Outbox {
 public:
  /// What a queued message counts beside its bytes.
  static constexpr std::size_t kMessageOverheadBytes = 32;
  static constexpr std::size_t kPassedOverMax = 16;

  Outbox(BufferPool& pool, QueueRoom& room, const NetLimits& limits);

  /// `pair`: see SendOptions. `overloaded` if the lane's bound or that of all peers would be passed,
  /// `too_large` over message_bytes_max. A message that alone is over the lane's bound is taken if no other
  /// such one waits, and leaves the bound to the rest.
  [[nodiscard]] Result<Ticket> push(Lane lane, std::uint64_t pair, ByteView message);
  [[nodiscard]] Result<Ticket> push(Lane lane, std::uint64_t pair, Bytes&& message);
  [[nodiscard]] bool pop_frame(OutFrame& frame);
  /// The frames that were popped are gone; until then they count in the room of all peers.
  void settle() noexcept;
  /// Takes a message out that was not given to a frame, or not to its end: then the receiver is told to
  /// forget what it has. True: it will not run.
  bool cancel(Ticket ticket);
  /// Whether a message is still here, wholly or in part; so it has not run.
  [[nodiscard]] bool contains(Ticket ticket) const;
  /// Hands a message of which nothing went out to `change`, which may change its bytes in place.
  template <class Change>
  void change(Ticket ticket, Change&& change) {
    if (lane_index(ticket) < lanes_.size())
      lanes_[lane_index(ticket)].change(ticket.value, std::forward<Change>(change));
  }
  /// The connection broke: messages of which some fragments went out begin anew.
  void on_link_down() noexcept;
  /// Removes everything, and says what it was.
  [[nodiscard]] std::vector<Ticket> clear();

  /// Messages, and bytes with their overhead.
  [[nodiscard]] bool empty() const noexcept { return messages_ == 0; }
  [[nodiscard]] std::size_t messages() const noexcept { return messages_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return control_.bytes() + others_.bytes(); }

 private:
  /// The room of one or two lanes.
  struct Room {
    std::size_t bound = 0;
    std::size_t used = 0;
    std::size_t oversize = 0;  // of the one message that is over the bound by itself
    std::size_t leaving = 0;   // of messages in frames that are being written
    QueueHold hold;
    [[nodiscard]] std::size_t bytes() const noexcept { return used + oversize; }
  };

  [[nodiscard]] Result<std::uint64_t> admit(Lane lane, std::size_t message_bytes);
  std::size_t account_out(Lane lane, OutLane::Left left) noexcept;
  [[nodiscard]] Room& room_of(Lane lane) noexcept { return lane == Lane::control ? control_ : others_; }
  /// In fragments, even if one is enough.
  [[nodiscard]] bool travels_alone(Lane lane, std::size_t message_bytes) noexcept;
  [[nodiscard]] std::size_t choose_lane();
  [[nodiscard]] static std::size_t lane_index(Ticket ticket) noexcept { return ticket.value & 3; }

  const NetLimits* limits_;
  std::array<OutLane, wire::kLanes> lanes_;
  std::array<std::size_t, wire::kLanes> passed_over_{};  // frames that went while this lane had one
  OpenStreams streams_;
  Room control_;
  Room others_;  // lanes normal and bulk
  std::size_t messages_ = 0;
  std::uint64_t serial_;  // of the last ticket: value = serial * 4 + lane
};

}  // namespace cluster::net
