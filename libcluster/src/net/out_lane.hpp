#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/net/net_kernel.hpp"
#include "cluster/wire/reassembler.hpp"
#include "out_frame.hpp"

namespace cluster::net {

/// The messages under way in fragments on one connection: what the receiver has to put together at a time.
struct OpenStreams {
  std::size_t bytes_max = 0;  ///< of the messages under way, together
  std::size_t bytes = 0;
  std::uint32_t last = 0;  ///< names the newest
};

/// The messages of one lane that wait for one peer, in the shape in which they will travel. Small ones lie
/// side by side in batches, which become frames' bodies. A pair of sender and receiver with a large
/// message has a queue of its own until that is empty, so that its small messages stay behind the large one,
/// and nobody else's do. Frames are taken from the batches and from those queues in turn.
///
/// Not synchronised. Cost of a push or a frame: constant; of a cancel: the pairs with large messages, and the
/// batch that the message is in.
class OutLane {
 public:
  /// So many pairs take turns; those with a large message behind them wait, first come first served.
  static constexpr std::size_t kTurnsMax = wire::Reassembler::kStreamsMax / wire::kLanes;

  /// A batch takes no more messages that would make it longer than this; a single longer message has one of
  /// its own. So the signature's cost is shared by many, and both sides still find several frames to hash
  /// side by side, which is twice as fast as one by one (sha256_lanes.hpp).
  static constexpr std::size_t kBatchBytes = 16 * 1024;

  /// For which a new batch has room without growing.
  static constexpr std::size_t kEntriesAtFirst = 16;

  /// Messages that left the queue.
  struct Left {
    std::size_t messages = 0;
    std::size_t bytes = 0;  ///< of the messages alone
  };

  explicit OutLane(BufferPool& pool) : pool_(&pool) {}

  /// Tickets increase. `message` fits into a frame.
  void push(std::uint64_t ticket, std::uint64_t pair, ByteView message);
  void push_large(std::uint64_t ticket, std::uint64_t pair, Bytes&& message);
  /// Whether there is a frame to take; a message that `streams` has no room for is none.
  [[nodiscard]] bool ready(const OpenStreams& streams);
  /// The next frame; only if `ready`.
  Left pop(OutFrame& frame, OpenStreams& streams);
  /// Takes a message out; nothing if it is not here. One that is partly out is withdrawn: the receiver is
  /// told to forget it.
  Left cancel(std::uint64_t ticket);
  [[nodiscard]] bool contains(std::uint64_t ticket) const;
  template <class Change>
  void change(std::uint64_t ticket, Change&& change);
  /// The connection broke: messages that were partly out begin anew.
  void on_link_down(OpenStreams& streams) noexcept;
  /// Removes everything and appends its tickets.
  void clear(std::vector<Ticket>& tickets);

 private:
  struct Entry {
    std::uint64_t ticket;
    std::uint32_t offset;  // of its length prefix
  };
  /// A batch that grows, or one large message that becomes several frames.
  struct Item {
    Bytes batch{};                         // behind kFrameHeaderBytes of space
    std::vector<Entry> entries{};          // of the batch; one of a large message; never empty
    std::size_t whole = 0;                 // large: its size; 0: a batch
    std::shared_ptr<const Bytes> large{};  // null once it is withdrawn: only the notice is still to go
    std::size_t sent = 0;                  // large: bytes already in fragments
    std::uint32_t stream = 0;              // large and begun: names its fragments; else 0

    [[nodiscard]] std::uint64_t last_ticket() const { return entries.back().ticket; }
    [[nodiscard]] bool is_withdrawn() const noexcept { return whole != 0 && !large; }
  };
  using Items = std::deque<Item>;
  /// A pair with a large message.
  struct Queue {
    std::uint64_t pair = 0;
    std::uint64_t after = 0;  // its small messages up to this ticket are in the batches, and go first
    bool waiting = true;      // which list it is in
    Items items{};            // never empty
  };
  using Queues = std::list<Queue>;
  struct Place {
    Items* items = nullptr;
    Queues::iterator queue{};  // whose items; end of turns_: the batches
    std::size_t item = 0;
    std::size_t entry = 0;
  };

  void append(Items& items, std::uint64_t ticket, ByteView message);
  [[nodiscard]] bool may_go(const Queue& queue, const OpenStreams& streams) const;
  [[nodiscard]] Queues::iterator next_queue(const OpenStreams& streams);
  void admit_waiting();
  Left pop_batch(Items& items, OutFrame& frame);
  Left pop_fragment(Item& item, OutFrame& frame, OpenStreams& streams);
  void remove_if_empty(Queues::iterator queue);
  static void end_stream(Item& item, OpenStreams& streams) noexcept;
  /// Where in `items` the ticket is; nothing if it is not, or was withdrawn.
  [[nodiscard]] static bool find_in(const Items& items, std::uint64_t ticket, Place& place);
  [[nodiscard]] bool find(std::uint64_t ticket, Place& place);
  Left cancel_large(const Place& place);
  Left cancel_small(const Place& place);

  BufferPool* pool_;
  Items batches_;
  Queues turns_;                                                  // at most kTurnsMax; the front is next
  Queues waiting_;                                                // in the order in which they came
  std::unordered_map<std::uint64_t, Queues::iterator> queue_of_;  // by pair
  bool batch_was_last_ = false;                                   // batches and queues alternate
};

template <class Change>
void OutLane::change(std::uint64_t ticket, Change&& change) {
  Place place;
  if (!find(ticket, place)) return;
  Item& item = (*place.items)[place.item];
  if (item.whole == 0) {
    const auto message = std::span(item.batch).subspan(item.entries[place.entry].offset);
    const std::size_t bytes = load_be<std::uint32_t>(message.data());
    change(message.subspan(wire::kMessagePrefixBytes, bytes));
  } else if (item.large && item.stream == 0) {
    Bytes changed = *item.large;
    change(std::span(changed));
    item.large = std::make_shared<const Bytes>(std::move(changed));
  }
}

}  // namespace cluster::net
