#pragma once
#include <initializer_list>
#include <memory>
#include <span>

#include "cluster/base/bytes.hpp"
#include "cluster/crypto/sha256.hpp"

namespace cluster::crypto {

/// HMAC-SHA256 (RFC 2104) under one key. The key's two pads are hashed once, here, so that a signature
/// costs the message and one more block. Movable; used by one thread at a time.
class Hmac {
 public:
  /// Any key length; RFC 2104 advises 32 bytes. The key itself is not kept.
  explicit Hmac(ByteView key);
  Hmac(Hmac&&) noexcept;
  Hmac& operator=(Hmac&&) noexcept;
  ~Hmac();

  /// The code over the parts one after the other, as if they were one message.
  [[nodiscard]] Digest sign(std::span<const ByteView> parts) noexcept;
  [[nodiscard]] Digest sign(std::initializer_list<ByteView> parts) noexcept {
    return sign(std::span<const ByteView>(parts.begin(), parts.size()));
  }
  [[nodiscard]] Digest sign(ByteView message) noexcept { return sign({message}); }

  /// The same in pieces: `begin`, any number of `update`, then `finish`.
  void begin() noexcept;
  void update(ByteView part) noexcept;
  [[nodiscard]] Digest finish() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Compares without telling by its time where the difference is. Lengths are not secret: unequal
/// lengths are unequal at once.
[[nodiscard]] bool equal_in_constant_time(ByteView a, ByteView b) noexcept;

}  // namespace cluster::crypto
