#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/result.hpp"
#include "cluster/node/drain.hpp"
#include "cluster/node/event_log.hpp"
#include "cluster/node/member_board.hpp"
#include "cluster/node/ring_board.hpp"
#include "cluster/proto/gossip.hpp"
#include "cluster/proto/partition_policy.hpp"
#include "cluster/runtime/actor_system.hpp"

namespace cluster {

using wire::Protection;

struct NodeConfig {
  std::string id;                  ///< unique in the cluster; 1..255 bytes of UTF-8
  std::string host = "localhost";  ///< what others dial: an address or a name
  std::uint16_t port = 7022;       ///< 0: any free one (tests)
  std::string cookie = {};         ///< the cluster's secret; dialling uses it
  std::vector<std::string> cookies_too =
      {};                              ///< accepted besides, at most 3: to change the cookie while running
  std::string ring = {};               ///< the ring it is in from the start; empty: none
  std::uint32_t rfactor = 128;         ///< default weight of members; 1..65535
  std::uint32_t pfactor = 2;           ///< default number of neighbours
  std::uint32_t weight = 0;            ///< of this node; 0: rfactor
  std::string zone = {};               ///< what it fails together with, as of CHash::Node; empty: none
  std::vector<std::string> bind = {};  ///< local addresses; empty: all that `host` resolves to
  std::vector<Endpoint> meet = {};     ///< dialled until they answer, to find the ring at start
  std::string data_dir = {};  ///< where the ring is kept over restarts; empty: nowhere. One process at a time
  Protection protection = Protection::sign;      ///< the most that connections get, if the peer offers it too
  Protection protection_min = Protection::sign;  ///< peers that offer less are refused
  /// With them connections get TLS, the most that there is, where the peer has a certificate, too. The
  /// certificate names this node (proto::certificate_uri). Read at the start alone.
  crypto::TlsFiles tls = {};
  net::NetLimits limits = {};
  /// Up to so many members each node is connected to all; above it, to some 2 log2 N of them always and to
  /// others while there is something to say (limits.idle_timeout). The same on all nodes.
  std::size_t mesh_max = 64;
  runtime::EngineConfig engine = {};
  runtime::InboundLimits inbound = {};  ///< of what came over the network and waits for its servers
  crypto::ScryptCost scrypt = {};       ///< of the cookie; the same on all nodes
  proto::DetectorConfig detector = {};  ///< its times; id and boot are the node's
  proto::PartitionPolicyConfig partition_policy = {};  ///< what the silence of members means; as on all nodes
  /// Runs the server `drill`, so that whoever has the cookie can rehearse partitions of the network.
  bool allow_drills = false;
  /// Servers that will be started, each of which `Node::drain_first` names: until then this node has not
  /// handed over what they hold.
  std::vector<std::string> drain_first = {};
  /// Called in the ring server's turn: do not block in it.
  std::function<void(const proto::GossipEvent&)> on_ring_event = {};
};

/// A node: actors, their names, their ring and the way to other nodes, in one value. Moving it is cheap; it
/// stops when it is destroyed. All members are thread-safe. The calls that block are refused inside handlers.
///
///   auto node = cluster::Node::start({.id = "foo", .port = 7022, .cookie = cookie, .ring = "ring"}).value();
///   auto bank = node.spawn<Bank>({.name = "bank"}).value();
///   auto sum = node.call(node.ref<Bank>("bank@bar").value(), Deposit{"ada", 500}, 2s);
class Node {
 public:
  /// Listens, and runs the servers `ring`, `detector` and `command`. Errors: `invalid_argument` with the
  /// field, `io` if the port is taken or the data directory cannot be read, `already_exists` if another
  /// process uses it.
  [[nodiscard]] static Result<Node> start(NodeConfig config);
  Node(Node&&) noexcept;
  Node& operator=(Node&&) noexcept;
  ~Node();

  /// A goodbye to the peers, who keep this node as a member; what is to be saved is. Idempotent.
  /// `would_block` inside a handler.
  Result<void> stop();

