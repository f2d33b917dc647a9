#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cluster/base/bytes.hpp"

namespace cluster::crypto {

/// 96 bits, never twice under one key: a repeated nonce gives away the authentication key and the
/// difference of the two texts (NIST SP 800-38D section 8).
using GcmNonce = std::array<std::uint8_t, 12>;
using GcmTag = std::array<std::uint8_t, 16>;
inline constexpr std::size_t kGcmKeyBytes = 32;

/// AES-256-GCM (NIST SP 800-38D) under one key, either encrypting or decrypting. The key schedule is made
/// once, here; a message costs its bytes and about 200 ns. A message is given in pieces of any size:
/// `begin`, any number of `update`, then the `finish` of the direction. Movable; one thread at a time.
class AesGcm {
 public:
  enum class Direction : bool { decrypt, encrypt };

  /// `key`: kGcmKeyBytes. The key itself is not kept.
  AesGcm(Direction direction, ByteView key);
  AesGcm(AesGcm&&) noexcept;
  AesGcm& operator=(AesGcm&&) noexcept;
  ~AesGcm();

  /// Begins a message; one that was not finished is forgotten. `associated` is authenticated only.
  void begin(const GcmNonce& nonce, ByteView associated) noexcept;
  /// Writes `from.size()` bytes to `to`, which is `from` itself or does not overlap it.
  /// What was decrypted is not to be believed before `finish` says so.
  void update(ByteView from, std::uint8_t* to) noexcept;
  /// The tag of what was encrypted.
  [[nodiscard]] GcmTag finish() noexcept;
  /// Whether what was decrypted is what the holder of the key encrypted. `tag`: 16 bytes, compared in
  /// constant time.
  [[nodiscard]] bool finish(ByteView tag) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cluster::crypto
