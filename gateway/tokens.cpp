#include "cluster/gateway/tokens.hpp"

#include <algorithm>
#include <utility>

#include "cluster/crypto/hmac.hpp"
#include "cluster/proto/access_token.hpp"

namespace cluster::gateway {
namespace {

bool is_token_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~+/=").find(c) != std::string_view::npos;
}

}  // namespace

Result<std::string> Tokens::checked(std::string token) {
  if (token.size() < kBytesMin || token.size() > kBytesMax)
    return Error(Errc::invalid_argument, "the token has " + std::to_string(token.size()) +
                                             " bytes; it needs " + std::to_string(kBytesMin) + " to " +
                                             std::to_string(kBytesMax));
  if (!std::ranges::all_of(token, is_token_character))
    return Error(Errc::invalid_argument, "a token is made of letters, digits and - . _ ~ + / =");
  return token;
}

Tokens Tokens::given(std::string token) {
  Tokens tokens;
  tokens.accepted_.push_back(std::move(token));
  return tokens;
}

Tokens Tokens::of(std::function<proto::Keyring()> keyring) {
  Tokens tokens;
  tokens.keyring_ = std::move(keyring);
  return tokens;
}

void Tokens::refresh() {
  const auto keyring = keyring_();
  std::vector<proto::KeyId> ids;
  for (std::size_t i = 0; i < keyring.size(); ++i) ids.push_back(keyring.id(i));
  if (ids == of_keys_) return;
  accepted_.clear();
  for (std::size_t i = 0; i < keyring.size(); ++i) accepted_.push_back(proto::access_token(keyring.key(i)));
  of_keys_ = std::move(ids);
}

bool Tokens::accept(std::string_view token) {
  if (keyring_) refresh();
  bool found = false;
  for (const auto& accepted : accepted_)
    found |= crypto::equal_in_constant_time(as_bytes(accepted), as_bytes(token));
  return found;
}

}  // namespace cluster::gateway
