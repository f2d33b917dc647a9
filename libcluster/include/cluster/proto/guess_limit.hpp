#pragma once
#include <cstddef>
#include <map>
#include <string>

#include "cluster/base/time.hpp"

namespace cluster::proto {

/// Slows down the guessing of cookies: an address that failed a proof pays a token, and is let in only
/// while it has one. Tokens come back with time, so nobody is ever banned. Bounded memory: of more than
/// `addresses_max` addresses the one with the most tokens is forgotten.
class GuessLimit {
 public:
  struct Config {
    double tokens_max = 10;
    double tokens_per_second = 1;
    std::size_t addresses_max = 4096;
  };

  GuessLimit() = default;
  explicit GuessLimit(Config config) : config_(config) {}
  /// Whether a connection from `address` may begin a handshake.
  [[nodiscard]] bool allows(Instant now, const std::string& address);
  void on_failed_proof(Instant now, const std::string& address);
  [[nodiscard]] std::size_t addresses() const noexcept { return buckets_.size(); }

 private:
  struct Bucket {
    double tokens = 0;
    Instant as_of;
  };
  [[nodiscard]] double tokens(const Bucket& bucket, Instant now) const noexcept;
  void forget_one(Instant now);

  Config config_;
  std::map<std::string, Bucket> buckets_;  // absent: all tokens there
};

}  // namespace cluster::proto
