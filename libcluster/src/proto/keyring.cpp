#include "cluster/proto/keyring.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "cluster/base/assert.hpp"
#include "cluster/base/log.hpp"
#include "cluster/crypto/hkdf.hpp"

namespace cluster::proto {
namespace {

// The same for all clusters: a cookie is shared by processes that have nothing else in common.
constexpr std::string_view kSalt = "libcluster cookie v1";
constexpr std::size_t kDistinctBytesAdvised = 6;

/// Whether `text` is a shorter text again and again.
bool repeats(std::string_view text) {
  for (std::size_t period = 1; period <= text.size() / 2; ++period)
    if (text.substr(period) == text.substr(0, text.size() - period)) return true;
  return false;
}

/// Whether most bytes are the next after the one before, or the one before that: "0123456789abcdef".
bool counts(std::string_view text) {
  std::size_t steps = 0;
  for (std::size_t i = 1; i < text.size(); ++i)
    steps += text[i] == text[i - 1] + 1 || text[i] == text[i - 1] - 1;
  return steps * 4 >= text.size() * 3;
}

Error no_such_key() { return Error(Errc::not_found, "there is no such key in the keyring"); }

}  // namespace

std::string fingerprint(KeyId id) {
  std::array<std::uint8_t, sizeof id> bytes;
  store_be(bytes.data(), id);
  return hex(bytes);
}

std::optional<KeyId> key_id_from(std::string_view fingerprint) {
  const auto bytes = from_hex(fingerprint);
  if (!bytes || bytes->size() != sizeof(KeyId)) return std::nullopt;
  return load_be<KeyId>(bytes->data());
}

std::string cookie_weakness(std::string_view cookie) {
  if (cookie.size() < Keyring::kCookieBytesAdvised)
    return "it has " + std::to_string(cookie.size()) + " bytes; use " +
           std::to_string(Keyring::kCookieBytesAdvised) + " or more";
  if (std::set<char>(cookie.begin(), cookie.end()).size() < kDistinctBytesAdvised)
    return "it is made of fewer than " + std::to_string(kDistinctBytesAdvised) + " different characters";
  if (repeats(cookie)) return "it is one text again and again";
  if (counts(cookie)) return "it counts up or down";
  return {};
}

Result<Keyring> Keyring::from_cookies(const std::vector<std::string>& cookies, crypto::ScryptCost cost) {
  if (cookies.empty()) return Error(Errc::invalid_argument, "no cookie");
  if (cookies.size() > kCookiesMax)
    return Error(Errc::invalid_argument, "more than " + std::to_string(kCookiesMax) + " cookies");
  Keys keys;
  for (const auto& cookie : cookies) {
    if (cookie.empty()) return Error(Errc::invalid_argument, "an empty cookie");
    if (const auto weakness = cookie_weakness(cookie); !weakness.empty())
      log::warn("keyring", "a cookie is easy to guess: ", weakness,
                " ('cluster-cli keygen' makes good ones)");
    auto key = crypto::scrypt(as_bytes(cookie), as_bytes(kSalt), cost, kKeyBytes);
    if (!key) return key.error();
    keys.push_back(named(std::move(key).value()));
  }
  return of(std::move(keys));
}

ByteView Keyring::key(std::size_t index) const {
  CLUSTER_ASSERT(index < size());
  return (*keys_)[index].bytes.view();
}

KeyId Keyring::id(std::size_t index) const {
  CLUSTER_ASSERT(index < size());
  return (*keys_)[index].id;
}

std::size_t Keyring::find(KeyId id) const noexcept {
  std::size_t at = 0;
  while (at < size() && (*keys_)[at].id != id) ++at;
  return at;
}

Result<Keyring> Keyring::with(ByteView key) const {
  if (key.size() != kKeyBytes) return Error(Errc::invalid_argument, "a key has 32 bytes");
  Keys keys = copy();
  keys.push_back(named(crypto::SecretBytes(key)));
  if (has(keys.back().id)) return Error(Errc::already_exists, "this key is in the keyring already");
  if (keys.size() > kCookiesMax)
    return Error(Errc::too_large,
                 "the keyring is full: remove one of its " + std::to_string(kCookiesMax) + " keys");
  return of(std::move(keys));
}

Result<Keyring> Keyring::using_first(KeyId id) const {
  const auto at = find(id);
  if (at == size()) return no_such_key();
  Keys keys = copy();
  std::rotate(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(at),
              keys.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  return of(std::move(keys));
}

Result<Keyring> Keyring::without(KeyId id) const {
  const auto at = find(id);
  if (at == size()) return no_such_key();
  if (at == 0) return Error(Errc::invalid_argument, "this key is in use: put another first, with 'key use'");
  Keys keys = copy();
  keys.erase(keys.begin() + static_cast<std::ptrdiff_t>(at));
  return of(std::move(keys));
}

Keyring::Key Keyring::named(crypto::SecretBytes bytes) {
  const auto hash = crypto::hkdf_sha256(bytes, as_bytes(kSalt), as_bytes("fingerprint"), sizeof(KeyId));
  return {load_be<KeyId>(hash.data()), std::move(bytes)};
}

Keyring::Keys Keyring::copy() const {
  Keys keys;
  for (std::size_t i = 0; i < size(); ++i) keys.push_back({id(i), crypto::SecretBytes(key(i))});
  return keys;
}

Keyring Keyring::of(Keys keys) {
  Keyring keyring;
  keyring.keys_ = std::make_shared<const Keys>(std::move(keys));
  return keyring;
}

}  // namespace cluster::proto
