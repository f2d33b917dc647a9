#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"

/// Frames: what travels between two nodes once their handshake is done (docs/wire_format.md).
///
///     header, 8 bytes: length u32 | kind u8 | lane u8 | flags u16      all big-endian
///     body, `length` bytes
///     tag, 16 bytes (frame_protection.hpp)
namespace cluster::wire {

/// Which traffic goes first when both wait: probes and gossip before calls before bulk data.
enum class Lane : std::uint8_t { control = 0, normal = 1, bulk = 2 };
inline constexpr std::size_t kLanes = 3;

enum class FrameKind : std::uint8_t {
  messages = 0,  ///< body: (length u32 | message) repeated, or one fragment
  ping = 1,      ///< body: token u64
  pong = 2,      ///< body: the token of the ping
  goodbye = 3,   ///< body: GoodbyeReason u8 | text; nothing follows in this direction
  idle = 4,      ///< body: IdleWord u8; whether the connection may be closed for want of traffic
};

/// Why a node ends a connection on purpose.
enum class GoodbyeReason : std::uint8_t {
  stopping = 0,   ///< the process ends
  removed = 1,    ///< the receiver is no longer wanted as a peer
  reconnect = 2,  ///< the sender will dial again, at another address
  idle = 3,       ///< the answer to IdleWord::ask: nothing is under way; dial when there is something to send
};

/// How two ends agree to close a connection that nobody uses. Who asks sends no messages until the answer
/// comes; who agrees says goodbye, and has then read all that was sent to it.
enum class IdleWord : std::uint8_t {
  ask = 0,
  stay = 1,  ///< no: go on
};

/// Flags of a `messages` frame. A message over the frame's size travels as fragments: a first one, any
/// number without either mark, a last one; body: stream u32 | [first: whole length u32] | bytes.
inline constexpr std::uint16_t kFlagFragment = 1;
inline constexpr std::uint16_t kFlagFragmentFirst = 2;
inline constexpr std::uint16_t kFlagFragmentLast = 4;
/// Instead of a last one: the sender has taken the message back, and what came of it is to be forgotten.
inline constexpr std::uint16_t kFlagFragmentWithdrawn = 8;

inline constexpr std::size_t kFrameHeaderBytes = 8;
inline constexpr std::size_t kFrameTagBytes = 16;
inline constexpr std::size_t kFrameBodyBytesMax = 64 * 1024;
inline constexpr std::size_t kFrameBytesMax = kFrameHeaderBytes + kFrameBodyBytesMax + kFrameTagBytes;
/// The length in front of each message of a frame.
inline constexpr std::size_t kMessagePrefixBytes = 4;
inline constexpr std::size_t kFragmentPrefixBytes = 4;
/// Of the first fragment: with the whole length.
inline constexpr std::size_t kFragmentPrefixBytesMax = 8;
/// What of a frame may lie apart from the rest of it.
inline constexpr std::size_t kSignedHeadBytesMax = kFrameHeaderBytes + kFragmentPrefixBytesMax;
/// The greatest message that travels whole, with others, in one frame.
inline constexpr std::size_t kWholeMessageBytesMax = kFrameBodyBytesMax - kMessagePrefixBytes;

struct FrameHeader {
  std::uint32_t length = 0;
  FrameKind kind = FrameKind::messages;
  Lane lane = Lane::normal;
  std::uint16_t flags = 0;

  /// Bytes of the whole frame.
  [[nodiscard]] std::size_t frame_bytes() const noexcept {
    return kFrameHeaderBytes + length + kFrameTagBytes;
  }
  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

/// Writes kFrameHeaderBytes.
void write_header(std::uint8_t* to, const FrameHeader& header) noexcept;
/// Reads kFrameHeaderBytes. `corrupt` for a length over the limit, an unknown kind, lane or flag: such a
/// header is believed by nobody, so no memory is taken for its frame.
[[nodiscard]] Result<FrameHeader> read_header(const std::uint8_t* from);

using FrameTag = std::array<std::uint8_t, kFrameTagBytes>;

/// Takes the next message off the front of a `messages` body; nothing at its end. `corrupt` if the rest
/// does not hold what its length says.
[[nodiscard]] inline Result<std::optional<ByteView>> take_message(ByteView& body);

/// Writes the stream and, of a first fragment, the length of the whole message (0: not the first). Returns
/// how many bytes that is.
std::size_t write_fragment_prefix(std::uint8_t* to, std::uint32_t stream, std::size_t whole) noexcept;

// ---- inline parts: the paths of every message -------------------------------------------------------------

namespace detail {
[[nodiscard]] Error cut_in_length();
[[nodiscard]] Error longer_than_frame();
}  // namespace detail

inline Result<std::optional<ByteView>> take_message(ByteView& body) {
  if (body.empty()) return std::optional<ByteView>();
  if (body.size() < kMessagePrefixBytes) return detail::cut_in_length();
  const std::size_t length = load_be<std::uint32_t>(body.data());
  if (length > body.size() - kMessagePrefixBytes) return detail::longer_than_frame();
  const ByteView message = body.subspan(kMessagePrefixBytes, length);
  body = body.subspan(kMessagePrefixBytes + length);
  return std::optional<ByteView>(message);
}

}  // namespace cluster::wire
