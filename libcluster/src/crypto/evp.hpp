#pragma once
#include <openssl/evp.h>

#include <memory>

namespace cluster::crypto {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
using MdContext = std::unique_ptr<EVP_MD_CTX, Freer<&EVP_MD_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Freer<&EVP_CIPHER_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<&EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freer<&EVP_PKEY_CTX_free>>;

/// SHA-256, fetched once for the process: an implicit fetch at each use costs more than a block.
[[nodiscard]] const EVP_MD* sha256_method() noexcept;
/// AES-256-GCM, fetched once likewise.
[[nodiscard]] const EVP_CIPHER* aes_256_gcm_method() noexcept;
/// New contexts; they abort when memory is out, as all of the library does.
[[nodiscard]] MdContext make_md_context() noexcept;
[[nodiscard]] CipherContext make_cipher_context() noexcept;

}  // namespace cluster::crypto
