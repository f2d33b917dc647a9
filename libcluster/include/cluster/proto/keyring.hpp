#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/result.hpp"
#include "cluster/crypto/scrypt.hpp"
#include "cluster/crypto/secret.hpp"

namespace cluster::proto {

/// Names a key without telling it: the first 64 bits of a hash of it.
using KeyId = std::uint64_t;
/// 16 hexadecimal digits.
[[nodiscard]] std::string fingerprint(KeyId id);
/// The inverse; nothing for any other text.
[[nodiscard]] std::optional<KeyId> key_id_from(std::string_view fingerprint);

/// Why a cookie is easy to guess; empty if it does not look so. What it cannot see is whether chance made it.
[[nodiscard]] std::string cookie_weakness(std::string_view cookie);

/// The keys of the cookies that a node accepts; it dials with the first. To change the cookie of a running
/// cluster: add the new one behind the old everywhere, put it first everywhere, remove the old one.
/// A value: copies share the keys, which are wiped with the last of them.
class Keyring {
 public:
  static constexpr std::size_t kCookiesMax = 4;
  static constexpr std::size_t kKeyBytes = 32;
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
  [[nodiscard]] KeyId id(std::size_t index) const;
  [[nodiscard]] bool has(KeyId id) const noexcept { return find(id) < size(); }
  /// size() if there is no such key.
  [[nodiscard]] std::size_t find(KeyId id) const noexcept;

  /// With one more key (kKeyBytes) at the end. `already_exists`; `too_large` with kCookiesMax keys.
  [[nodiscard]] Result<Keyring> with(ByteView key) const;
  /// With this key first. `not_found`.
  [[nodiscard]] Result<Keyring> using_first(KeyId id) const;
  /// Without this key. `not_found`; `invalid_argument` for the first, which is in use.
  [[nodiscard]] Result<Keyring> without(KeyId id) const;

 private:
  struct Key {
    KeyId id;
    crypto::SecretBytes bytes;
  };
  using Keys = std::vector<Key>;
  [[nodiscard]] static Key named(crypto::SecretBytes bytes);
  [[nodiscard]] Keys copy() const;
  [[nodiscard]] static Keyring of(Keys keys);

  std::shared_ptr<const Keys> keys_;
};

}  // namespace cluster::proto
