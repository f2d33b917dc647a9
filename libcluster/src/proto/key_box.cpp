#include "cluster/proto/key_box.hpp"

#include <algorithm>

#include "cluster/crypto/aes_gcm.hpp"
#include "cluster/crypto/hkdf.hpp"
#include "cluster/proto/keyring.hpp"

namespace cluster::proto {
namespace {

/// A key of one use: so that the nonce may be zero.
crypto::SecretBytes box_key(const crypto::SecretBytes& shared, const crypto::X25519Public& sender,
                            const crypto::X25519Public& receiver) {
  Bytes salt(sender.begin(), sender.end());
  salt.insert(salt.end(), receiver.begin(), receiver.end());
  return crypto::hkdf_sha256(shared, salt, as_bytes("key box"), crypto::kGcmKeyBytes);
}

}  // namespace

Result<KeyBox> seal_key(const crypto::X25519Public& receiver, ByteView key) {
  const auto pair = crypto::x25519_generate();
  const auto shared = crypto::x25519(pair.secret, receiver);
  if (!shared) return shared.error();
  crypto::AesGcm cipher(crypto::AesGcm::Direction::encrypt, box_key(*shared, pair.public_key, receiver));
  KeyBox box{.public_key = {pair.public_key.begin(), pair.public_key.end()}, .sealed = Bytes(key.size())};
  cipher.begin({}, {});
  cipher.update(key, box.sealed.data());
  const auto tag = cipher.finish();
  box.sealed.insert(box.sealed.end(), tag.begin(), tag.end());
  return box;
}

Result<crypto::SecretBytes> open_key(const crypto::KeyPair& receiver, const KeyBox& box) {
  crypto::X25519Public sender{};
  crypto::SecretBytes key(Keyring::kKeyBytes);
  if (box.public_key.size() != sender.size() || box.sealed.size() != key.size() + sizeof(crypto::GcmTag))
    return Error(Errc::corrupt, "a key box of odd size");
  std::ranges::copy(box.public_key, sender.begin());
  const auto shared = crypto::x25519(receiver.secret, sender);
  if (!shared) return Error(Errc::corrupt, shared.error().message());
  crypto::AesGcm cipher(crypto::AesGcm::Direction::decrypt, box_key(*shared, sender, receiver.public_key));
  const ByteView sealed = box.sealed;
  cipher.begin({}, {});
  cipher.update(sealed.first(key.size()), key.span().data());
  if (!cipher.finish(sealed.subspan(key.size())))
    return Error(Errc::corrupt, "the key was not sealed for this process");
  return key;
}

}  // namespace cluster::proto
