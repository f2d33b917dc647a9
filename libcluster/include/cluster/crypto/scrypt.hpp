#pragma once
#include <cstddef>
#include <cstdint>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/crypto/secret.hpp"

namespace cluster::crypto {

/// What a guess costs (RFC 7914 section 2): about 128 * n * r bytes of memory and n * r * p steps.
struct ScryptCost {
  std::uint64_t n = 1u << 14;  ///< a power of two, greater than 1
  std::uint64_t r = 8;
  std::uint64_t p = 1;
};
/// No cost that needs more memory is accepted.
inline constexpr std::uint64_t kScryptMemoryBytesMax = 256u << 20;

/// A key of `length` bytes from a password (RFC 7914). The default cost takes about 40 ms and 16 MiB.
/// `invalid_argument` for a cost outside the RFC's bounds or ours.
[[nodiscard]] Result<SecretBytes> scrypt(ByteView password, ByteView salt, ScryptCost cost,
                                         std::size_t length);

}  // namespace cluster::crypto
