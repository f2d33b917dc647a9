// OpenSSL 3 calls these functions deprecated; they stay in all of its releases. A key of 20 bytes takes
// them 53 ns, and 87 through EVP: most of what a look-up in a hash ring costs.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "cluster/crypto/sha256.hpp"

#include <openssl/sha.h>

#include "cluster/base/assert.hpp"

namespace cluster::crypto {

Digest sha256(ByteView message) noexcept {
  SHA256_CTX context;
  Digest digest;
  CLUSTER_ASSERT(SHA256_Init(&context) == 1 && SHA256_Update(&context, message.data(), message.size()) == 1 &&
                 SHA256_Final(digest.data(), &context) == 1);
  return digest;
}

}  // namespace cluster::crypto
