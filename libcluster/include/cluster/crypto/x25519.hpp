#pragma once
#include <array>
#include <cstdint>

#include "cluster/base/result.hpp"
#include "cluster/crypto/secret.hpp"

namespace cluster::crypto {

/// A point of Curve25519 as it travels (RFC 7748 section 5).
using X25519Public = std::array<std::uint8_t, 32>;

struct KeyPair {
  SecretBytes secret;  ///< 32 bytes
  X25519Public public_key{};
};

/// A fresh pair from the system's generator.
[[nodiscard]] KeyPair x25519_generate();
/// The pair of a given 32-byte secret, for tests and stored keys.
[[nodiscard]] Result<KeyPair> x25519_from_secret(ByteView secret);
/// The shared secret, 32 bytes. A peer's point of small order would make it all zero, whatever our
/// secret: that is refused (RFC 7748 section 6.1).
[[nodiscard]] Result<SecretBytes> x25519(const SecretBytes& secret, const X25519Public& peer);

}  // namespace cluster::crypto
