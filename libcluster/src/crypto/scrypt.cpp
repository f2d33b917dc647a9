#include "cluster/crypto/scrypt.hpp"

#include <openssl/evp.h>

namespace cluster::crypto {

Result<SecretBytes> scrypt(ByteView password, ByteView salt, ScryptCost cost, std::size_t length) {
  if (length == 0) return Error(Errc::invalid_argument, "scrypt: the key has at least 1 byte");
  SecretBytes key(length);
  // A null pointer would mean "only check the cost" for a password, so an empty one points somewhere.
  const char* const pass = password.empty() ? "" : reinterpret_cast<const char*>(password.data());
  if (EVP_PBE_scrypt(pass, password.size(), salt.data(), salt.size(), cost.n, cost.r, cost.p,
                     kScryptMemoryBytesMax, key.span().data(), key.size()) != 1)
    return Error(Errc::invalid_argument,
                 "scrypt: n must be a power of two > 1, and n, r, p within the memory limit");
  return key;
}

}  // namespace cluster::crypto
