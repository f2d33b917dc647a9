#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "cluster/base/buffer.hpp"
#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/wire/frame.hpp"

namespace cluster::wire {

/// What a connection may have announced at a time. Two messages of the greatest size fit, so that one does
/// not keep others from going beside it.
[[nodiscard]] constexpr std::size_t reassembly_bytes_max(std::size_t message_bytes_max) noexcept {
  return 2 * message_bytes_max;
}

/// Puts the fragments of one connection together. A fragment's bytes can be read straight into their place in
/// the message: `expect` makes room, the bytes are written to `place`, and `accept` takes them once the
/// frame's tag has been checked. What a peer may announce is bounded, and memory is taken as bytes come:
/// never more than kFirstBytes or as much again as has come, whatever was announced.
class Reassembler {
 public:
  /// At most this many messages are under way at a time from one peer.
  static constexpr std::size_t kStreamsMax = 16;
  /// Taken for a message that has only begun.
  static constexpr std::size_t kFirstBytes = 1 << 20;

  /// A fragment whose bytes are to come.
  struct Fragment {
    std::uint32_t stream = 0;
    std::uint16_t flags = 0;
    std::size_t prefix = 0;  ///< bytes of the frame's body in front of those of the message
    std::size_t at = 0;      ///< where they go in the message
    std::size_t bytes = 0;   ///< how many
  };

  /// `message_bytes_max` bounds one message, twice of it all messages under way together.
  explicit Reassembler(std::size_t message_bytes_max) : message_bytes_max_(message_bytes_max) {}

  /// The next fragment, of a frame with kFlagFragment and a body of `length` bytes, of which `front` are the
  /// first kFragmentPrefixBytesMax (fewer only if there are no more). `too_large` over the bounds; `corrupt`
  /// for a fragment that continues nothing, or lengths that do not add up: nothing was changed then.
  [[nodiscard]] Result<Fragment> expect(std::uint16_t flags, ByteView front, std::size_t length);
  /// Where the bytes of an expected fragment are to be written. Valid until the next `expect`.
  [[nodiscard]] std::span<std::uint8_t> place(const Fragment& fragment);
  /// The bytes are there and true; in the order of `expect`. The whole message with its last fragment.
  [[nodiscard]] std::optional<Buffer> accept(const Fragment& fragment);
  /// All at once, of a frame whose tag has been checked.
  [[nodiscard]] Result<std::optional<Buffer>> add(std::uint16_t flags, ByteView body);
  /// What the messages under way will have when they are whole.
  [[nodiscard]] std::size_t announced() const noexcept { return announced_; }
  /// Bytes of messages that were expected so far, in all.
  [[nodiscard]] std::uint64_t brought() const noexcept { return brought_; }
  /// How many calls of this the message has seen that has been without a fragment for longest, this one
  /// included; 0: none is under way.
  [[nodiscard]] unsigned grow_old() noexcept;
  /// Bytes taken for all messages under way.
  [[nodiscard]] std::size_t memory() const noexcept;

 private:
  struct Message {
    std::size_t whole = 0;
    bool ending = false;  // its last fragment is expected
    unsigned age = 0;     // in calls of `grow_old`, since its last fragment
    Buffer bytes{};       // with room for the fragments that are expected
  };

  std::map<std::uint32_t, Message> messages_;  // by stream
  std::size_t announced_ = 0;
  std::uint64_t brought_ = 0;
  std::size_t message_bytes_max_;
};

}  // namespace cluster::wire
