#pragma once
#include <cstddef>

#include "cluster/base/bytes.hpp"
#include "cluster/crypto/secret.hpp"

namespace cluster::crypto {

/// The most bytes that one expansion gives: 255 blocks of 32 (RFC 5869 section 2.3).
inline constexpr std::size_t kHkdfBytesMax = 255 * 32;

/// HKDF-SHA256 (RFC 5869), first step: a 32-byte key from uneven key material.
[[nodiscard]] SecretBytes hkdf_extract(ByteView salt, ByteView key);
/// Second step: `length` bytes for the use that `info` names. `length` <= kHkdfBytesMax.
[[nodiscard]] SecretBytes hkdf_expand(ByteView pseudorandom_key, ByteView info, std::size_t length);
/// Both steps.
[[nodiscard]] SecretBytes hkdf_sha256(ByteView key, ByteView salt, ByteView info, std::size_t length);

}  // namespace cluster::crypto
