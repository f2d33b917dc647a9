#include "cluster/crypto/random.hpp"

#include <openssl/rand.h>

#include <algorithm>

#include "cluster/base/assert.hpp"

namespace cluster::crypto {

void random_bytes(std::span<std::uint8_t> to) noexcept {
  constexpr std::size_t kChunkBytes = 1u << 20;  // the generator counts in int
  while (!to.empty()) {
    const std::size_t size = std::min(to.size(), kChunkBytes);
    CLUSTER_ASSERT(RAND_priv_bytes(to.data(), static_cast<int>(size)) == 1);
    to = to.subspan(size);
  }
}

std::uint64_t random_u64() noexcept {
  std::uint64_t value = 0;
  random_bytes({reinterpret_cast<std::uint8_t*>(&value), sizeof value});
  return value;
}

}  // namespace cluster::crypto
