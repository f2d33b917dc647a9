#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "cluster/base/time.hpp"
#include "cluster/net/net_kernel.hpp"

// A node without actors, for tests with real processes; with --seal it takes part in nothing less:
//
//   net_probe [--seal] serve ID PORT BOOT [PEER PEER_PORT]
//       prints "port N", echoes every message, until killed
//   net_probe [--seal] ping HOST PORT COOKIE
//       connects, sends, waits for the echo; prints what came of it
//   net_probe [--seal] flood HOST PORT MESSAGES BYTES
//       sends as fast as it can; prints messages per second
//   net_probe [--seal] latency HOST PORT ROUNDS
//       round trips one after the other; prints percentiles
using namespace cluster;
using namespace cluster::net;

namespace {

wire::Protection protection = wire::Protection::sign;

constexpr const char* kCookie = "the cookie of the probes";

Keyring keyring(const std::string& cookie) {
  return Keyring::from_cookies({cookie}, Keyring::cost_for_tests()).value();
}

std::uint64_t number(const char* text) { return std::strtoull(text, nullptr, 10); }

/// Echoes, but for messages that begin with '#': of those it only answers one that says "#end".
struct Echo final : NetEvents {
  NetKernel* kernel = nullptr;
  void on_message(const PeerInfo& from, Lane lane, ByteView message) override {
    if (!message.empty() && message[0] == '#' && as_text(message) != "#end") return;
    static_cast<void>(kernel->send(from.session, message, {.lane = lane}));
  }
  void on_peer_up(const PeerInfo& peer) override { std::printf("up %s\n", peer.id.str().c_str()); }
  void on_peer_down(const PeerInfo& peer, PeerDownReason reason, std::string_view) override {
    std::printf("down %s %s\n", peer.id.str().c_str(), name(reason).data());
  }
  void on_peer_lost(const NodeId& peer, const Error& why) override {
    std::printf("lost %s %s\n", peer.str().c_str(), name(why.code()).data());
    std::exit(3);
  }
};

int serve(const char* id, const char* port, const char* boot, const char* peer, const char* peer_port) {
  Echo echo;
  auto kernel = NetKernel::start({.id = NodeId::parse(id).value(),
                                  .boot = {.number = number(boot), .nonce = number(boot) + 1},
                                  .ring = "probes",
                                  .advertised = {"127.0.0.1", static_cast<std::uint16_t>(number(port))},
                                  .bind = {},
                                  .keyring = keyring(kCookie),
                                  .protection = protection,
                                  .protection_min = protection,
                                  .limits = {}},
                                 echo);
  if (!kernel) {
    std::fprintf(stderr, "%s\n", kernel.error().to_string().c_str());
    return 1;
  }
  echo.kernel = kernel.value().get();
  if (peer != nullptr)
    echo.kernel->add_peer(NodeId::parse(peer).value(),
                          {"127.0.0.1", static_cast<std::uint16_t>(number(peer_port))});
  std::printf("port %u\n", echo.kernel->listening().port);
  for (;;) {
    std::fflush(stdout);
    echo.kernel->poll(1h);
  }
}

/// A client that waits for answers.
struct Asker final : NetEvents {
  explicit Asker(const std::string& cookie)
      : kernel(NetKernel::start({.id = "asker",
                                 .boot = {.number = 1, .nonce = 1},
                                 .role = Role::client,
                                 .ring = {},
                                 .advertised = {},
                                 .bind = {},
                                 .keyring = keyring(cookie),
                                 .protection = protection,
                                 .protection_min = protection,
                                 .limits = {}},
                                *this)
                   .value()) {}
  void on_message(const PeerInfo&, Lane, ByteView) override { ++answers; }
  void on_peer_up(const PeerInfo&) override {}
  void on_peer_down(const PeerInfo&, PeerDownReason, std::string_view) override { gone = true; }
  void on_peer_lost(const NodeId&, const Error&) override {}

  /// False if there is no connection; says why.
  bool connect(const char* host, const char* port) {
    std::optional<Result<PeerInfo>> result;
    kernel->dial({host, static_cast<std::uint16_t>(number(port))}, 5s,
                 [&](Result<PeerInfo> r) { result = std::move(r); });
    while (!result) kernel->poll(100ms);
    if (!*result) {
      std::printf("%s\n", result->error().to_string().c_str());
      return false;
    }
    peer = kernel->peer(result->value().id);
    return true;
  }
  bool wait_for(std::uint64_t count, Duration limit) {
    const Instant deadline = MonotonicClock::now() + limit;
    while (answers < count && !gone && MonotonicClock::now() < deadline) kernel->poll(10ms);
    return answers >= count;
  }

  std::unique_ptr<NetKernel> kernel;
  PeerRef peer;
  std::uint64_t answers = 0;
  bool gone = false;
};

int ping(const char* host, const char* port, const char* cookie) {
  Asker asker(cookie);
  if (!asker.connect(host, port)) return 3;
  if (!asker.kernel->send(asker.peer, as_bytes("are you there?")) || !asker.wait_for(1, 5s)) return 4;
  std::printf("pong\n");
  return 0;
}

int flood(const char* host, const char* port, const char* messages, const char* bytes) {
  Asker asker(kCookie);
  if (!asker.connect(host, port)) return 3;
  const std::uint64_t count = number(messages);
  const Bytes message(number(bytes), '#');
  const Instant start = MonotonicClock::now();
  for (std::uint64_t i = 0; i < count; ++i)
    while (!asker.kernel->send(asker.peer, Bytes(message), {.flush_now = false})) asker.kernel->poll(1ms);
  if (!asker.kernel->send(asker.peer, as_bytes("#end")) || !asker.wait_for(1, 60s)) return 4;
  const double seconds = std::chrono::duration<double>(MonotonicClock::now() - start).count();
  const double total = static_cast<double>(count);
  std::printf("%.2f M messages/s, %.3f GB/s\n", total / seconds / 1e6,
              total * static_cast<double>(message.size()) / seconds / 1e9);
  return 0;
}

int latency(const char* host, const char* port, const char* rounds) {
  Asker asker(kCookie);
  if (!asker.connect(host, port)) return 3;
  std::vector<double> micros;
  const Bytes message(64, 'x');
  for (std::uint64_t i = 1; i <= number(rounds); ++i) {
    const Instant start = MonotonicClock::now();
    if (!asker.kernel->send(asker.peer, message) || !asker.wait_for(i, 5s)) return 4;
    micros.push_back(std::chrono::duration<double, std::micro>(MonotonicClock::now() - start).count());
  }
  std::sort(micros.begin(), micros.end());
  std::printf("p50 %.1f us, p99 %.1f us\n", micros[micros.size() / 2], micros[micros.size() * 99 / 100]);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 1 && std::string(arguments[1]) == "--seal") {
    protection = wire::Protection::seal;
    --count;
    ++arguments;
  }
  const std::string what = count > 1 ? arguments[1] : "";
  if (what == "serve" && (count == 5 || count == 7))
    return serve(arguments[2], arguments[3], arguments[4], count == 7 ? arguments[5] : nullptr,
                 count == 7 ? arguments[6] : nullptr);
  if (what == "ping" && count == 5) return ping(arguments[2], arguments[3], arguments[4]);
  if (what == "flood" && count == 6) return flood(arguments[2], arguments[3], arguments[4], arguments[5]);
  if (what == "latency" && count == 5) return latency(arguments[2], arguments[3], arguments[4]);
  std::fprintf(stderr, "see the head of probe.cpp\n");
  return 2;
}
