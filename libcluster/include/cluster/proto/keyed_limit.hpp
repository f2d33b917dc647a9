#pragma once
#include <cstddef>
#include <map>
#include <string>

#include "cluster/base/time.hpp"

namespace cluster::proto {

/// Slows down whoever does something too often, by a key such as his address: he pays tokens, and may go on
/// while he has one. He can owe some, down to `tokens_min`. They come back with time: nobody is ever banned.
/// Bounded memory: of more than `keys_max` keys the one with the most tokens is forgotten, but never the one
/// that pays: who comes when all others have paid more is slowed down as well.
class KeyedLimit {
 public:
  struct Config {
    double tokens_max = 10;
    double tokens_per_second = 1;
    double tokens_min = 0;
    std::size_t keys_max = 4096;
  };

  KeyedLimit() = default;
  explicit KeyedLimit(Config config) : config_(config) {}
  [[nodiscard]] bool allows(Instant now, const std::string& key);
  /// Until he has a token if he pays nothing meanwhile.
  [[nodiscard]] Duration wait(Instant now, const std::string& key) const;
  void take(Instant now, const std::string& key, double tokens = 1);
  [[nodiscard]] std::size_t keys() const noexcept { return buckets_.size(); }

 private:
  struct Bucket {
    double tokens = 0;
    Instant as_of;
  };
  using Buckets = std::map<std::string, Bucket>;

  [[nodiscard]] double tokens(const Bucket& bucket, Instant now) const noexcept;
  void forget_one(Instant now, Buckets::iterator but);

  Config config_;
  Buckets buckets_;  // absent: all tokens there
};

}  // namespace cluster::proto
