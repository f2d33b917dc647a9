#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"
#include "cluster/runtime/actor_ref.hpp"

namespace cluster {

namespace runtime {
class Route;
struct ServerType;

/// Whom a message is for: a server of this node (`node` empty) by handle or by name, or one at another
/// node by name.
struct Target {
  std::string name = {};
  NodeId node = {};                   ///< empty: this node
  ActorRef actor = {};                ///< empty: looked up by name at each send
  const ServerType* type = nullptr;   ///< what `actor` is known to be
  std::shared_ptr<Route> route = {};  ///< the way to `node`; empty: found by name at each send
};

/// From "name" or "name@node". `self` makes "name@self" local.
[[nodiscard]] Result<Target> parse_target(std::string_view address, const NodeId& self);
/// 1..255 bytes of UTF-8 without control characters and without '@'.
[[nodiscard]] Result<void> check_server_name(std::string_view name);
}  // namespace runtime

/// A typed reference to a server of class S, here or at another node. A value: copy it, keep it, use it
/// from any thread. A reference by name survives the server; it names whoever has the name then.
template <class S>
class Ref {
 public:
  Ref() = default;
  explicit Ref(runtime::Target target) : target_(std::move(target)) {}

  [[nodiscard]] const runtime::Target& target() const noexcept { return target_; }
  [[nodiscard]] const std::string& name() const noexcept { return target_.name; }
  /// The node it lives on; empty for this one.
  [[nodiscard]] const NodeId& node() const noexcept { return target_.node; }
  [[nodiscard]] bool empty() const noexcept { return target_.name.empty() && !target_.actor; }

 private:
  runtime::Target target_;
};

}  // namespace cluster
