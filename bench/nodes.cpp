#include "nodes.hpp"

#include <array>
#include <utility>

#include "cluster/crypto/random.hpp"

namespace cluster::bench {
namespace {

NodeSetup as(NodeSetup setup, std::string id, std::string ring, std::string cookie) {
  setup.id = std::move(id);
  setup.ring = std::move(ring);
  setup.cookie = std::move(cookie);
  return setup;
}

}  // namespace

Node start_node(const NodeSetup& setup) {
  NodeConfig config;
  config.id = setup.id;
  config.host = "127.0.0.1";
  config.port = 0;
  config.cookie = setup.cookie.empty() ? new_cookie() : setup.cookie;
  config.ring = setup.ring;
  config.protection = config.protection_min = setup.protection;
  config.engine.workers = setup.workers;
  if (setup.message_bytes_max != 0) {
    config.limits.message_bytes_max = setup.message_bytes_max;
    config.limits.queue_bytes_max = 2 * setup.message_bytes_max;
  }
  return take(Node::start(std::move(config)), "start the node '" + setup.id + "'");
}

std::string new_cookie() {
  std::array<std::uint8_t, 32> bytes{};
  crypto::random_bytes(bytes);
  return hex(bytes);
}

std::vector<std::string> to_arguments(const NodeSetup& setup) {
  return {setup.id, setup.ring, std::to_string(setup.workers), std::string(wire::name(setup.protection)),
          std::to_string(setup.message_bytes_max)};
}

NodeSetup from_arguments(const std::vector<std::string>& arguments) {
  NodeSetup setup;
  setup.id = arguments.at(0);
  setup.ring = arguments.at(1);
  setup.workers = std::stoul(arguments.at(2));
  setup.protection = take(wire::parse_protection(arguments.at(3)), "the protection");
  setup.message_bytes_max = std::stoul(arguments.at(4));
  return setup;
}

PeerNode::PeerNode(const NodeSetup& setup, const std::string& role)
    : process(Process::of_role(role, to_arguments(setup))) {
  process.write_line(setup.cookie);
  endpoint = {"127.0.0.1", take(parse_port(process.read_line()), "the port of the child's node")};
}

Pair::Pair(const NodeSetup& setup, const std::string& role)
    : cookie(setup.cookie.empty() ? new_cookie() : setup.cookie),
      server(as(setup, "server", "bench", cookie), role),
      node(start_node(as(setup, "bench", "", cookie))) {
  take(node.meet(server.endpoint), "meet the server process");
  target = take(node.ref<Target>("target@server"), "the server");
  take(node.call(target, Number{1}), "the first call");
}

}  // namespace cluster::bench
