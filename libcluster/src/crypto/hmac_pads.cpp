#include "hmac_pads.hpp"

#include <algorithm>

#include "cluster/crypto/secret.hpp"
#include "cluster/crypto/sha256.hpp"

namespace cluster::crypto {

HmacPads::HmacPads(ByteView key) noexcept {
  if (key.size() > kBlockBytes) {
    auto shortened = sha256(key);
    std::copy(shortened.begin(), shortened.end(), inner_.begin());
    wipe(shortened);
  } else {
    std::copy(key.begin(), key.end(), inner_.begin());
  }
  outer_ = inner_;
  for (auto& byte : inner_) byte ^= 0x36;
  for (auto& byte : outer_) byte ^= 0x5c;
}

HmacPads::~HmacPads() {
  wipe(inner_);
  wipe(outer_);
}

}  // namespace cluster::crypto
