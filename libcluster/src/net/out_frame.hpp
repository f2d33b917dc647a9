#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/wire/frame.hpp"

namespace cluster::net {

/// A frame that is to leave, but for its header's content and its tag. It is written as front, slice and tag,
/// wherever these are: a piece of a large message is never copied into a frame.
struct OutFrame {
  /// Space for the header, then: the messages; of a fragment nothing (see `prefix`).
  Bytes bytes{};
  /// Of a fragment: space for the header, then the stream and perhaps the whole length.
  std::array<std::uint8_t, wire::kFrameHeaderBytes + wire::kFragmentPrefixBytesMax> prefix{};
  std::size_t prefix_bytes = 0;
  /// Of a fragment: its piece of `message`, which it keeps alive.
  ByteView slice{};
  std::shared_ptr<const Bytes> message{};

  wire::FrameKind kind = wire::FrameKind::messages;
  wire::Lane lane = wire::Lane::normal;
  std::uint16_t flags = 0;
  std::size_t messages = 0;  ///< that are complete with it
  wire::FrameTag tag{};      ///< once it has one

  [[nodiscard]] std::span<std::uint8_t> front() noexcept {
    return prefix_bytes == 0 ? std::span(bytes) : std::span(prefix).first(prefix_bytes);
  }
  /// Of the body alone.
  [[nodiscard]] std::size_t body_bytes() noexcept {
    return front().size() - wire::kFrameHeaderBytes + slice.size();
  }
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

}  // namespace cluster::net
