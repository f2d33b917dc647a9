#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "cluster/base/node_id.hpp"
#include "cluster/base/time.hpp"
#include "cluster/net/net_kernel.hpp"

namespace cluster::runtime {

/// The way to another node. References to its servers hold it, so that a message need not search for its
/// peer by name. Thread-safe.
class Route {
 public:
  Route(NodeId to, std::uint64_t router) : node(std::move(to)), router_(router) {}

  const NodeId node;
  /// Whether the Router of this number made it: a reference may be used at another node of the process.
  [[nodiscard]] bool is_of(std::uint64_t router) const noexcept { return router_ == router; }

  /// The peer that was found last, or null; it may have ended.
  [[nodiscard]] const net::PeerRef* peer() const noexcept { return peer_.load(std::memory_order_acquire); }
  /// The peer of this name as the kernel knows it now; null if it knows none.
  [[nodiscard]] const net::PeerRef* find_peer(const net::NetKernel& kernel);

  /// Before the kernel goes, which no peer may outlive. Nobody may be sending.
  void forget_peers();

  /// How often a link to the node has broken.
  std::atomic<std::uint64_t> breaks{0};

  /// True, and the beginning of a pause, if nothing was written for kPause: then a single message is worth
  /// a system call at once. More than that in a row go out faster together.
  [[nodiscard]] bool is_quiet() noexcept;

 private:
  static constexpr Duration kPause = 20us;

  const std::uint64_t router_;
  std::atomic<const net::PeerRef*> peer_{nullptr};
  std::atomic<Instant::rep> written_{0};
  std::mutex mutex_;
  // All that were ever found, so that `peer_` needs no count: a node that leaves and comes back adds one.
  std::deque<net::PeerRef> found_;
};

/// The routes of a node, by name; each lives as long as a reference or an open call holds it. Thread-safe.
class Routes {
 public:
  Routes();
  [[nodiscard]] std::uint64_t router() const noexcept { return router_; }
  [[nodiscard]] std::shared_ptr<Route> find_or_add(const NodeId& node);
  /// Null if nobody holds one.
  [[nodiscard]] std::shared_ptr<Route> find(const NodeId& node) const;
  /// Route::forget_peers of all.
  void forget_peers();

 private:
  const std::uint64_t router_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<NodeId, std::weak_ptr<Route>> routes_;
  std::size_t prune_at_ = 64;  // entries
};

}  // namespace cluster::runtime
