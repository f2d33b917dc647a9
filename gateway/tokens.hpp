#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/result.hpp"
#include "cluster/proto/keyring.hpp"

namespace cluster::gateway {

/// Which bearer tokens are accepted: one that was given, or those of the keys that the node accepts now, so
/// that a token goes with its cookie. Not synchronised.
class Tokens {
 public:
  static constexpr std::size_t kBytesMin = 16;
  static constexpr std::size_t kBytesMax = 512;

  /// `invalid_argument` for a token that is too short or too long, or holds other characters than a header
  /// may carry (RFC 6750 section 2.1).
  [[nodiscard]] static Result<std::string> checked(std::string token);
  /// One token that was checked.
  [[nodiscard]] static Tokens given(std::string token);
  /// `keyring` is asked at each request.
  [[nodiscard]] static Tokens of(std::function<proto::Keyring()> keyring);

  /// Takes as long for a wrong token as for a right one.
  [[nodiscard]] bool accept(std::string_view token);

 private:
  void refresh();

  std::function<proto::Keyring()> keyring_;
  std::vector<proto::KeyId> of_keys_;  // of `accepted_`
  std::vector<std::string> accepted_;
};

}  // namespace cluster::gateway
