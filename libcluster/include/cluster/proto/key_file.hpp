#pragma once
#include <cstddef>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/crypto/secret.hpp"
#include "cluster/proto/keyring.hpp"

/// The file in which a node keeps its keyring once it was changed while it ran. Lines of text:
///
///     libcluster keys 1
///     key 64 hexadecimal digits       (as often as there are keys; the first is in use)
///     removed FINGERPRINT             (of a cookie that is not to be accepted, though the node be started
///     with it) sha256 64 hexadecimal digits    (of all lines before)
namespace cluster::proto {

inline constexpr std::size_t kKeyFileBytesMax = 8 * 1024;

struct SavedKeys {
  static constexpr std::size_t kRemovedMax = 64;  ///< the oldest are forgotten

  std::vector<crypto::SecretBytes> keys{};
  std::vector<KeyId> removed{};
};

[[nodiscard]] Bytes encode_key_file(const SavedKeys& saved);
/// `corrupt` for anything that is not such a file; the text continues "the key file ...".
[[nodiscard]] Result<SavedKeys> decode_key_file(ByteView file);

}  // namespace cluster::proto
