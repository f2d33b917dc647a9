#include "cluster/proto/access_token.hpp"

#include <string_view>

#include "cluster/crypto/hkdf.hpp"

namespace cluster::proto {
namespace {

constexpr std::string_view kLabel = "libcluster http token v1";
constexpr std::size_t kTokenBytes = 32;

}  // namespace

std::string access_token(ByteView key) {
  return hex(crypto::hkdf_sha256(key, {}, as_bytes(kLabel), kTokenBytes));
}

}  // namespace cluster::proto
