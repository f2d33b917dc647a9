#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "harness.hpp"
#include "process.hpp"
#include "servers.hpp"

namespace cluster::bench {

/// How a node of a workload is started, here or in a child process.
struct NodeSetup {
  std::string id = "bench";
  std::string cookie = {};  ///< empty: a new one
  std::string ring = {};    ///< empty: in none
  std::size_t workers = 0;  ///< 0: one per processor
  Protection protection = Protection::sign;
  std::size_t message_bytes_max = 0;  ///< 0: the default; else the queue takes two of them
};
/// A node on loopback at a free port.
[[nodiscard]] Node start_node(const NodeSetup& setup = {});
/// A new cookie of 256 random bits.
[[nodiscard]] std::string new_cookie();
/// `setup` without its cookie as a child's arguments, and back.
[[nodiscard]] std::vector<std::string> to_arguments(const NodeSetup& setup);
[[nodiscard]] NodeSetup from_arguments(const std::vector<std::string>& arguments);

/// A child process with a node in a role of roles.hpp.
struct PeerNode {
  explicit PeerNode(const NodeSetup& setup, const std::string& role = "target");
  Process process;
  Endpoint endpoint;
};

/// This process's node, and a child process named `server` with the server `target`, in one ring. Their
/// connection is up.
struct Pair {
  explicit Pair(const NodeSetup& setup = {}, const std::string& role = "target");
  [[nodiscard]] Ref<Driver> driver() { return take(node.spawn<Driver>({}, target), "spawn"); }

  std::string cookie;
  PeerNode server;
  Node node;
  Ref<Target> target;
};

}  // namespace cluster::bench
