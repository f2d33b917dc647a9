#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "cluster/gateway/caller.hpp"
#include "cluster/gateway/http_server.hpp"
#include "cluster/gateway/router.hpp"
#include "cluster/node/node.hpp"

namespace cluster::gateway {

/// What handlers work with; all of it outlives them.
struct Toolbox {
  Node* node = nullptr;
  Caller* caller = nullptr;
  HttpServer* server = nullptr;
  bool needs_ring = false;  ///< GatewayConfig::needs_ring
};

/// The ring, its picture, and where keys lie on it.
void add_ring_routes(Router& router, const Toolbox& tools);
/// Members, links, status, actors; calls and casts.
void add_node_routes(Router& router, const Toolbox& tools);
void add_call_routes(Router& router, const Toolbox& tools);
/// The Chord overlay: what this node knows of it, and lookups.
void add_chord_routes(Router& router, const Toolbox& tools);
/// The node's events, as a list or as they come.
void add_event_routes(Router& router, const Toolbox& tools);
/// Files in the key-value store.
void add_file_routes(Router& router, const Toolbox& tools);
/// What watches the node: healthz, readyz.
void add_watch_routes(Router& router, const Toolbox& tools);
/// What the node counts, for Prometheus.
void add_metrics_routes(Router& router, const Toolbox& tools);
/// The key-value store, where the node runs one.
void add_kv_routes(Router& router, const Toolbox& tools);
/// Its changes, as a list or as they come.
void add_kv_watch_routes(Router& router, const Toolbox& tools);
/// The dashboard, the list of paths and the OpenAPI document.
void add_page_routes(Router& router, const Toolbox& tools);

/// {"ok": true, "data": data}
[[nodiscard]] Response success(wire::Value data, unsigned status = 200);
/// A reply of the server `command`, or of another one that answers in its form, under the status that fits
/// it.
[[nodiscard]] Response from_reply(const wire::Value& reply);
/// What goes through this much is better done on another thread than while other clients wait.
inline constexpr std::size_t kLongBytes = 64u << 10;
/// Runs `work` at once, or, if `bytes`, a guess at what it will go through, is kLongBytes or more, on the
/// thread for what takes long. In a handler.
void run(const Toolbox& tools, std::size_t bytes, std::function<void()> work);
/// A guess at the length of a value's text; at least `enough` if it is more than that.
[[nodiscard]] std::size_t text_bytes(const wire::Value& value, std::size_t enough);
/// The parameter `name` of the query as a number of at most `max`, else `otherwise`.
[[nodiscard]] Result<std::uint64_t> number_parameter(const Request& request, std::string_view name,
                                                     std::uint64_t max, std::uint64_t otherwise);

}  // namespace cluster::gateway
