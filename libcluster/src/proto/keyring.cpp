#include "cluster/proto/keyring.hpp"

#include <utility>

#include "cluster/base/assert.hpp"
#include "cluster/base/log.hpp"

namespace cluster::proto {
namespace {

// The same for all clusters: a cookie is shared by processes that have nothing else in common.
constexpr std::string_view kSalt = "libcluster cookie v1";
constexpr std::size_t kKeyBytes = 32;

}  // namespace

Result<Keyring> Keyring::from_cookies(const std::vector<std::string>& cookies, crypto::ScryptCost cost) {
  if (cookies.empty()) return Error(Errc::invalid_argument, "no cookie");
  if (cookies.size() > kCookiesMax)
    return Error(Errc::invalid_argument, "more than " + std::to_string(kCookiesMax) + " cookies");
  std::vector<crypto::SecretBytes> keys;
  for (const auto& cookie : cookies) {
    if (cookie.empty()) return Error(Errc::invalid_argument, "an empty cookie");
    if (cookie.size() < kCookieBytesAdvised)
      log::warn("keyring", "a cookie of ", cookie.size(), " bytes is easy to guess; use ",
                kCookieBytesAdvised, " or more");
    auto key = crypto::scrypt(as_bytes(cookie), as_bytes(kSalt), cost, kKeyBytes);
    if (!key) return key.error();
    keys.push_back(std::move(key).value());
  }
  Keyring keyring;
  keyring.keys_ = std::make_shared<const std::vector<crypto::SecretBytes>>(std::move(keys));
  return keyring;
}

ByteView Keyring::key(std::size_t index) const {
  CLUSTER_ASSERT(index < size());
  return (*keys_)[index].view();
}

}  // namespace cluster::proto
