#include "cluster/crypto/hkdf.hpp"

#include <algorithm>

#include "cluster/base/assert.hpp"
#include "cluster/crypto/hmac.hpp"

namespace cluster::crypto {

SecretBytes hkdf_extract(ByteView salt, ByteView key) {
  auto digest = Hmac(salt).sign(key);  // an empty salt and one of 32 zeros are the same HMAC key
  SecretBytes pseudorandom_key{ByteView(digest)};
  wipe(digest);
  return pseudorandom_key;
}

SecretBytes hkdf_expand(ByteView pseudorandom_key, ByteView info, std::size_t length) {
  CLUSTER_ASSERT(length <= kHkdfBytesMax);
  Hmac hmac(pseudorandom_key);
  SecretBytes output(length);
  Digest block{};
  std::uint8_t counter = 1;
  for (std::size_t at = 0; at < length; at += block.size(), ++counter) {
    const ByteView previous(block.data(), at == 0 ? 0 : block.size());
    block = hmac.sign({previous, info, ByteView(&counter, 1)});
    std::copy_n(block.begin(), std::min(block.size(), length - at),
                output.span().begin() + static_cast<std::ptrdiff_t>(at));
  }
  wipe(block);
  return output;
}

SecretBytes hkdf_sha256(ByteView key, ByteView salt, ByteView info, std::size_t length) {
  return hkdf_expand(hkdf_extract(salt, key), info, length);
}

}  // namespace cluster::crypto
