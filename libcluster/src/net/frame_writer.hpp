#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "cluster/wire/frame_protection.hpp"
#include "out_frame.hpp"
#include "outbox.hpp"
#include "tls_stream.hpp"

namespace cluster::net {

/// The sending half of a proven connection: takes frames from an Outbox, gives them their tags in the
/// order in which they leave, and writes several at a time. What it holds was given away: after a break
/// its fate is uncertain.
///
/// One thread at a time may write: the one that set `busy` under the peer's lock. That thread calls
/// `write` without the lock; everything else here needs the lock.
class FrameWriter {
 public:
  /// Frames are taken until there are so many, or until they have so many bytes: a few full ones, or as many
  /// batches of small messages, that are signed side by side and fit into a core's cache on their way through
  /// the signature and the system. It bounds what a break makes uncertain, and what an urgent frame waits
  /// for.
  static constexpr std::size_t kFramesMax = 16;
  static constexpr std::size_t kTakenBytes = crypto::HmacLanes::kLanes * wire::kFrameBodyBytesMax;
  /// Own frames (pings, pongs) that wait; a peer that asks more without reading gets no answers.
  static constexpr std::size_t kOwnFramesMax = 64;
  static constexpr std::size_t kWrittenMax = 256;

  FrameWriter(wire::Protection level, ByteView secret, BufferPool& pool)
      : sealer_(level, secret), pool_(&pool) {}

  /// Queues a ping, pong or goodbye ahead of all messages. False if too many wait.
  bool push_own(wire::FrameKind kind, ByteView body);
  /// Takes the next frames: own ones, then the outbox's. `outbox` may be null. False if there are none.
  [[nodiscard]] bool refill(Outbox* outbox);
  /// Whether frames that were taken are not written yet.
  [[nodiscard]] bool unsent() const noexcept { return at_ < frames_.size(); }
  /// Frames written, apart from those that a thread is at.
  [[nodiscard]] std::uint64_t frames_written() const noexcept { return frames_written_; }
  /// Messages that were given away and that the peer's system is not known to have: those of frames not
  /// wholly written, and of the last kWrittenMax written ones that `socket` has no acknowledgement for.
  [[nodiscard]] std::size_t messages_uncertain(int socket) const noexcept;

  enum class Wrote { all, blocked, failed };
  /// Writes what was taken, as far as the socket goes. After `failed`, `errno` says why.
  [[nodiscard]] Wrote write(Pipe pipe);

  bool busy = false;
  std::uint64_t frames_out = 0;  ///< since the last refill, for the counters
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_out = 0;

 private:
  void protect();
  void encrypt(OutFrame& frame);
  [[nodiscard]] static std::size_t frame_bytes(OutFrame& frame) noexcept {
    return wire::kFrameHeaderBytes + frame.body_bytes() + wire::kFrameTagBytes;
  }

  wire::FrameSealer sealer_;
  BufferPool* pool_;
  std::deque<OutFrame> own_;
  std::vector<OutFrame> frames_;
  std::size_t at_ = 0;      // the frame to write next
  bool protected_ = false;  // frames_ have their tags
  std::size_t offset_ = 0;  // bytes of frames_[at_] already written
  std::size_t messages_taken_ = 0;
  struct Written {
    std::uint64_t end = 0;  // bytes written on this connection, up to and with this frame
    std::size_t messages = 0;
  };
  std::array<Written, kWrittenMax> written_{};  // a ring; frames_written_ % kWrittenMax is the next place
  std::uint64_t frames_written_ = 0;
  std::uint64_t bytes_written_ = 0;  // of the frames in the ring and before
};

}  // namespace cluster::net
