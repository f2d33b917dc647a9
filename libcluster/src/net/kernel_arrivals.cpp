#include <boost/asio/ip/address.hpp>
#include <memory>
#include <utility>

#include "cluster/base/log.hpp"
#include "kernel.hpp"
#include "sockets.hpp"

// From a connection's arrival to its proof: whose turn it is, and who must go for another.
namespace cluster::net {

ConnectionRef Kernel::make_connection(Socket socket, Purpose purpose) {
  auto connection = std::make_shared<Connection>(
      shared_, static_cast<ConnectionEvents&>(*this), std::move(socket), ++event_serial_,
      proto::HandshakeConfig{
          .dialler = purpose.dialler,
          .self = identity(),
          .keyring = keyring(),
          .expected = std::move(purpose.expected),
          .capabilities = proto::kCapabilityIdle | (purpose.continues ? proto::kContinues : 0),
          .wall = wall_now(),
          .protection_min = config_.protection_min,
          .protection_max = config_.protection,
          .timeout = shared_.limits.handshake_timeout},
      purpose.plain);
  connections_.emplace(connection->begun, connection);
  return connection;
}

void Kernel::accept(Socket socket) {
  boost::system::error_code fault;
  const auto remote = socket.remote_endpoint(fault);
  if (fault) return;
  const Instant now = MonotonicClock::now();
  const std::string guesser = guesser_of(remote.address());
  if (is_exempt(remote.address()) || guesses_.allows(now, guesser)) return listen_to(std::move(socket));
  add(shared_.counters.throttled);
  const Duration wait = turns_.wait(now, guesser);
  const bool may_wait = wait <= kTurnWaitMax && slowed_.size() < shared_.limits.slowed_max;
  log::limited(lines_.throttled, log::Level::warn, "net", may_wait ? "slowed" : "refused",
               " a connection from ", remote.address().to_string(), ": too many wrong cookies from there");
  if (!may_wait) return;
  turns_.take(now, guesser);
  slow(std::move(socket), now + wait);
}

/// Until `due` the connection is no more than a descriptor: it takes no place of the half-open ones.
void Kernel::slow(Socket socket, Instant due) {
  const std::uint64_t serial = ++event_serial_;
  const auto held = std::make_shared<Socket>(std::move(socket));
  slowed_.emplace(serial, shared_.timers.add(due, [this, serial, held] {
    slowed_.erase(serial);
    listen_to(std::move(*held));
  }));
}

void Kernel::drop_slowed() {
  for (auto& [serial, turn] : slowed_) shared_.timers.cancel(turn);
  slowed_.clear();
}

void Kernel::listen_to(Socket socket) {
  if (half_open_.size() >= shared_.limits.half_open_max) static_cast<void>(evict_oldest_half_open());
  const auto connection = make_connection(std::move(socket), Purpose());
  half_open_.emplace(connection->begun, connection);
  connection->start();
}

/// For want of a descriptor. Who waits because of wrong cookies goes first, and of those the last.
bool Kernel::make_room() {
  if (slowed_.empty()) return evict_oldest_half_open();
  add(shared_.counters.evicted);
  const auto last = std::prev(slowed_.end());
  shared_.timers.cancel(last->second);
  slowed_.erase(last);
  return true;
}

bool Kernel::evict_oldest_half_open() {
  if (half_open_.empty()) return false;
  add(shared_.counters.evicted);
  const ConnectionRef oldest = half_open_.begin()->second;
  log::limited(lines_.evicted, log::Level::warn, "net",
               "too many connections that have not proven the cookie: the oldest is closed, from ",
               oldest->remote_address);
  drop(oldest);
  return true;
}

void Kernel::drop(const ConnectionRef& connection) {
  connection->close();
  half_open_.erase(connection->begun);
  connections_.erase(connection->begun);
}

/// Processes of this machine do not lock each other out.
bool Kernel::is_exempt(const boost::asio::ip::address& address) const {
  return address.is_loopback() && !shared_.limits.slows_loopback;
}

void Kernel::count_guess(const Connection& connection) {
  boost::system::error_code not_an_address;
  const auto address = boost::asio::ip::make_address(connection.remote_address, not_an_address);
  if (!not_an_address && !is_exempt(address)) guesses_.take(MonotonicClock::now(), guesser_of(address));
}

}  // namespace cluster::net
