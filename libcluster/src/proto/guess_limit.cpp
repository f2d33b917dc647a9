#include "cluster/proto/guess_limit.hpp"

#include <algorithm>

namespace cluster::proto {

double GuessLimit::tokens(const Bucket& bucket, Instant now) const noexcept {
  const double seconds = std::chrono::duration<double>(now - bucket.as_of).count();
  return std::min(config_.tokens_max, bucket.tokens + seconds * config_.tokens_per_second);
}

bool GuessLimit::allows(Instant now, const std::string& address) {
  const auto found = buckets_.find(address);
  if (found == buckets_.end()) return true;
  const double left = tokens(found->second, now);
  if (left >= config_.tokens_max) buckets_.erase(found);
  return left >= 1;
}

void GuessLimit::on_failed_proof(Instant now, const std::string& address) {
  const auto [found, added] = buckets_.try_emplace(address, Bucket{config_.tokens_max, now});
  found->second = Bucket{std::max(0.0, tokens(found->second, now) - 1), now};
  if (added && buckets_.size() > config_.addresses_max) forget_one(now);
}

void GuessLimit::forget_one(Instant now) {
  buckets_.erase(std::max_element(buckets_.begin(), buckets_.end(), [&](const auto& a, const auto& b) {
    return tokens(a.second, now) < tokens(b.second, now);
  }));
}

}  // namespace cluster::proto