  template <class S, class... Args>
  [[nodiscard]] Result<Ref<S>> spawn(SpawnOptions options, Args&&... args) {
    return actors().spawn<S>(std::move(options), std::forward<Args>(args)...);
  }
  template <class S>
  [[nodiscard]] Result<Ref<S>> ref(std::string_view address) const {
    return actors().ref<S>(address);
  }
  template <class S, class M>
  [[nodiscard]] Result<reply_of<M>> call(const Ref<S>& to, M message, Duration timeout = kCallTimeout) {
    return actors().call(to, std::move(message), timeout);
  }
  [[nodiscard]] Result<wire::Value> call(std::string_view address, std::string_view event,
                                         const wire::Value& message, Duration timeout = kCallTimeout) {
    return actors().call(address, event, message, timeout);
  }
  template <class S, class M>
  Result<void> cast(const Ref<S>& to, M message) {
    return actors().cast(to, std::move(message));
  }
  Result<void> cast(std::string_view address, std::string_view event, const wire::Value& message) {
    return actors().cast(address, event, message);
  }
  template <class S, class M>
  [[nodiscard]] auto multicall(std::span<const NodeId> nodes, std::string_view name, const M& message,
                               Duration timeout = kCallTimeout) {
    return actors().multicall<S>(nodes, name, message, timeout);
  }
  template <class S, class M>
  auto abcast(std::span<const NodeId> nodes, std::string_view name, const M& message) {
    return actors().abcast<S>(nodes, name, message);
  }
  [[nodiscard]] Result<Duration> ping(const NodeId& node, Duration timeout = kCallTimeout) {
    return actors().ping(node, timeout);
  }

  /// The ring as this node sees it now. Keep the pointer while you read it: a `for` over `ring()->members`
  /// itself would drop it first.
  [[nodiscard]] std::shared_ptr<const RingView> ring() const;
  /// Insert, update, remove, meet, join or leave; answered when it took effect at this node. `no_quorum`
  /// where the partition policy says that too few members are here for it.
  Result<void> change(proto::RingCommand command, Duration timeout = 15s);
  /// Becomes one ring with the node that listens there.
  Result<void> meet(const Endpoint& endpoint) { return change(proto::MeetCommand{.endpoint = endpoint}); }
  /// Drains for at most so long, and leaves the ring if that is done; else it is `timeout`, and the node
  /// stays.
  Result<void> leave(Duration drain_time = kDrainTime);
  static constexpr Duration kDrainTime = 60s;
  /// Hands over what this node holds for its ring, before it leaves, for at most so long; then says how far
  /// that is. Goes on for 10 s more: leave, or ask again. Done at once where nothing is held.
  [[nodiscard]] Result<DrainState> drain(Duration wait);
  /// `server`, of this node, holds something for the ring and answers AskDrained.
  Result<void> drain_first(std::string server);

  /// Where its newest view is, for servers of this node.
  [[nodiscard]] std::shared_ptr<const RingBoard> ring_board() const;

  /// The members and what this node holds of them, itself included, by id. Who left is shown for a while.
  [[nodiscard]] std::vector<NodeMember> members() const;
  /// `listener` runs in the turn of the server `detector`: hand it on with a cast, do not block.
  void listen_to_members(std::function<void(const MemberEvent&)> listener);
  /// Told when this side of the ring loses its quorum or finds one, in the same turn.
  void listen_to_quorum(std::function<void(const proto::Quorum&)> listener);
  /// Whether what needs a quorum may be done on this side of the ring, as the partition policy finds.
  [[nodiscard]] bool has_quorum() const noexcept;
  /// The same, and the members, for servers of this node: give it to them when you spawn them.
  [[nodiscard]] std::shared_ptr<const MemberBoard> member_board() const;

  /// What happened to the ring and its members.
  [[nodiscard]] std::shared_ptr<EventLog> events() const;

  [[nodiscard]] const NodeId& id() const noexcept { return actors().id(); }
  /// The advertised host and the bound port.
  [[nodiscard]] Endpoint endpoint() const;
  [[nodiscard]] ActorSystem& actors() const noexcept;

 private:
  struct Impl;
  explicit Node(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cluster
