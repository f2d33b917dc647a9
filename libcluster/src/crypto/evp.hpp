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
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Freer<&EVP_CIPHER_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<&EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freer<&EVP_PKEY_CTX_free>>;

/// AES-256-GCM, fetched once for the process: an implicit fetch at each use costs more than a short message.
[[nodiscard]] const EVP_CIPHER* aes_256_gcm_method() noexcept;
/// A new context; aborts when memory is out, as all of the library does.
[[nodiscard]] CipherContext make_cipher_context() noexcept;

}  // namespace cluster::crypto
