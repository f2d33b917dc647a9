#pragma once
#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "cluster/runtime/actor_system.hpp"
#include "eventually.hpp"
#include "ports.hpp"

namespace cluster::testing {

/// One keyring for all tests of the process: making one costs a scrypt.
inline const net::Keyring& test_keyring() {
  static const net::Keyring keyring =
      net::Keyring::from_cookies({"a cookie for tests"}, net::Keyring::cost_for_tests()).value();
  return keyring;
}

inline std::unique_ptr<ActorSystem> start_system(const std::string& id, std::uint16_t port = 0,
                                                 std::uint64_t boot = 1,
                                                 const runtime::InboundLimits& inbound = {}) {
  ActorSystemConfig config;
  config.net.id = NodeId(id);
  config.net.boot = Boot{boot, boot * 1000 + static_cast<std::uint64_t>(id.front())};
  config.net.ring = "ring";
  config.net.advertised = {"127.0.0.1", port};
  config.net.keyring = test_keyring();
  config.net.seed = boot;
  config.engine.workers = 2;
  config.inbound = inbound;
  return ActorSystem::start(std::move(config)).value();
}

/// Nodes a and b of one process, connected over loopback.
struct SystemPair {
  std::unique_ptr<ActorSystem> a = start_system("a");
  std::unique_ptr<ActorSystem> b;

  /// `inbound`: the limits of b, which may start again where it was.
  explicit SystemPair(const runtime::InboundLimits& inbound = {})
      : b(start_system("b", free_port(), 1, inbound)) {
    a->kernel().add_peer(NodeId("b"), b->kernel().listening());
    REQUIRE(eventually([&] { return connected(); }));
  }
  [[nodiscard]] bool connected() const {
    for (const auto& peer : a->kernel().peers())
      if (peer.id == NodeId("b")) return peer.connected;
    return false;
  }
};

}  // namespace cluster::testing
