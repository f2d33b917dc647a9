#include "cluster/crypto/sha256.hpp"

#include "cluster/base/assert.hpp"
#include "evp.hpp"

namespace cluster::crypto {

const EVP_MD* sha256_method() noexcept {
  static const EVP_MD* const method =
      EVP_MD_fetch(nullptr, "SHA256", nullptr);  // lives as long as the process
  CLUSTER_ASSERT(method != nullptr);
  return method;
}

MdContext make_md_context() noexcept {
  MdContext context{EVP_MD_CTX_new()};
  CLUSTER_ASSERT(context != nullptr);
  return context;
}

Digest sha256(ByteView message) noexcept {
  thread_local const MdContext context = make_md_context();
  Digest digest;
  CLUSTER_ASSERT(EVP_DigestInit_ex2(context.get(), sha256_method(), nullptr) == 1 &&
                 EVP_DigestUpdate(context.get(), message.data(), message.size()) == 1 &&
                 EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  return digest;
}

}  // namespace cluster::crypto
