#include "cluster/crypto/x25519.hpp"

#include <utility>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/random.hpp"
#include "evp.hpp"

namespace cluster::crypto {
namespace {

constexpr std::size_t kKeyBytes = 32;

Key private_key(ByteView secret) noexcept {
  Key key{EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, secret.data(), secret.size())};
  CLUSTER_ASSERT(key != nullptr);  // every 32 bytes are a key
  return key;
}

}  // namespace

KeyPair x25519_generate() {
  SecretBytes secret(kKeyBytes);
  random_bytes(secret.span());
  return x25519_from_secret(secret).value();
}

Result<KeyPair> x25519_from_secret(ByteView secret) {
  if (secret.size() != kKeyBytes) return Error(Errc::invalid_argument, "an X25519 secret has 32 bytes");
  KeyPair pair{SecretBytes(secret), {}};
  std::size_t length = pair.public_key.size();
  CLUSTER_ASSERT(EVP_PKEY_get_raw_public_key(private_key(secret).get(), pair.public_key.data(), &length) ==
                 1);
  return pair;
}

Result<SecretBytes> x25519(const SecretBytes& secret, const X25519Public& peer) {
  if (secret.size() != kKeyBytes) return Error(Errc::invalid_argument, "an X25519 secret has 32 bytes");
  const Key own = private_key(secret);
  const Key other{EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, peer.data(), peer.size())};
  const KeyContext context{EVP_PKEY_CTX_new(own.get(), nullptr)};
  CLUSTER_ASSERT(other != nullptr && context != nullptr && EVP_PKEY_derive_init(context.get()) == 1);
  SecretBytes shared(kKeyBytes);
  std::size_t length = shared.size();
  // Fails for the points of small order, at the latest when the result turns out to be zero.
  if (EVP_PKEY_derive_set_peer(context.get(), other.get()) != 1 ||
      EVP_PKEY_derive(context.get(), shared.span().data(), &length) != 1)
    return Error(Errc::refused, "the peer's X25519 key gives an all-zero secret", Executed::no);
  return shared;
}

}  // namespace cluster::crypto
