#pragma once
#include <string>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/crypto/secret.hpp"
#include "cluster/crypto/x25519.hpp"

/// A key on its way to a node, which only that process can open: whoever records the connection learns
/// nothing, not even with the cookie under which it was made. So a new key can replace one that has become
/// known.
namespace cluster::proto {

/// What `key add` sends; the node has told its public key before, over a connection that is signed.
struct KeyBox {
  Bytes public_key{};  ///< of the sender, X25519, 32 bytes
  Bytes sealed{};      ///< the key under AES-256-GCM, 32 + 16 bytes
};

/// Error: `receiver` is no good public key.
[[nodiscard]] Result<KeyBox> seal_key(const crypto::X25519Public& receiver, ByteView key);
/// `corrupt` if it was not sealed for this pair.
[[nodiscard]] Result<crypto::SecretBytes> open_key(const crypto::KeyPair& receiver, const KeyBox& box);

}  // namespace cluster::proto
