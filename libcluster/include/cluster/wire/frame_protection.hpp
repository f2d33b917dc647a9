#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/crypto/aes_gcm.hpp"
#include "cluster/crypto/hmac.hpp"
#include "cluster/crypto/hmac_lanes.hpp"
#include "cluster/crypto/secret.hpp"
#include "cluster/wire/frame.hpp"

/// What keeps strangers out of the frames of one direction of one connection (docs/wire_format.md).
///
///     sign: the body travels as it is; tag = HMAC-SHA256(key, sequence u64 | header | body), first half
///     seal: the body travels encrypted with AES-256-GCM; nonce = u32 0 | sequence u64, header associated
///
/// The sequence is implicit: 0 for the first frame of a direction, one more for each, whatever the lane. So
/// a frame that was replayed, reordered, altered or taken from another connection has a wrong tag.
namespace cluster::wire {

/// Weakest first. The numbers travel.
enum class Protection : std::uint8_t {
  sign = 0,
  seal = 1,
  tls = 2,  ///< TLS 1.3 underneath; inside of it the frames are those of sign
};
/// "sign", "seal", "tls".
[[nodiscard]] std::string_view name(Protection level) noexcept;
/// `invalid_argument` for another text.
[[nodiscard]] Result<Protection> parse_protection(std::string_view text);

/// Sealed frames of so many bytes in all, then the next key: 2^32 blocks of AES, far from where GCM's
/// bounds begin to matter (NIST SP 800-38D section 8.3, RFC 8446 section 5.5).
inline constexpr std::uint64_t kRatchetBytes = std::uint64_t{64} << 30;

/// A frame of level sign, in two places: `head`, the header and up to kFragmentPrefixBytesMax bytes of the
/// body, then the rest of the body.
struct SignedFrame {
  ByteView head;
  ByteView body;
};

/// What both directions have in common. A frame: `begin`, its body with `add` in pieces of any size and
/// from any places, then `finish` of the direction. One thread at a time.
class FrameGuard {
 public:
  [[nodiscard]] Protection level() const noexcept { return hmac_ ? Protection::sign : Protection::seal; }
  /// Whether the body changes on its way, so that it needs a place to be changed at.
  [[nodiscard]] bool encrypts() const noexcept { return gcm_.has_value(); }
  /// Frames finished so far: the sequence of the next one.
  [[nodiscard]] std::uint64_t frames() const noexcept { return sequence_; }

  /// The next frame. `header`: kFrameHeaderBytes, as they travel.
  void begin(ByteView header) noexcept;
  /// Of sign only: the part stays where it is and travels as it is.
  void add(ByteView part) noexcept;
  /// Of either level: the part's other form (what travels for the sender, what was meant for the receiver)
  /// is written to `to`, which is `part` itself or does not overlap it.
  void add(ByteView part, std::uint8_t* to) noexcept;

 protected:
  FrameGuard(Protection level, crypto::AesGcm::Direction direction, ByteView secret,
             std::uint64_t ratchet_bytes);
  [[nodiscard]] FrameTag finish_signed() noexcept;
  void sign_next(std::span<const SignedFrame> frames, std::span<FrameTag> tags) noexcept;

  std::uint64_t sequence_ = 0;
  std::optional<crypto::Hmac> hmac_;        // of sign
  std::optional<crypto::HmacLanes> lanes_;  // of sign
  std::optional<crypto::AesGcm> gcm_;       // of seal

 private:
  void use_next_key();

  crypto::SecretBytes secret_;  // of seal: the keys to come are derived from it
  crypto::AesGcm::Direction direction_;
  std::uint64_t bytes_under_key_ = 0;
  std::uint64_t ratchet_bytes_;
};

/// Protects the frames that leave.
class FrameSealer : public FrameGuard {
 public:
  /// `secret`: 32 bytes, of this direction and level only. `level`: sign or seal.
  FrameSealer(Protection level, ByteView secret, std::uint64_t ratchet_bytes = kRatchetBytes)
      : FrameGuard(level, crypto::AesGcm::Direction::encrypt, secret, ratchet_bytes) {}
  /// Ends the frame; its tag travels behind the body.
  [[nodiscard]] FrameTag finish() noexcept;
  /// A whole frame in place.
  [[nodiscard]] FrameTag seal(ByteView header, std::span<std::uint8_t> body) noexcept;
  /// Of sign only: the tags of the next frames, side by side (crypto::HmacLanes).
  void sign(std::span<const SignedFrame> frames, std::span<FrameTag> tags) noexcept {
    sign_next(frames, tags);
  }
};

/// Checks, and decrypts, the frames that arrive.
class FrameOpener : public FrameGuard {
 public:
  FrameOpener(Protection level, ByteView secret, std::uint64_t ratchet_bytes = kRatchetBytes)
      : FrameGuard(level, crypto::AesGcm::Direction::decrypt, secret, ratchet_bytes) {}
  /// Ends the frame. False: it is not the one that the peer sent next. Nothing of its body may be used then,
  /// and the connection must end. `tag`: kFrameTagBytes.
  [[nodiscard]] bool finish(ByteView tag) noexcept;
  /// A whole frame in place.
  [[nodiscard]] bool open(ByteView header, std::span<std::uint8_t> body, ByteView tag) noexcept;
  /// Of sign only: checks the next frames side by side. How many, from the first on, have the right tag; if
  /// that is not all of them the connection must end behind those.
  [[nodiscard]] std::size_t check(std::span<const SignedFrame> frames,
                                  std::span<const ByteView> tags) noexcept;
};

}  // namespace cluster::wire
