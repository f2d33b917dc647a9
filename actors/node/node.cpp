#include "cluster/node/node.hpp"

#include <chrono>
#include <utility>

#include "cluster/base/utf8.hpp"
#include "cluster/crypto/random.hpp"
#include "cluster/node/command_server.hpp"
#include "cluster/node/gossip_ring.hpp"

namespace cluster {
namespace {

Result<void> check(const NodeConfig& config) {
  const auto fail = [](std::string text) { return Error(Errc::invalid_argument, std::move(text)); };
  const auto is_weight = [](std::uint32_t weight) { return weight >= 1 && weight <= CHash::kWeightMax; };
  if (config.cookie.empty()) return fail("a node needs a cookie");
  if (!is_weight(config.rfactor)) return fail("rfactor must be 1..65535");
  if (config.weight != 0 && !is_weight(config.weight)) return fail("weight must be 1..65535");
  if (config.pfactor > CHash::kRangeMax) return fail("pfactor must be at most 65535");
  const bool is_ring_name =
      config.ring.size() <= 255 && is_utf8(config.ring) && !has_control_character(config.ring);
  if (!is_ring_name) return fail("a ring name is at most 255 bytes of UTF-8 without control characters");
  return {};
}

Boot new_boot() {
  const auto now = std::chrono::floor<std::chrono::milliseconds>(wall_now().time_since_epoch()).count();
  return {static_cast<std::uint64_t>(now), crypto::random_u64()};
}

}  // namespace

struct Node::Impl {
  std::shared_ptr<RingBoard> board = std::make_shared<RingBoard>();
  std::unique_ptr<ActorSystem> actors;
  Ref<GossipRing> ring;
};

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::Node(Node&&) noexcept = default;
Node& Node::operator=(Node&&) noexcept = default;
Node::~Node() = default;

Result<Node> Node::start(NodeConfig config) {
  if (auto checked = check(config); !checked) return std::move(checked).error();
  auto id = NodeId::parse(config.id);
  if (!id) return std::move(id).error();
  auto host = parse_host(config.host);
  if (!host) return std::move(host).error();
  std::vector<std::string> cookies{config.cookie};
  cookies.insert(cookies.end(), config.cookies_too.begin(), config.cookies_too.end());
  auto keyring = net::Keyring::from_cookies(cookies, config.scrypt);
  if (!keyring) return std::move(keyring).error();

  const Boot boot = new_boot();
  auto actors = ActorSystem::start({.net = {.id = id.value(),
                                            .boot = boot,
                                            .role = net::Role::node,
                                            .ring = config.ring,
                                            .advertised = {config.host, config.port},
                                            .bind = config.bind,
                                            .keyring = std::move(keyring).value(),
                                            .protection = config.protection,
                                            .protection_min = config.protection_min,
                                            .limits = config.limits,
                                            .seed = crypto::random_u64()},
                                    .engine = config.engine,
                                    .inbound = config.inbound});
  if (!actors) return std::move(actors).error();
  auto impl = std::make_unique<Impl>();
  impl->actors = std::move(actors).value();
  ActorSystem* system = impl->actors.get();

  GossipRing::Options options;
  options.gossip.self = {id.value(), boot, system->kernel().listening(),
                         config.weight != 0 ? config.weight : config.rfactor};
  options.gossip.ring = config.ring;
  options.hash = {config.rfactor, config.pfactor};
  options.on_event = std::move(config.on_ring_event);
  auto ring = system->spawn<GossipRing>({.name = std::string(GossipRing::kName)}, std::move(options), system,
                                        impl->board);
  if (!ring) return std::move(ring).error();
  impl->ring = ring.value();
  system->listen_to_peers([system, to = impl->ring](const PeerEvent& event) {
    if (event.kind == PeerEvent::Kind::lost || event.peer.role != net::Role::node) return;
    static_cast<void>(system->cast(to, PeerChanged{event.peer.id, event.kind == PeerEvent::Kind::up}));
  });
  auto command = system->spawn<CommandServer>({.name = std::string(CommandServer::kName)}, system, impl->ring,
                                              impl->board);
  if (!command) return std::move(command).error();
  for (const auto& endpoint : config.meet) {
    // Kept up for ever, and without undoing a removal: nobody is there to be told that it failed.
    const proto::MeetCommand meet{.endpoint = endpoint, .timeout = Duration::max(), .revive = false};
    if (auto sent = system->cast(impl->ring, ChangeRing{meet}); !sent) return std::move(sent).error();
  }
  return Node(std::move(impl));
}

Result<void> Node::stop() { return impl_->actors->stop(); }

std::shared_ptr<const RingView> Node::ring() const { return impl_->board->read(); }

Result<void> Node::change(proto::RingCommand command, Duration timeout) {
  return impl_->actors->call(impl_->ring, ChangeRing{std::move(command)}, timeout);
}

Endpoint Node::endpoint() const { return impl_->actors->kernel().listening(); }
ActorSystem& Node::actors() const noexcept { return *impl_->actors; }

}  // namespace cluster
