#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/gateway/http_server.hpp"
#include "cluster/gateway/routes.hpp"
#include "cluster/node/node.hpp"

namespace cluster::gateway {

struct GatewayConfig {
  Endpoint endpoint{"localhost", 0};  ///< port 0: any free one
  std::string token{};    ///< empty: those of the keys that the node accepts (proto/access_token.hpp)
  AccessConfig access{};  ///< the node's own host is added
  HttpLimits limits{};
  bool needs_ring = false;  ///< ready only once the node is in a ring
  /// Adds further routes, before anything is served.
  std::function<void(Router& router, const Toolbox& tools)> extend{};
};

/// A node's HTTP and WebSocket API (docs/http.md), with threads of its own: what it does takes nothing from
/// the node but the calls that it makes. Thread-safe.
class Gateway {
 public:
  /// Listens and serves. `node` outlives the gateway. `io` if it cannot listen, `invalid_argument` for a
  /// token that is none.
  [[nodiscard]] static Result<Gateway> start(Node& node, GatewayConfig config);
  Gateway(Gateway&&) noexcept;
  Gateway& operator=(Gateway&&) noexcept;
  ~Gateway();

  /// Ready no more; requests that came are answered, for up to `drain`; then it is closed. Idempotent. Before
  /// the node stops.
  void stop(Duration drain = 5s);
  /// The host that was asked for, and the bound port.
  [[nodiscard]] Endpoint endpoint() const;

 private:
  struct Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Whether only this machine can reach what listens at `host`.
[[nodiscard]] bool is_loopback(const std::string& host);

}  // namespace cluster::gateway
