#include "evp.hpp"

#include "cluster/base/assert.hpp"

namespace cluster::crypto {

const EVP_CIPHER* aes_256_gcm_method() noexcept {
  static const EVP_CIPHER* const method =
      EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);  // as long as the process
  CLUSTER_ASSERT(method != nullptr);
  return method;
}

CipherContext make_cipher_context() noexcept {
  CipherContext context{EVP_CIPHER_CTX_new()};
  CLUSTER_ASSERT(context != nullptr);
  return context;
}

}  // namespace cluster::crypto
