// OpenSSL 3 calls these functions deprecated; they stay in all of its releases, and cost half of what a short
// message takes through EVP.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "cluster/crypto/sha1.hpp"

#include <openssl/sha.h>

#include "cluster/base/assert.hpp"

namespace cluster::crypto {

std::array<std::uint8_t, 20> sha1(ByteView message) noexcept {
  SHA_CTX context;
  std::array<std::uint8_t, 20> digest;
  CLUSTER_ASSERT(SHA1_Init(&context) == 1 && SHA1_Update(&context, message.data(), message.size()) == 1 &&
                 SHA1_Final(digest.data(), &context) == 1);
  return digest;
}

}  // namespace cluster::crypto
