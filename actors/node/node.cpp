#include "cluster/node/node.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "cluster/base/log.hpp"
#include "cluster/base/utf8.hpp"
#include "cluster/crypto/random.hpp"
#include "cluster/node/command_server.hpp"
#include "cluster/node/drain_server.hpp"
#include "cluster/node/drill_server.hpp"
#include "cluster/node/event_log.hpp"
#include "cluster/node/failure_detector.hpp"
#include "cluster/node/gossip_ring.hpp"
#include "cluster/node/node_keys.hpp"
#include "cluster/node/ring_store.hpp"

namespace cluster {
namespace {

Result<void> check(const NodeConfig& config) {
  const auto fail = [](std::string text) { return Error(Errc::invalid_argument, std::move(text)); };
  const auto is_weight = [](std::uint32_t weight) { return weight >= 1 && weight <= CHash::kWeightMax; };
  if (config.cookie.empty()) return fail("a node needs a cookie");
  if (!is_weight(config.rfactor)) return fail("rfactor must be 1..65535");
  if (config.weight != 0 && !is_weight(config.weight)) return fail("weight must be 1..65535");
  if (config.pfactor > CHash::kRangeMax) return fail("pfactor must be at most 65535");
  if (auto zone = proto::check_zone(config.zone); !zone) return zone;
  const bool is_ring_name =
      config.ring.size() <= 255 && is_utf8(config.ring) && !has_control_character(config.ring);
  if (auto policy = proto::check(config.partition_policy); !policy) return policy;
  if (!is_ring_name) return fail("a ring name is at most 255 bytes of UTF-8 without control characters");
  return {};
}

/// What this node has on its disk.
struct Data {
  std::unique_ptr<DataWriter> writer;
  std::optional<proto::SavedRing> ring;
  proto::SavedKeys keys;
};

/// A key file that is damaged is put aside and warned of.
Result<proto::SavedKeys> load_keys(DataFolder& folder) {
  const auto file = folder.read(kKeyFileName, proto::kKeyFileBytesMax);
  if (!file && file.error().code() == Errc::not_found) return proto::SavedKeys();
  if (!file && file.error().code() != Errc::too_large) return file.error();
  auto saved =
      file ? proto::decode_key_file(*file) : Result<proto::SavedKeys>(Error(Errc::corrupt, "is too long"));
  if (saved) return saved;
  const auto aside = folder.put_aside(kKeyFileName);
  log::error("disk", "the key file in ", folder.path(), ' ', saved.error().message(),
             "; this node accepts the cookies that it was started with",
             aside ? ", and keeps the file as " + *aside : "; nothing is saved: " + aside.error().message());
  return proto::SavedKeys();
}

constexpr std::chrono::days kExpiryWarned{30};

/// Null: there is none.
Result<std::shared_ptr<const crypto::TlsContext>> load_certificate(const crypto::TlsFiles& files) {
  if (files.empty()) return std::shared_ptr<const crypto::TlsContext>();
  auto loaded = crypto::TlsContext::load(files);
  if (!loaded) return loaded;
  const auto left = std::chrono::floor<std::chrono::days>((*loaded)->expires() - wall_now());
  if (left < kExpiryWarned)
    log::warn("net", "the certificate '", files.certificate, "' expires in ", left.count(), " days");
  return loaded;
}

Result<Data> open_data(const std::string& path, const NodeId& self, const std::string& ring) {
  Data data;
  if (path.empty()) return data;
  auto folder = DataFolder::open(local_disk(), path);
  if (!folder) return std::move(folder).error();
  auto saved = load_ring(*folder, self);
  if (!saved) return std::move(saved).error();
  data.ring = std::move(saved).value();
  if (data.ring && !data.ring->ring.empty() && !ring.empty() && data.ring->ring != ring)
    return Error(Errc::invalid_argument, "the data directory " + path + " says that '" + self.str() +
                                             "' belongs to ring '" + data.ring->ring + "', not '" + ring +
                                             "'");
  auto keys = load_keys(*folder);
  if (!keys) return std::move(keys).error();
  data.keys = std::move(keys).value();
  data.writer = std::make_unique<DataWriter>(std::move(folder).value());
  return data;
}

/// No other process of this node, not even one whose clock stood elsewhere, has had this boot.
/// Saved before it is used, if the disk can be written to.
Boot new_boot(Data& data, const NodeId& self, const NodeConfig& config) {
  const auto now = wall_now();
  const Boot boot{next_boot(data.ring, now), crypto::random_u64()};
  if (boot.number > proto::millis(now + proto::kAheadMax))
    log::warn("disk", "the ring file says that an earlier process of this node began ",
              (boot.number - proto::millis(now)) / 60'000,
              " min ahead of the clock, which is or was wrong: nodes whose clock is right do not believe "
              "this one, unless "
              "it starts without that file");
  if (!data.writer) return boot;
  if (data.ring) {
    data.ring->boot = boot.number;
    static_cast<void>(data.writer->write_now(kRingFileName, proto::encode_ring_file(*data.ring)));
  } else {
    const Endpoint endpoint{config.host, std::max<std::uint16_t>(config.port, 1)};  // until the port is bound
    const proto::RingState alone(
        {self, boot, endpoint, config.weight != 0 ? config.weight : config.rfactor, config.zone}, now);
    static_cast<void>(data.writer->write_now(
        kRingFileName, proto::encode_ring_file({self, boot.number, {}, alone.image(), {}})));
  }
  return boot;
}

proto::PeerEnd end_of(net::PeerDownReason reason) {
  switch (reason) {
    case net::PeerDownReason::stopping:
      return proto::PeerEnd::goodbye;
    case net::PeerDownReason::lost:
    case net::PeerDownReason::protocol_error:
      return proto::PeerEnd::lost;
    default:
      return proto::PeerEnd::closed;
  }
}

}  // namespace

struct Node::Impl {
  ~Impl() {
    if (actors) static_cast<void>(actors->stop());
    if (data) data->stop();  // while those whom it tells are still there
  }

