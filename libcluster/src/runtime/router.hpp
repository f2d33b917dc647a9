#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/net/net_kernel.hpp"
#include "cluster/runtime/actor_system.hpp"
#include "cluster/runtime/engine.hpp"
#include "cluster/runtime/services.hpp"
#include "cluster/wire/message.hpp"
#include "deliveries.hpp"
#include "inbound_gate.hpp"
#include "registry.hpp"
#include "remote_calls.hpp"
#include "route.hpp"

namespace cluster::runtime {

/// Brings messages to servers: of this node by name, of other nodes through the kernel; and replies back to
/// who waits for them. Thread-safe; the NetEvents side runs on the thread that polls the kernel.
class Router final : public Services, public net::NetEvents {
 public:
  Router(NodeId self, const InboundLimits& limits) : self_(std::move(self)), inbound_(limits) {}
  /// Both once, the kernel before anybody polls it, the engine before the first server. They outlive all use.
  void attach(net::NetKernel& kernel);
  void attach(Engine& engine) noexcept { engine_ = &engine; }
  /// Before the kernel goes: replies that come later, by a From that outlives the node, go nowhere.
  void detach() noexcept;
  /// Right before the kernel is destroyed: references keep the ways to its peers.
  void forget_peers() { routes_.forget_peers(); }

  [[nodiscard]] Registry& registry() noexcept { return registry_; }
  [[nodiscard]] InboundCounters inbound() const noexcept { return inbound_.counters(); }
  void listen_to_peers(std::function<void(const PeerEvent&)> listener);
  void set_unreachable(const NodeId& node, bool unreachable);

  // Services.
  Result<void> post(const Target& to, const ServerType& expected, MessagePtr& message) override;
  Result<void> post_encoded(const wire::Target& to, std::string_view event, ByteView payload,
                            ReplyTo reply_to, Instant expires) override;
  std::uint64_t open_call(const Target& to, ReplyTo reply_to) override;
  Result<void> send_call(std::uint64_t call, const Target& to, Bytes& message, std::size_t ttl_at,
                         Duration timeout) override;
  Executed abandon_call(std::uint64_t call) override;
  Result<void> send_cast(const Target& to, Bytes& message) override;
  [[nodiscard]] Instant now() const override { return MonotonicClock::now(); }
  [[nodiscard]] Instant deadline_after(Duration timeout) const override;
  std::uint64_t set_timer(Instant due, const ActorRef& to, EnvelopePtr message) override;
  void cancel_timer(std::uint64_t timer) override;
  [[nodiscard]] Result<Target> resolve(std::string_view address) const override;

  // NetEvents.
  void on_message(const net::PeerInfo& from, net::Lane lane, ByteView message) override;
  void on_large_message(const net::PeerInfo& from, net::Lane lane, Buffer&& message) override;
  [[nodiscard]] net::Appetite appetite() const noexcept override { return inbound_.appetite(); }
  [[nodiscard]] bool is_idle(const net::PeerInfo& peer) override;
  void on_peer_up(const net::PeerInfo& peer) override;
  void on_peer_down(const net::PeerInfo& peer, net::PeerDownReason reason, std::string_view text) override;
  void on_peer_lost(const NodeId& node, const Error& why) override;
  void on_dropped(const NodeId& node, std::span<const net::Ticket> tickets) override;

 private:
  class Connection;
  /// The kernel, as long as there is one.
  struct Gate {
    std::shared_mutex mutex;
    net::NetKernel* kernel = nullptr;
    log::Limit unsent_lines;
  };
  [[nodiscard]] bool is_unreachable(const NodeId& node) const;
  void break_calls(const NodeId& node, std::string_view why);
  [[nodiscard]] std::shared_ptr<Route> route(const Target& to);
  [[nodiscard]] Result<net::Ticket> send(Route& route, Bytes& message, const net::SendOptions& options);
  void on_view(const net::PeerInfo& from, net::Lane lane, const wire::CastView& cast);
  void on_view(const net::PeerInfo& from, net::Lane lane, const wire::CallView& call);
  [[nodiscard]] bool may_answer(const net::PeerInfo& from);
  void on_view(const net::PeerInfo& from, net::Lane lane, const wire::ReplyView& reply);
  void on_view(const net::PeerInfo& from, net::Lane lane, const wire::ErrorView& error);
  [[nodiscard]] Result<void> deliver(const net::PeerInfo& from, net::Lane lane, const wire::Target& to,
                                     std::string_view event, ByteView payload, ReplyTo reply_to,
                                     Instant expires);
  [[nodiscard]] SinkPtr<ReplySink> connection(const net::PeerInfo& peer);
  void tell_listeners(const PeerEvent& event);

  NodeId self_;
  Engine* engine_ = nullptr;
  net::NetKernel* kernel_ = nullptr;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  Registry registry_;
  mutable Routes routes_;
  RemoteCalls calls_;
  InboundGate inbound_;
  // Of the polling thread alone: where messages go, the reply addresses of the sessions, and the newest
  // session of each node.
  Deliveries deliveries_{registry_};
  wire::MessageView message_;
  Buffer* large_ = nullptr;  // what message_ is in, if it may be kept
  std::uint64_t last_session_ = 0;
  SinkPtr<ReplySink> last_connection_;
  std::unordered_map<std::uint64_t, SinkPtr<ReplySink>> connections_;
  std::unordered_map<NodeId, std::uint64_t> sessions_;
  // Nodes whose calls fail at once. The count spares calls the search as long as there are none.
  std::atomic<std::size_t> unreachable_count_{0};
  mutable std::shared_mutex unreachable_mutex_;
  std::set<NodeId> unreachable_;
  std::mutex listeners_mutex_;
  std::vector<std::function<void(const PeerEvent&)>> listeners_;
};

}  // namespace cluster::runtime
