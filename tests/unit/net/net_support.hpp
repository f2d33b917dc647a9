#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/net/net_kernel.hpp"

/// Kernels of one process on loopback, driven by the test's own thread.
namespace cluster::net::test {

inline const Keyring& keyring() {
  static const Keyring cookie =
      Keyring::from_cookies({"the cookie of these tests"}, Keyring::cost_for_tests()).value();
  return cookie;
}
inline const Keyring& other_keyring() {
  static const Keyring cookie =
      Keyring::from_cookies({"quite another cookie here"}, Keyring::cost_for_tests()).value();
  return cookie;
}

/// Short times, so that tests wait for little.
inline NetConfig config_of(const char* id, std::uint64_t boot = 1) {
  NetConfig config{.id = id,
                   .boot = {.number = boot, .nonce = std::hash<std::string>{}(id) + boot},
                   .ring = "ring",
                   .advertised = {"127.0.0.1", 0},
                   .bind = {},
                   .keyring = keyring(),
                   .limits = {},
                   .seed = boot};
  config.limits.backoff_min = 5ms;
  config.limits.backoff_max = 50ms;
  return config;
}

/// A kernel and all that it told.
class TestNode final : public NetEvents {
 public:
  struct Message {
    NodeId from;
    Lane lane;
    std::string text;
    std::uint64_t session;
  };
  struct Down {
    NodeId id;
    PeerDownReason reason;
  };

  explicit TestNode(NetConfig config) : kernel(NetKernel::start(std::move(config), *this).value()) {}
  explicit TestNode(const char* id, std::uint64_t boot = 1) : TestNode(config_of(id, boot)) {}

  void on_message(const PeerInfo& from, Lane lane, ByteView message) override {
    if (keep_messages) messages.push_back({from.id, lane, std::string(as_text(message)), from.session});
    ++received;
    received_bytes += message.size();
    if (on_text) on_text(from, message);
  }
  void on_peer_up(const PeerInfo& peer) override { ups.push_back(peer); }
  void on_peer_down(const PeerInfo& peer, PeerDownReason reason, std::string_view) override {
    downs.push_back({peer.id, reason});
  }
  bool is_idle(const PeerInfo&) override { return idle; }
  void on_peer_lost(const NodeId& peer, const Error& why) override { lost.emplace_back(peer, why); }
  void on_dropped(const NodeId&, std::span<const Ticket> tickets) override {
    dropped.insert(dropped.end(), tickets.begin(), tickets.end());
  }

  [[nodiscard]] bool connected_to(const NodeId& id) const {
    for (const auto& peer : kernel->peers())
      if (peer.id == id && peer.connected) return true;
    return false;
  }
  [[nodiscard]] Endpoint at() const { return kernel->listening(); }
  [[nodiscard]] Result<Ticket> send(const NodeId& to, std::string_view text, SendOptions options = {}) {
    return kernel->send(to, as_bytes(text), options);
  }

  bool keep_messages = true;
  bool idle = true;
  std::vector<Message> messages;
  std::size_t received = 0;
  std::size_t received_bytes = 0;
  std::function<void(const PeerInfo&, ByteView)> on_text;
  std::vector<PeerInfo> ups;
  std::vector<Down> downs;
  std::vector<std::pair<NodeId, Error>> lost;
  std::vector<Ticket> dropped;
  std::unique_ptr<NetKernel> kernel;
};

/// Polls the nodes in turn until `done`; false if it does not come about in `limit`.
inline bool drive(std::initializer_list<TestNode*> nodes, const std::function<bool()>& done,
                  Duration limit = 10s) {
  const Instant deadline = MonotonicClock::now() + limit;
  while (!done()) {
    if (MonotonicClock::now() > deadline) return false;
    std::size_t steps = 0;
    for (TestNode* node : nodes) steps += node->kernel->poll(Duration::zero());
    if (steps == 0) (*nodes.begin())->kernel->poll(1ms);
  }
  return true;
}

/// Polls one node on a thread of its own.
class Poller {
 public:
  explicit Poller(TestNode& node)
      : node_(node), thread_([this] {
          while (!stop_) node_.kernel->poll(10s);
        }) {}
  ~Poller() {
    stop_ = true;
    node_.kernel->wake();
    thread_.join();
  }

 private:
  TestNode& node_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

/// Of the connection that `node` has to `peer`.
inline Protection level_of(const TestNode& node, const NodeId& peer) {
  const auto peers = node.kernel->peers();
  return std::ranges::find(peers, peer, &PeerStatus::id)->protection;
}

/// `foo` and `bar`, connected, send each other texts of all sizes, from none to many fragments, and get them
/// as they were sent. The last, and longest.
inline std::string send_all_sizes(TestNode& foo, TestNode& bar,
                                  const std::function<bool(const std::function<bool()>&)>& drive_until) {
  Rng rng(4);
  std::vector<std::string> sent;
  for (const std::size_t size : {0u, 1u, 100u, 65'532u, 65'533u, 200'000u, 3'000'000u}) {
    std::string text(size, ' ');
    for (auto& letter : text) letter = static_cast<char>('a' + rng.below(26));
    sent.push_back(std::move(text));
    CHECK(foo.send("bar", sent.back()));
    CHECK(bar.send("foo", sent.back()));
  }
  REQUIRE(
      drive_until([&] { return foo.messages.size() == sent.size() && bar.messages.size() == sent.size(); }));
  for (std::size_t i = 0; i < sent.size(); ++i) {
    CHECK(foo.messages[i].text == sent[i]);
    CHECK(bar.messages[i].text == sent[i]);
  }
  return sent.back();
}

/// What `foo` is told that dials `bar`, which refuses it.
inline Error refused_dial(TestNode& foo, TestNode& bar) {
  std::optional<Result<PeerInfo>> answer;
  foo.kernel->dial(bar.at(), 5s, [&](Result<PeerInfo> result) { answer = std::move(result); });
  REQUIRE(drive({&foo, &bar},
                [&] { return answer.has_value() && bar.kernel->counters().handshakes_failed > 0; }));
  REQUIRE_FALSE(*answer);
  CHECK(foo.ups.empty());
  CHECK(bar.ups.empty());
  return answer->error();
}

/// Both know and are connected to each other.
inline bool connect(TestNode& a, const NodeId& a_id, TestNode& b, const NodeId& b_id) {
  a.kernel->add_peer(b_id, b.at());
  b.kernel->add_peer(a_id, a.at());
  return drive({&a, &b}, [&] { return a.connected_to(b_id) && b.connected_to(a_id); });
}

}  // namespace cluster::net::test
