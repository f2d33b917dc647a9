#include "kernel.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>
#include <thread>
#include <utility>

#include "cluster/base/log.hpp"
#include "sockets.hpp"

namespace cluster::net {
namespace {

// Things done in one poll, so that it returns although a peer never stops sending.
constexpr std::size_t kStepsPerPoll = 64;
// So many polls in a row may look at the busy connection alone: fewer if it has nothing.
constexpr unsigned kBusyPollsMax = 16;
constexpr unsigned kEmptyPollCost = 4;
// The system's clock cannot count "for ever".
constexpr Duration kPollWaitMax = 1h;

}  // namespace

Kernel::Kernel(NetConfig config, NetEvents& events)
    : config_(std::move(config)), events_(events), shared_(config_.limits, config_.tls), rng_(config_.seed) {}

/// Undoes the references between peers, connections and requests.
Kernel::~Kernel() {
  const auto connections = connections_;
  for (const auto& [begun, connection] : connections) {
    drop(connection);
    connection->request = nullptr;
    connection->predecessor = connection->successor = nullptr;
    if (const PeerRef peer = std::exchange(connection->peer, nullptr))
      static_cast<void>(peer->detach(connection));
  }
  for (const auto& [id, peer] : peers_) {
    stop_dialling(peer);
    static_cast<void>(peer->end());
  }
  for (const auto& request : requests_)
    if (request->dialer) request->dialer->cancel();
  unheard_.clear();
  shared_.timers.clear();
}

Result<void> Kernel::open() {
  raise_descriptor_limit();
  keep_freed_memory();
  if (config_.role == Role::client) return {};
  listener_.emplace(
      shared_, [this](Socket socket) { accept(std::move(socket)); }, [this] { return make_room(); });
  auto hosts = config_.bind;
  if (hosts.empty()) hosts.push_back(config_.advertised.host);
  auto opened = listener_->open(hosts, config_.advertised.port);
  config_.advertised.port = listener_->port();
  if (opened && config_.accepts) listener_->accept();
  return opened;
}

void Kernel::accept_connections() {
  boost::asio::post(shared_.io, [this] {
    if (listener_) listener_->accept();
  });
}

std::size_t Kernel::poll(Duration max_wait) {
  if (polling_.exchange(true, std::memory_order_acquire)) return 0;
  struct Polling {  // an exception of a callback must not leave the kernel unpolled for ever
    std::atomic<bool>& flag;
    ~Polling() { flag.store(false, std::memory_order_release); }
  } const polling{polling_};
  flush();
  // Spinning: the connection that is in use is read directly, which spares the poller and a registration at
  // it for each message.
  const bool spins = max_wait <= Duration::zero() && !wake_posted_.load(std::memory_order_relaxed);
  if (const ConnectionRef busy = shared_.busy;
      spins && busy && polls_ < kBusyPollsMax && events_.appetite() != Appetite::full) {
    const std::uint64_t before = shared_.reads;
    busy->read_ready();
    if (shared_.reads != before) return ++polls_, 1;
    polls_ += kEmptyPollCost;
    if (polls_ < kBusyPollsMax) return 0;
  }
  polls_ = 0;
  std::size_t steps = run_ready();
  if (steps == 0 && max_wait > Duration::zero()) {
    steps = shared_.io.run_one_for(std::min(max_wait, kPollWaitMax));
    if (steps != 0) steps += run_ready();
  }
  return steps;
}

std::size_t Kernel::run_ready() {
  std::size_t steps = 0;
  while (steps < kStepsPerPoll && shared_.io.poll_one() != 0) ++steps;
  return steps;
}

void Kernel::wake() {
  if (wake_posted_.exchange(true)) return;
  boost::asio::post(shared_.io, [this] { wake_posted_.store(false); });
}

void Kernel::flush() {
  if (!any_unflushed_.load(std::memory_order_acquire)) return;
  std::vector<PeerRef> unflushed;
  {
    const std::lock_guard lock(unflushed_mutex_);
    unflushed.swap(unflushed_);
    any_unflushed_.store(false, std::memory_order_relaxed);
  }
  for (const auto& peer : unflushed) peer->flush();
}

void Kernel::on_unflushed(const PeerRef& peer) {
  const std::lock_guard lock(unflushed_mutex_);
  unflushed_.push_back(peer);
  any_unflushed_.store(true, std::memory_order_release);
}

PeerRef Kernel::peer(const NodeId& id) const {
  const std::shared_lock lock(peers_mutex_);
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : found->second;
}

PeerRef Kernel::peer_of_session(std::uint64_t session) const {
  const std::shared_lock lock(peers_mutex_);
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : found->second;
}

void Kernel::set_ring(std::string ring) {
  const std::lock_guard lock(config_mutex_);
  config_.ring = std::move(ring);
}

void Kernel::set_keyring(Keyring keyring) {
  {
    const std::lock_guard lock(config_mutex_);
    config_.keyring = std::move(keyring);
  }
  boost::asio::post(shared_.io, [this] { renew_links(); });
}

Keyring Kernel::keyring() const {
  const std::lock_guard lock(config_mutex_);
  return config_.keyring;
}

proto::Identity Kernel::identity() const {
  const std::lock_guard lock(config_mutex_);
  return proto::Identity{.id = config_.id,
                         .boot = config_.boot,
                         .role = config_.role,
                         .ring = config_.ring,
                         .advertised = config_.role == Role::node ? config_.advertised : Endpoint{}};
}

std::vector<PeerStatus> Kernel::peers() const {
  std::vector<PeerRef> all;
  {
    const std::shared_lock lock(peers_mutex_);
    for (const auto& [id, peer] : peers_) all.push_back(peer);
    for (const auto& [session, peer] : sessions_)
      if (peer->role == Role::client) all.push_back(peer);
  }
  std::vector<PeerStatus> result;
  for (const auto& peer : all) result.push_back(peer->status());
  std::sort(result.begin(), result.end(), [](const PeerStatus& a, const PeerStatus& b) {
    return std::tie(a.id, a.session) < std::tie(b.id, b.session);
  });
  return result;
}

void Kernel::ping(const NodeId& id, Duration timeout, std::function<void(Result<Duration>)> done) {
  boost::asio::post(shared_.io, [this, id, timeout, done = std::move(done)]() mutable {
    const PeerRef to = peer(id);
    const ConnectionRef link = to ? to->link() : nullptr;
    if (link) return ping_link(link, timeout, Question::is_there, std::move(done));
    if (!to || !to->on_demand()) return done(Error(Errc::unreachable, "'" + id.str() + "' is not connected"));
    const Instant due = saturated_add(MonotonicClock::now(), timeout);
    dial(to->endpoint(), id, timeout, [this, to, due, done = std::move(done)](Result<PeerInfo> up) {
      const ConnectionRef dialled = to->link();
      if (!up || !dialled) return done(up ? Error(Errc::peer_lost, "the connection ended") : up.error());
      ping_link(dialled, due - MonotonicClock::now(), Question::is_there, done);
    });
  });
  wake();  // asked before what arrives from now on is read
}

void Kernel::stop(Duration max_wait) {
  if (stopping_.exchange(true)) return;
  const Instant deadline = MonotonicClock::now() + max_wait;
  boost::asio::post(shared_.io, [this] {
    if (listener_) listener_->close();
    drop_slowed();
    const auto requests = requests_;
    for (const auto& request : requests)
      finish_request(request, Error(Errc::stopped, "the node is stopping"));
    std::vector<PeerRef> all;
    for (const auto& [id, peer] : peers_) all.push_back(peer);
    for (const auto& [session, peer] : sessions_)
      if (peer->role == Role::client) all.push_back(peer);
    for (const auto& peer : all) drain_peer(peer, false);
    const auto open = connections_;  // who has not proven anything is not waited for
    for (const auto& [begun, connection] : open)
      if (!connection->peer) drop(connection);
    drained_ = true;
  });
  wake();  // a poll that looks at the busy connection alone may find its end, and leave the listener open
  while (!drained_ && poll(Duration::zero()) != 0) {
  }
  while (!(drained_ && connections_.empty()) && MonotonicClock::now() < deadline)
    static_cast<void>(poll(deadline - MonotonicClock::now()));
  const auto left = connections_;
  for (const auto& [begun, connection] : left) {
    drop(connection);
    if (connection->writer && !connection->successor)
      link_down(connection, PeerDownReason::removed, "stopped");
  }
}

Counters AtomicCounters::snapshot() const noexcept {
  const auto read = [](const Count& counter) { return counter.load(std::memory_order_relaxed); };
  return Counters{.frames_in = read(frames_in),
                  .frames_out = read(frames_out),
                  .messages_in = read(messages_in),
                  .messages_out = read(messages_out),
                  .bytes_in = read(bytes_in),
                  .bytes_out = read(bytes_out),
                  .connections_in = read(connections_in),
                  .connections_out = read(connections_out),
                  .handshakes_failed = read(handshakes_failed),
                  .proofs_failed = read(proofs_failed),
                  .certificates_refused = read(certificates_refused),
                  .evicted = read(evicted),
                  .throttled = read(throttled),
                  .bad_frames = read(bad_frames),
                  .frames_timed_out = read(frames_timed_out),
                  .overloaded = read(overloaded),
                  .cancelled = read(cancelled),
                  .dropped = read(dropped),
                  .closed_idle = read(closed_idle),
                  .uncertain = read(uncertain),
                  .accept_failures = read(accept_failures)};
}

}  // namespace cluster::net
