#include "cluster/proto/keyed_limit.hpp"

#include <algorithm>

namespace cluster::proto {

double KeyedLimit::tokens(const Bucket& bucket, Instant now) const noexcept {
  const double seconds = std::chrono::duration<double>(now - bucket.as_of).count();
  return std::min(config_.tokens_max, bucket.tokens + seconds * config_.tokens_per_second);
}

bool KeyedLimit::allows(Instant now, const std::string& key) {
  const auto found = buckets_.find(key);
  if (found == buckets_.end()) return true;
  const double left = tokens(found->second, now);
  if (left >= config_.tokens_max) buckets_.erase(found);
  return left >= 1;
}

void KeyedLimit::take(Instant now, const std::string& key, double tokens) {
  const auto [found, added] = buckets_.try_emplace(key, Bucket{config_.tokens_max, now});
  found->second = Bucket{std::max(0.0, this->tokens(found->second, now) - tokens), now};
  if (added && buckets_.size() > config_.keys_max) forget_one(now);
}

void KeyedLimit::forget_one(Instant now) {
  buckets_.erase(std::max_element(buckets_.begin(), buckets_.end(), [&](const auto& a, const auto& b) {
    return tokens(a.second, now) < tokens(b.second, now);
  }));
}

}  // namespace cluster::proto
