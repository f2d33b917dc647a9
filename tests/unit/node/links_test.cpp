#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cluster/node/gossip_ring.hpp"
#include "cluster/node/node.hpp"
#include "eventually.hpp"

using namespace cluster;
using testing::eventually;

namespace {

constexpr std::size_t kNodes = 12;
constexpr std::size_t kMeshMax = 2;

/// Nodes of one ring that keep few links, and close the others soon.
class FewLinks {
 public:
  FewLinks() {
    for (std::size_t i = 0; i < kNodes; ++i) {
      NodeConfig config{
          .id = "n" + std::to_string(i), .host = "127.0.0.1", .port = 0, .cookie = "a cookie for tests"};
      if (i == 0) config.ring = "ring";
      config.rfactor = 3;
      config.scrypt = net::Keyring::cost_for_tests();
      config.engine.workers = 1;
      config.mesh_max = kMeshMax;
      config.limits.idle_timeout = 300ms;
      nodes.push_back(Node::start(std::move(config)).value());
    }
    for (std::size_t i = 1; i < kNodes; ++i) REQUIRE(nodes[0].meet(nodes[i].endpoint()));
    REQUIRE(eventually([&] {
      return std::ranges::all_of(nodes, [&](const Node& node) {
        const auto view = node.ring();
        return view->members.size() == kNodes && view->state == nodes[0].ring()->state;
      });
    }));
  }

  [[nodiscard]] static std::size_t links(const Node& node) {
    const auto peers = node.actors().kernel().peers();
    return static_cast<std::size_t>(std::ranges::count_if(peers, &net::PeerStatus::connected));
  }
  [[nodiscard]] static std::size_t links_kept(const Node& node) {
    const proto::LinkPlan plan(kNodes, kMeshMax);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < kNodes; ++i) {
      const NodeId other("n" + std::to_string(i));
      kept += other != node.id() && plan.keeps(node.id(), other) ? 1u : 0u;
    }
    return kept;
  }
  [[nodiscard]] std::size_t all_links() const {
    std::size_t sum = 0;
    for (const auto& node : nodes) sum += links(node);
    return sum;
  }
  [[nodiscard]] std::size_t all_kept() const {
    std::size_t sum = 0;
    for (const auto& node : nodes) sum += links_kept(node);
    return sum;
  }

  std::vector<Node> nodes;
};

}  // namespace

TEST_CASE("nodes: in a ring above the mesh's size all reach all, and keep few links when they are done") {
  FewLinks ring;
  auto& nodes = ring.nodes;
  REQUIRE(ring.all_kept() < kNodes * (kNodes - 1));
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    for (auto& node : nodes)
      for (std::size_t i = 0; i < kNodes; ++i)
        REQUIRE(node.call("ring@n" + std::to_string(i), "ring_info", {}, 20s));
    // Few are open beside those that are kept: only a probe, or a round of gossip, opens one now and then.
    REQUIRE(eventually([&] { return ring.all_links() <= ring.all_kept() + 4; }));
  }
  std::uint64_t closed = 0;
  for (const auto& node : nodes) {
    closed += node.actors().kernel().counters().closed_idle;
    CHECK(node.actors().kernel().counters().uncertain == 0);
  }
  CHECK(closed > 0);
  for (const auto& node : nodes)
    for (const auto& member : node.members()) {
      CAPTURE(node.id().str());
      CAPTURE(member.id.str());
      const bool well =
          member.state == proto::MemberState::alive || member.state == proto::MemberState::unknown;
      CHECK(well);
    }
}

TEST_CASE("nodes: an edit reaches all of a ring of few links, and so does the end of a member") {
  FewLinks ring;
  auto& nodes = ring.nodes;
  REQUIRE(nodes[3].change(proto::UpdateCommand{.id = NodeId("n5"), .weight = 7}));
  CHECK(eventually([&] {
    return std::ranges::all_of(nodes, [](const Node& node) { return node.ring()->hash.weight("n5") == 7; });
  }));
  REQUIRE(eventually([&] {
    return std::ranges::all_of(nodes, [](const Node& node) {
      return std::ranges::none_of(
          node.members(), [](const auto& member) { return member.state == proto::MemberState::unknown; });
    });
  }));
  REQUIRE(nodes[5].stop());
  CHECK(eventually([&] {
    return std::ranges::all_of(nodes, [&](const Node& node) {
      if (node.id() == NodeId("n5")) return true;
      return std::ranges::any_of(node.members(), [](const auto& member) {
        return member.id == NodeId("n5") && member.state == proto::MemberState::stopped;
      });
    });
  }));
}
