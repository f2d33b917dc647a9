#include "route.hpp"

#include <algorithm>

namespace cluster::runtime {
namespace {

std::uint64_t next_router() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

const net::PeerRef* Route::find_peer(const net::NetKernel& kernel) {
  net::PeerRef now = kernel.peer(node);
  if (now == nullptr) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto known = std::find(found_.begin(), found_.end(), now);
  const net::PeerRef& kept = known != found_.end() ? *known : found_.emplace_back(std::move(now));
  peer_.store(&kept, std::memory_order_release);
  return &kept;
}

void Route::forget_peers() {
  const std::lock_guard lock(mutex_);
  peer_.store(nullptr, std::memory_order_release);
  found_.clear();
}

bool Route::is_quiet() noexcept {
  const Instant::rep now = MonotonicClock::now().time_since_epoch().count();
  if (now - written_.load(std::memory_order_relaxed) < kPause.count()) return false;
  written_.store(now, std::memory_order_relaxed);
  return true;
}

Routes::Routes() : router_(next_router()) {}

std::shared_ptr<Route> Routes::find(const NodeId& node) const {
  const std::shared_lock lock(mutex_);
  const auto found = routes_.find(node);
  return found == routes_.end() ? nullptr : found->second.lock();
}

void Routes::forget_peers() {
  const std::shared_lock lock(mutex_);
  for (const auto& [node, entry] : routes_)
    if (const auto route = entry.lock()) route->forget_peers();
}

std::shared_ptr<Route> Routes::find_or_add(const NodeId& node) {
  if (auto found = find(node)) return found;
  const std::unique_lock lock(mutex_);
  if (routes_.size() >= prune_at_) {
    std::erase_if(routes_, [](const auto& entry) { return entry.second.expired(); });
    prune_at_ = std::max<std::size_t>(64, 2 * routes_.size());
  }
  auto& entry = routes_[node];
  auto route = entry.lock();
  if (route == nullptr) entry = route = std::make_shared<Route>(node, router_);
  return route;
}

}  // namespace cluster::runtime
