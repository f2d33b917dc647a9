#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/crypto/scrypt.hpp"
#include "cluster/crypto/secret.hpp"

namespace cluster::proto {

/// The keys of the cookies that a node accepts; it dials with the first. To change the cookie of a running
/// cluster: add the new one behind the old everywhere, put it first everywhere, remove the old one.
/// A value: copies share the keys, which are wiped with the last of them.
class Keyring {
 public:
  static constexpr std::size_t kCookiesMax = 4;
  /// Shorter cookies work, and are warned of in the log.
  static constexpr std::size_t kCookieBytesAdvised = 16;

  /// An empty keyring opens nothing.
  Keyring() = default;
  /// Stretches each cookie with scrypt under a fixed salt: about 40 ms and 16 MiB a cookie at the default
  /// cost. All nodes of a cluster need the same cost; a cheaper one is for tests.
  /// `invalid_argument` for none, more than kCookiesMax, or an empty cookie.
  [[nodiscard]] static Result<Keyring> from_cookies(const std::vector<std::string>& cookies,
                                                    crypto::ScryptCost cost = {});
  /// A cost that makes tests fast and guesses cheap.
  [[nodiscard]] static crypto::ScryptCost cost_for_tests() noexcept { return {.n = 2, .r = 1, .p = 1}; }

  [[nodiscard]] std::size_t size() const noexcept { return keys_ ? keys_->size() : 0; }
  /// 32 bytes. `index` < size().
  [[nodiscard]] ByteView key(std::size_t index) const;

 private:
  std::shared_ptr<const std::vector<crypto::SecretBytes>> keys_;
};

}  // namespace cluster::proto