  Result<void> spawn_detector(const NodeConfig& config, Boot boot);
  Result<void> spawn_ring(const NodeConfig& config, Boot boot, std::optional<proto::SavedRing> saved);
  Result<void> spawn_command(const NodeConfig& config, const NodeKeys& keys);
  /// The servers hear of every connection to a node from now on.
  void listen_to_peers();
  /// Kept up for ever, and without undoing a removal: nobody is there to be told that it failed.
  Result<void> meet(const std::vector<Endpoint>& endpoints);
  Result<void> drain_first(std::string server);

  std::shared_ptr<RingBoard> board = std::make_shared<RingBoard>();
  std::unique_ptr<DataWriter> data;  // null: nothing is saved
  std::shared_ptr<MemberBoard> members = std::make_shared<MemberBoard>();
  std::shared_ptr<EventLog> events = std::make_shared<EventLog>();
  std::unique_ptr<ActorSystem> actors;
  Ref<GossipRing> ring;
  Ref<FailureDetector> detector;
};

Result<void> Node::Impl::spawn_detector(const NodeConfig& config, Boot boot) {
  auto times = config.detector;
  times.mesh_max = config.mesh_max;
  times.self = actors->id();
  times.boot = boot;
  auto spawned =
      actors->spawn<FailureDetector>({.name = std::string(FailureDetector::kName)}, std::move(times),
                                     config.partition_policy, actors.get(), board, members, events);
  if (!spawned) return std::move(spawned).error();
  detector = std::move(spawned).value();
  return {};
}

Result<void> Node::Impl::spawn_ring(const NodeConfig& config, Boot boot,
                                    std::optional<proto::SavedRing> saved) {
  GossipRing::Options options;
  options.gossip.self = {actors->id(), boot, actors->kernel().listening(),
                         config.weight != 0 ? config.weight : config.rfactor, config.zone};
  options.gossip.ring = config.ring;
  options.gossip.mesh_max = config.mesh_max;
  options.hash = {config.rfactor, config.pfactor};
  options.on_event = [system = actors.get(), to = detector, log = events,
                      told = config.on_ring_event](const proto::GossipEvent& event) {
    log->add(event);
    static_cast<void>(system->cast(to, RingPosted{}));
    if (told) told(event);
  };
  options.saved = std::move(saved);
  options.data = data.get();
  auto spawned = actors->spawn<GossipRing>({.name = std::string(GossipRing::kName)}, std::move(options),
                                           actors.get(), board);
  if (!spawned) return std::move(spawned).error();
  ring = std::move(spawned).value();
  return {};
}

/// With the server of drills, if there is one: only commands lead to it.
Result<void> Node::Impl::spawn_command(const NodeConfig& config, const NodeKeys& keys) {
  CommandServer::Views views{ring, board, detector, members, events, data.get()};
  if (config.allow_drills) {
    auto drill = actors->spawn<DrillServer>({.name = std::string(DrillServer::kName)}, actors.get(),
                                            DrillServer::Views{board, members, events});
    if (!drill) return std::move(drill).error();
    views.drill = std::move(drill).value();
  }
  auto spawned = actors->spawn<CommandServer>({.name = std::string(CommandServer::kName)}, actors.get(),
                                              std::move(views), keys);
  if (!spawned) return std::move(spawned).error();
  return {};
}

Result<void> Node::Impl::drain_first(std::string server) {
  auto drain = actors->ref<DrainServer>(DrainServer::kName);
  if (!drain) return std::move(drain).error();
  auto spawned = actors->spawn<DrainServer>({.name = std::string(DrainServer::kName)}, actors->id(), ring,
                                            board, members);
  if (!spawned && spawned.error().code() != Errc::already_exists) return std::move(spawned).error();
  return actors->cast(*drain, DrainFirst{std::move(server)});
}

void Node::Impl::listen_to_peers() {
  const auto tell = [system = actors.get(), to_ring = ring, to_detector = detector](const PeerLink& link) {
    static_cast<void>(system->cast(to_ring, PeerChanged{link.peer, link.up}));
    static_cast<void>(system->cast(to_detector, link));
  };
  actors->listen_to_peers([tell](const PeerEvent& event) {
    if (event.kind == PeerEvent::Kind::lost || event.peer.role != net::Role::node) return;
    tell({event.peer.id, event.peer.boot, event.kind == PeerEvent::Kind::up, end_of(event.reason)});
  });
  for (const auto& peer : actors->kernel().peers())  // whom the ring dialled, quicker than the listener
    if (peer.connected && peer.role == net::Role::node)
      tell({.peer = peer.id, .boot = peer.boot, .up = true});
}

Result<void> Node::Impl::meet(const std::vector<Endpoint>& endpoints) {
  for (const auto& endpoint : endpoints) {
    const proto::MeetCommand meet{.endpoint = endpoint, .timeout = Duration::max(), .revive = false};
    if (auto sent = actors->cast(ring, ChangeRing{meet}); !sent) return std::move(sent).error();
  }
  return {};
}

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

