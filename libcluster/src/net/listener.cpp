#include "listener.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/v6_only.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "cluster/base/log.hpp"

namespace cluster::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr int kBacklog = 1024;
constexpr int kAcceptsPerTurn = 64;
constexpr int kPortAttempts = 16;          // to find a port that is free on every address
constexpr Duration kExhaustedWait = 50ms;  // before the next try when even the spare is gone
constexpr Duration kMadeRoomWait = 1ms;    // until an ended connection has given its descriptor back

int open_spare() noexcept { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

Listener::Listener(Shared& shared, Accepted accepted, Exhausted exhausted)
    : shared_(shared),
      accepted_(std::move(accepted)),
      exhausted_(std::move(exhausted)),
      spare_(open_spare()) {}

Listener::~Listener() {
  close();
  if (spare_ >= 0) ::close(spare_);
}

Result<void> Listener::open(const std::vector<std::string>& hosts, std::uint16_t port) {
  std::vector<Address> addresses;
  asio::ip::tcp::resolver resolver(shared_.io);
  for (const auto& host : hosts) {
    error_code fault;
    const auto results = resolver.resolve(
        host, "0", asio::ip::tcp::resolver::numeric_service | asio::ip::tcp::resolver::passive, fault);
    if (fault) return Error(Errc::io, "cannot listen on '" + host + "': " + fault.message());
    for (const auto& result : results) addresses.push_back(result.endpoint());
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());

  Result<void> bound;
  for (int attempt = 0; attempt < (port == 0 ? kPortAttempts : 1); ++attempt) {
    bound = bind_all(addresses, port);
    if (bound) break;
    acceptors_.clear();
  }
  return bound;
}

void Listener::accept() {
  if (std::exchange(accepting_, true)) return;
  for (const auto& acceptor : acceptors_) await(acceptor);
}

Result<void> Listener::bind_all(const std::vector<Address>& addresses, std::uint16_t port) {
  port_ = port;
  std::string not_here = "it stands for no address";
  for (Address address : addresses) {
    address.port(port_);
    auto acceptor = std::make_shared<Acceptor>(shared_.io);
    error_code fault;
    acceptor->open(address.protocol(), fault);
    if (fault) {  // a system without IPv6 still resolves to it
      not_here = fault.message();
      continue;
    }
    acceptor->set_option(Acceptor::reuse_address(true), fault);
    if (address.address().is_v6()) acceptor->set_option(asio::ip::v6_only(true), fault);
    acceptor->bind(address, fault);
    if (fault == asio::error::address_in_use || fault == asio::error::access_denied)
      return Error(Errc::io, "cannot listen on " +
                                 Endpoint{address.address().to_string(), port_}.to_string() + ": " +
                                 fault.message());
    if (!fault) acceptor->listen(kBacklog, fault);
    if (fault) {
      not_here = fault.message();
      continue;
    }
    acceptor->native_non_blocking(true, fault);
    port_ = acceptor->local_endpoint(fault).port();
    acceptors_.push_back(std::move(acceptor));
  }
  if (acceptors_.empty()) return Error(Errc::io, "no local address to listen on: " + not_here);
  return {};
}

void Listener::close() {
  error_code ignored;
  for (const auto& acceptor : acceptors_) acceptor->close(ignored);
  acceptors_.clear();
}

void Listener::await(const std::shared_ptr<Acceptor>& acceptor) {
  acceptor->async_wait(Acceptor::wait_read, [this, acceptor](const error_code& fault) {
    if (!fault && acceptor->is_open()) accept_ready(acceptor);
  });
}

void Listener::accept_ready(const std::shared_ptr<Acceptor>& acceptor) {
  const int listening = acceptor->native_handle();
  error_code ignored;
  const auto protocol = acceptor->local_endpoint(ignored).protocol();
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const int descriptor = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      error_code fault;
      Socket socket(shared_.io);
      socket.assign(protocol, descriptor, fault);
      if (fault)
        ::close(descriptor);
      else
        accepted_(std::move(socket));
      continue;
    }
    const int fault = errno;
    if (fault == EAGAIN || fault == EWOULDBLOCK) break;
    if (fault == EINTR || fault == ECONNABORTED || fault == EPROTO) continue;
    const bool made_room = on_exhausted(fault);
    if (!made_room && (fault == EMFILE || fault == ENFILE) && shed(listening)) continue;
    const auto wait = made_room ? kMadeRoomWait : kExhaustedWait;
    static_cast<void>(shared_.timers.add(MonotonicClock::now() + wait, [this, acceptor] {
      if (acceptor->is_open()) await(acceptor);
    }));
    return;
  }
  await(acceptor);
}

bool Listener::on_exhausted(int fault) {
  add(shared_.counters.accept_failures);
  log::limited(exhaustions_, log::Level::warn, "net", "cannot accept connections: ", std::strerror(fault));
  return exhausted_();
}

/// Takes the connection that there is no descriptor for and closes it, so that it does not keep the
/// listening socket ready for ever.
bool Listener::shed(int listening) {
  if (spare_ < 0) spare_ = open_spare();
  if (spare_ < 0) return false;
  ::close(spare_);
  const int descriptor = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  if (descriptor >= 0) ::close(descriptor);
  spare_ = open_spare();
  return true;
}

}  // namespace cluster::net
