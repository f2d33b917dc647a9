#include "sockets.hpp"

#include <fcntl.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace cluster::net {
namespace {

constexpr int kUnsentBytesMax = 256 * 1024;
constexpr int kSilenceProbedSeconds = 15;
constexpr int kProbeSeconds = 5;
constexpr int kProbes = 3;
// Without it, what an outage swallowed is sent again ever more rarely, in the end every two minutes, and the
// network is back long before the connection is: refutations come too late, and members are lost that answer.
// With it, unanswered data ends a connection after some 15 s. The kernel's TCP_RTO_MAX_MS, since Linux 6.15.
constexpr int kResendOption = 44;
constexpr int kResendMsMax = 1000;

void set_option(int descriptor, int level, int option, int value) noexcept {
  static_cast<void>(::setsockopt(descriptor, level, option, &value, sizeof value));
}

}  // namespace

void configure_stream(int descriptor) noexcept {
  static_cast<void>(::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK));
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentBytesMax);
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, kSilenceProbedSeconds);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, kProbeSeconds);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set_option(descriptor, IPPROTO_TCP, kResendOption, kResendMsMax);
}

Sink::Sink() noexcept {
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_.data()) != 0)
    ends_ = {-1, -1};
}

Sink::~Sink() {
  for (const int end : ends_)
    if (end >= 0) ::close(end);
}

std::string remote_address_of(const boost::asio::ip::tcp::socket& socket) {
  boost::system::error_code fault;
  const auto remote = socket.remote_endpoint(fault);
  return fault ? "?" : remote.address().to_string();
}

std::string guesser_of(const boost::asio::ip::address& address) {
  if (!address.is_v6()) return address.to_string();
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
  return boost::asio::ip::address_v6(bytes).to_string();
}

void keep_freed_memory() noexcept {
#if defined(__GLIBC__)
  constexpr int kKeptBytes = 32 << 20;
  constexpr int kMappedBytes = 4 << 20;  // larger ones go straight to and from the system
  static_cast<void>(::mallopt(M_TRIM_THRESHOLD, kKeptBytes));
  static_cast<void>(::mallopt(M_MMAP_THRESHOLD, kMappedBytes));
#endif
}

void raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
}

}  // namespace cluster::net