  auto tls = load_certificate(config.tls);
  if (!tls) return std::move(tls).error();

  auto data = open_data(config.data_dir, id.value(), config.ring);
  if (!data) return std::move(data).error();
  const Boot boot = new_boot(*data, id.value(), config);
  const NodeKeys keys(*keyring, data->keys);
  auto actors = ActorSystem::start({.net = {.id = id.value(),
                                            .boot = boot,
                                            .role = net::Role::node,
                                            .ring = config.ring,
                                            .advertised = {config.host, config.port},
                                            .bind = config.bind,
                                            .accepts = false,
                                            .keyring = keys.keyring(),
                                            .protection = *tls ? Protection::tls : config.protection,
                                            .protection_min = config.protection_min,
                                            .tls = std::move(tls).value(),
                                            .limits = config.limits,
                                            .seed = crypto::random_u64()},
                                    .engine = config.engine,
                                    .inbound = config.inbound});
  if (!actors) return std::move(actors).error();
  auto impl = std::make_unique<Impl>();
  impl->data = std::move(data->writer);
  impl->actors = std::move(actors).value();
  if (auto done = impl->spawn_detector(config, boot); !done) return std::move(done).error();
  if (auto done = impl->spawn_ring(config, boot, std::move(data->ring)); !done)
    return std::move(done).error();
  if (auto done = impl->spawn_command(config, keys); !done) return std::move(done).error();
  for (auto& server : config.drain_first)
    if (auto done = impl->drain_first(std::move(server)); !done) return std::move(done).error();
  impl->listen_to_peers();
  impl->actors->kernel().accept_connections();  // now that all who are asked for are there
  if (auto done = impl->meet(config.meet); !done) return std::move(done).error();
  return Node(std::move(impl));
}

std::vector<NodeMember> Node::members() const { return *impl_->members->read(); }

void Node::listen_to_members(std::function<void(const MemberEvent&)> listener) {
  impl_->members->listen(std::move(listener));
}

void Node::listen_to_quorum(std::function<void(const proto::Quorum&)> listener) {
  impl_->members->listen(std::move(listener));
}

bool Node::has_quorum() const noexcept { return impl_->members->has_quorum(); }

std::shared_ptr<const MemberBoard> Node::member_board() const { return impl_->members; }

std::shared_ptr<EventLog> Node::events() const { return impl_->events; }

Result<void> Node::stop() {
  auto stopped = impl_->actors->stop();
  if (stopped && impl_->data) impl_->data->stop();
  return stopped;
}

std::shared_ptr<const RingBoard> Node::ring_board() const { return impl_->board; }

std::shared_ptr<const RingView> Node::ring() const { return impl_->board->read(); }

Result<void> Node::change(proto::RingCommand command, Duration timeout) {
  return impl_->actors->call(impl_->ring, ChangeRing{std::move(command)}, timeout);
}

Result<void> Node::leave(Duration drain_time) {
  const auto drained = drain(drain_time);
  if (!drained) return drained.error();
  if (drained->done) return change(proto::LeaveCommand{});
  static_cast<void>(cast(*ref<DrainServer>(DrainServer::kName), EndDrain{}));
  return Error(drained->failed ? Errc::io : Errc::timeout, drained->text, Executed::no);
}

Result<DrainState> Node::drain(Duration wait) {
  const auto drain = ref<DrainServer>(DrainServer::kName);
  if (!drain) return drain.error();
  const auto wait_ms = std::chrono::floor<std::chrono::milliseconds>(wait).count();
  auto state = call(*drain, DrainNode{static_cast<std::uint32_t>(wait_ms)}, wait + kCallTimeout);
  if (!state && state.error().code() == Errc::no_server) return DrainState{.done = true};
  return state;
}

Result<void> Node::drain_first(std::string server) { return impl_->drain_first(std::move(server)); }

Endpoint Node::endpoint() const { return impl_->actors->kernel().listening(); }
ActorSystem& Node::actors() const noexcept { return *impl_->actors; }

}  // namespace cluster
