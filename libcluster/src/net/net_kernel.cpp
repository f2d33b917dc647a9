#include "cluster/net/net_kernel.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "kernel.hpp"

namespace cluster::net {
namespace {

Error no_such_peer(const NodeId& id) { return Error(Errc::unreachable, "'" + id.str() + "' is not a peer"); }

/// Of a node: peers will look for its name.
std::optional<Error> check_certificate(const NetConfig& config) {
  if (!config.tls || config.role == Role::client) return std::nullopt;
  const auto& uris = config.tls->uris();
  const auto own = proto::certificate_uri(config.id);
  if (std::find(uris.begin(), uris.end(), own) != uris.end()) return std::nullopt;
  return Error(Errc::invalid_argument, "the certificate '" + config.tls->file() + "' is not that of node '" +
                                           config.id.str() + "': the URI " + own +
                                           " is not among its alternative names");
}

}  // namespace

std::string_view name(PeerDownReason reason) noexcept {
  constexpr std::array<std::string_view, 8> kNames{"stopping",       "goodbye", "lost",  "replaced",
                                                   "protocol_error", "removed", "moved", "idle"};
  return kNames[static_cast<std::size_t>(reason)];
}

Result<std::unique_ptr<NetKernel>> NetKernel::start(NetConfig config, NetEvents& events) {
  if (config.id.empty()) return Error(Errc::invalid_argument, "a node needs an id");
  if (config.keyring.size() == 0) return Error(Errc::invalid_argument, "a node needs a cookie");
  if (config.ring.size() > 255) return Error(Errc::invalid_argument, "a ring id has at most 255 bytes");
  if (config.protection > Protection::tls || config.protection_min > config.protection)
    return Error(Errc::invalid_argument, "protection levels: from " +
                                             std::string(name(config.protection_min)) + " to " +
                                             std::string(name(config.protection)));
  if ((config.protection == Protection::tls) != (config.tls != nullptr))
    return Error(Errc::invalid_argument, "level tls and a certificate go together");
  if (auto error = check_certificate(config)) return std::move(*error);
  if (config.role == Role::node)
    if (const auto host = parse_host(config.advertised.host); !host) return host.error();
  auto kernel = std::make_unique<Kernel>(std::move(config), events);
  if (auto opened = kernel->open(); !opened) return opened.error();
  return std::unique_ptr<NetKernel>(new NetKernel(std::move(kernel)));
}

NetKernel::NetKernel(std::unique_ptr<Kernel> kernel) : kernel_(std::move(kernel)) {}
NetKernel::~NetKernel() = default;

std::size_t NetKernel::poll(Duration max_wait) { return kernel_->poll(max_wait); }
void NetKernel::wake() noexcept { kernel_->wake(); }
void NetKernel::flush() noexcept { kernel_->flush(); }
bool NetKernel::has_unflushed() const noexcept { return kernel_->has_unflushed(); }

Result<Ticket> NetKernel::send(const PeerRef& to, ByteView message, SendOptions options) {
  return to->send(message, options);
}
Result<Ticket> NetKernel::send(const PeerRef& to, Bytes&& message, SendOptions options) {
  return to->send(std::move(message), options);
}
Result<Ticket> NetKernel::send(const NodeId& to, ByteView message, SendOptions options) {
  const PeerRef found = peer(to);
  return found ? found->send(message, options) : no_such_peer(to);
}
Result<Ticket> NetKernel::send(const NodeId& to, Bytes&& message, SendOptions options) {
  const PeerRef found = peer(to);
  return found ? found->send(std::move(message), options) : no_such_peer(to);
}
Result<Ticket> NetKernel::send(std::uint64_t session, ByteView message, SendOptions options) {
  const PeerRef found = kernel_->peer_of_session(session);
  if (!found) return Error(Errc::peer_lost, "the connection has ended", Executed::no);
  return found->send(session, message, options);
}

Result<Ticket> NetKernel::send(const PeerRef& to, std::uint64_t session, Bytes&& message,
                               SendOptions options) {
  if (!to) return Error(Errc::peer_lost, "the connection has ended", Executed::no);
  return to->send(session, std::move(message), options);
}

PeerRef NetKernel::peer(const NodeId& id) const { return kernel_->peer(id); }
PeerRef NetKernel::peer(std::uint64_t session) const { return kernel_->peer_of_session(session); }

bool NetKernel::cancel(const NodeId& to, Ticket ticket) {
  const PeerRef found = peer(to);
  return found && found->cancel(ticket);
}
bool NetKernel::is_queued(const NodeId& to, Ticket ticket) const {
  const PeerRef found = peer(to);
  return found && found->is_queued(ticket);
}

void NetKernel::add_peer(const NodeId& id, const Endpoint& endpoint, Keep keep) {
  kernel_->add_peer(id, endpoint, keep);
}
void NetKernel::remove_peer(const NodeId& id, bool force) { kernel_->remove_peer(id, force); }

void NetKernel::dial(const Endpoint& endpoint, Duration timeout, std::function<void(Result<PeerInfo>)> done) {
  kernel_->dial(endpoint, std::nullopt, timeout, std::move(done));
}
void NetKernel::dial(const Endpoint& endpoint, const NodeId& expected, Duration timeout,
                     std::function<void(Result<PeerInfo>)> done) {
  kernel_->dial(endpoint, expected, timeout, std::move(done));
}
void NetKernel::ping(const NodeId& id, Duration timeout, std::function<void(Result<Duration>)> done) {
  kernel_->ping(id, timeout, std::move(done));
}

void NetKernel::cut(std::vector<NodeId> peers, Duration time) { kernel_->cut(std::move(peers), time); }
void NetKernel::heal() { kernel_->heal(); }

void NetKernel::accept_connections() { kernel_->accept_connections(); }
void NetKernel::set_ring(std::string ring) { kernel_->set_ring(std::move(ring)); }
void NetKernel::set_keyring(Keyring keyring) { kernel_->set_keyring(std::move(keyring)); }
Keyring NetKernel::keyring() const { return kernel_->keyring(); }
std::vector<PeerStatus> NetKernel::peers() const { return kernel_->peers(); }
Counters NetKernel::counters() const { return kernel_->counters(); }
Endpoint NetKernel::listening() const { return kernel_->listening(); }
void NetKernel::stop(Duration max_wait) { kernel_->stop(max_wait); }

}  // namespace cluster::net
