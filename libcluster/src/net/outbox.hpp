#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/net/net_kernel.hpp"
#include "cluster/wire/frame.hpp"

namespace cluster::net {

/// A frame without its header's content and its tag: kFrameHeaderBytes of space, then the body.
struct OutFrame {
  Bytes bytes;
  wire::FrameKind kind = wire::FrameKind::messages;
  Lane lane = Lane::normal;
  std::uint16_t flags = 0;
  std::size_t messages = 0;  ///< that are complete with it
};

/// Empty buffers of a frame's size, shared by all peers of a kernel, so that a busy connection allocates
/// nothing and an idle one holds nothing. Any thread.
class BufferPool {
 public:
  static constexpr std::size_t kBuffersMax = 64;  ///< about 4 MiB

  /// An empty buffer with kFrameHeaderBytes of space in front.
  [[nodiscard]] Bytes take();
  void give(Bytes&& buffer) noexcept;
  /// Where an outbox begins to count its tickets, so that none of a peer's earlier outbox names a message
  /// of its later one.
  [[nodiscard]] std::uint64_t first_serial() noexcept { return outboxes_.fetch_add(1) << 32; }

 private:
  std::atomic<std::uint64_t> outboxes_{0};
  std::mutex mutex_;
  std::vector<Bytes> buffers_;
};

/// The messages that wait for one peer, in order per lane, in the shape in which they will travel: small
/// ones side by side in bodies of up to 64 KiB, large ones whole until they are cut into fragments.
/// Bounded by bytes. Not synchronised: its Peer's lock guards it.
class Outbox {
 public:
  /// What a queued message counts beside its bytes.
  static constexpr std::size_t kMessageOverheadBytes = 32;

  Outbox(BufferPool& pool, const NetLimits& limits)
      : pool_(&pool), limits_(&limits), serial_(pool.first_serial()) {}

  /// `overloaded` if the lane's bound would be passed, `too_large` over message_bytes_max.
  [[nodiscard]] Result<Ticket> push(Lane lane, ByteView message);
  [[nodiscard]] Result<Ticket> push(Lane lane, Bytes&& message);
  /// The next frame, of the most urgent lane that has one.
  [[nodiscard]] bool pop_frame(OutFrame& frame);
  /// Takes a message out that no frame was made of. Cost: the frame that it waits in.
  bool cancel(Ticket ticket);
  /// Whether a message is still here, wholly or in part; so it has not run.
  [[nodiscard]] bool contains(Ticket ticket) const;
  /// The connection broke: messages of which some fragments went out begin anew.
  void on_link_down() noexcept;
  /// Removes everything, and says what it was.
  [[nodiscard]] std::vector<Ticket> clear();

  [[nodiscard]] bool empty() const noexcept { return messages_ == 0; }
  [[nodiscard]] std::size_t messages() const noexcept { return messages_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bulk_bytes_ + control_bytes_; }

 private:
  struct Entry {
    std::uint64_t ticket;
    std::uint32_t offset;  // of its length prefix
  };
  /// A frame's body that grows, or (`large`) one message that becomes several frames.
  struct Item {
    Bytes bytes;
    std::vector<Entry> entries;  // never empty; one if large
    bool large = false;
    std::size_t sent = 0;      // large: bytes already in fragments
    std::uint32_t stream = 0;  // large and begun: names its fragments
    [[nodiscard]] std::uint64_t last_ticket() const { return entries.back().ticket; }
  };
  using Lane_ = std::deque<Item>;

  [[nodiscard]] Result<Ticket> admit(Lane lane, std::size_t message_bytes);
  void account_out(Lane lane, std::size_t messages, std::size_t message_bytes) noexcept;
  [[nodiscard]] Ticket push_large(Lane lane, Ticket ticket, Bytes message);
  void pop_fragment(Lane lane, OutFrame& frame);
  struct Place {
    std::size_t item;
    std::size_t entry;
  };
  [[nodiscard]] bool find(Ticket ticket, Place& place) const;
  [[nodiscard]] static std::size_t lane_index(Ticket ticket) noexcept { return ticket.value & 3; }

  BufferPool* pool_;
  const NetLimits* limits_;
  std::array<Lane_, wire::kLanes> lanes_;
  std::size_t messages_ = 0;
  std::size_t bulk_bytes_ = 0;  // lanes normal and bulk, overhead included
  std::size_t control_bytes_ = 0;
  std::uint64_t serial_;       // of the last ticket: value = serial * 4 + lane
  std::uint32_t streams_ = 0;  // begun so far
};

}  // namespace cluster::net
