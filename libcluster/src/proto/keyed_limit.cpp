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

Duration KeyedLimit::wait(Instant now, const std::string& key) const {
  const auto found = buckets_.find(key);
  const double missing = found == buckets_.end() ? 0 : 1 - tokens(found->second, now);
  if (missing <= 0) return Duration::zero();
  if (config_.tokens_per_second <= 0) return Duration::max();
  return std::chrono::ceil<Duration>(std::chrono::duration<double>(missing / config_.tokens_per_second));
}

void KeyedLimit::take(Instant now, const std::string& key, double tokens) {
  const auto [found, added] = buckets_.try_emplace(key, Bucket{config_.tokens_max, now});
  found->second = Bucket{std::max(config_.tokens_min, this->tokens(found->second, now) - tokens), now};
  if (added && buckets_.size() > config_.keys_max) forget_one(now, found);
}

void KeyedLimit::forget_one(Instant now, Buckets::iterator but) {
  auto most = buckets_.end();
  for (auto at = buckets_.begin(); at != buckets_.end(); ++at)
    if (at != but && (most == buckets_.end() || tokens(at->second, now) > tokens(most->second, now)))
      most = at;
  if (most != buckets_.end()) buckets_.erase(most);
}

}  // namespace cluster::proto
