#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "cluster/base/buffer.hpp"
#include "cluster/base/bytes.hpp"
#include "cluster/wire/frame.hpp"
#include "cluster/wire/frame_protection.hpp"
#include "cluster/wire/reassembler.hpp"
#include "tls_stream.hpp"

namespace cluster::net {

/// Takes what a FrameReader has checked, in the order in which it was sent.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  /// A frame that is no fragment. `body` is valid during the call.
  virtual void on_frame(const wire::FrameHeader& header, ByteView body) = 0;
  /// A message that came in fragments.
  virtual void on_large(wire::Lane lane, Buffer&& message) = 0;
  /// False: nothing more is wanted.
  [[nodiscard]] virtual bool listening() const noexcept = 0;
};

/// The receiving half of a proven connection. Small messages are handed on from where they were read. The
/// bytes of a signed fragment are read straight into their place in the message; sealed ones are decrypted
/// into it. Frames are checked several at a time. One thread at a time.
class FrameReader {
 public:
  /// As many frames as are checked side by side.
  static constexpr std::size_t kFramesMax = crypto::HmacLanes::kLanes;
  /// What `scratch` should have: a read that fills it ends with a frame of full size.
  static constexpr std::size_t kScratchBytes = kFramesMax * wire::kFrameBytesMax;

  FrameReader(wire::Protection level, ByteView secret, std::size_t message_bytes_max)
      : opener_(level, secret), reassembler_(message_bytes_max) {}

  enum class Got {
    some,     ///< up to the limit, or all that there was
    ended,    ///< the peer closed the connection
    failed,   ///< errno says why
    corrupt,  ///< `problem` says why; the connection must end
  };
  /// Reads `bytes_max` at most, but a fragment that has begun to its end, and hands on the frames that are
  /// whole.
  Got read(Pipe pipe, std::size_t bytes_max, std::span<std::uint8_t> scratch, FrameSink& sink);
  /// The same with bytes that came before the first `read`. They are changed.
  Got take(std::span<std::uint8_t> bytes, FrameSink& sink);

  /// Whether a frame has begun and is not complete.
  [[nodiscard]] bool incomplete() const noexcept { return direct_ || !pending_.empty(); }
  /// Of messages in fragments; see Reassembler.
  [[nodiscard]] std::size_t announced() const noexcept { return reassembler_.announced(); }
  [[nodiscard]] std::uint64_t fragment_bytes() const noexcept { return reassembler_.brought(); }
  [[nodiscard]] unsigned grow_old() noexcept { return reassembler_.grow_old(); }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }
  [[nodiscard]] std::uint64_t frames_read() const noexcept { return frames_read_; }

 private:
  /// A frame whose bytes go to their place in a message.
  struct Direct {
    wire::FrameHeader header;
    wire::Reassembler::Fragment fragment;
    std::array<std::uint8_t, wire::kSignedHeadBytesMax> head{};
    std::size_t filled = 0;  // bytes of the fragment that are there
    wire::FrameTag tag{};
  };
  // What is read behind a fragment's bytes: its tag, and the head of the next frame.
  static constexpr std::size_t kTailBytes = wire::kFrameTagBytes + wire::kSignedHeadBytesMax;

  struct Step {
    Got got = Got::some;
    std::size_t bytes = 0;
    bool drained = false;  // the socket has no more
  };
  [[nodiscard]] Step read_plain(Pipe pipe, std::span<std::uint8_t> scratch, FrameSink& sink);
  [[nodiscard]] Step read_direct(Pipe pipe, FrameSink& sink);
  [[nodiscard]] bool on_direct_complete(FrameSink& sink);
  [[nodiscard]] bool begin_direct(ByteView rest);
  void keep(ByteView rest);
  [[nodiscard]] bool check_direct(FrameSink& sink);
  /// Whole frames at the front of some bytes.
  struct Whole {
    wire::FrameHeader header;
    std::span<std::uint8_t> bytes;
    [[nodiscard]] std::span<std::uint8_t> head() const noexcept {
      return bytes.first(wire::kFrameHeaderBytes);
    }
    [[nodiscard]] std::span<std::uint8_t> body() const noexcept {
      return bytes.subspan(wire::kFrameHeaderBytes, header.length);
    }
    [[nodiscard]] ByteView tag() const noexcept { return bytes.last(wire::kFrameTagBytes); }
  };
  using Wholes = std::array<Whole, kFramesMax>;
  [[nodiscard]] std::optional<std::size_t> parse(std::span<std::uint8_t> bytes, FrameSink& sink);
  [[nodiscard]] bool hand_on(std::span<const Whole> frames, FrameSink& sink);
  [[nodiscard]] bool hand_on_signed(std::span<const Whole> frames, FrameSink& sink);
  [[nodiscard]] bool hand_on_sealed(std::span<const Whole> frames, FrameSink& sink);
  [[nodiscard]] bool open_fragment(const Whole& frame, FrameSink& sink);
  [[nodiscard]] bool on_checked(const Whole& frame, FrameSink& sink);
  [[nodiscard]] bool corrupt(std::string text);
  [[nodiscard]] bool wrong_tag();

  wire::FrameOpener opener_;
  wire::Reassembler reassembler_;
  Bytes pending_;                 // the front of an incomplete frame, unless it is direct
  std::optional<Direct> direct_;  // the frame that is being read straight to its place
  std::array<std::uint8_t, kTailBytes> tail_{};
  std::size_t tail_bytes_ = 0;
  std::array<Direct, kFramesMax> unchecked_{};  // complete, in the order in which they came
  std::size_t unchecked_count_ = 0;             // 0 between reads
  std::string problem_;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t frames_read_ = 0;
};

}  // namespace cluster::net
