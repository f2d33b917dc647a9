#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cluster/node/drill_server.hpp"
#include "cluster/node/node.hpp"
#include "cluster/proto/command.hpp"
#include "eventually.hpp"

using namespace cluster;
using testing::eventually;
using wire::Value;

namespace {

/// Nodes of one process that allow drills.
class Ring {
 public:
  explicit Ring(std::vector<std::string> names) {
    for (const auto& name : names) {
      NodeConfig config{.id = name, .host = "127.0.0.1", .port = 0, .cookie = "a cookie for tests"};
      if (nodes.empty()) config.ring = "ring";
      config.rfactor = 3;
      config.scrypt = net::Keyring::cost_for_tests();
      config.engine.workers = 1;
      config.allow_drills = true;
      nodes.push_back(Node::start(std::move(config)).value());
    }
    for (std::size_t i = 1; i < nodes.size(); ++i) REQUIRE(nodes[0].meet(nodes[i].endpoint()));
    REQUIRE(eventually([&] {
      return std::ranges::all_of(nodes, [&](const Node& node) {
        return std::ranges::count(node.members(), MemberState::alive, &NodeMember::state) ==
               static_cast<std::ptrdiff_t>(nodes.size());
      });
    }));
  }

  Value run(std::size_t node, std::vector<std::string> args, std::optional<std::uint32_t> for_ms = {}) {
    const proto::CommandRequest request{.name = "drill", .args = std::move(args), .for_ms = for_ms};
    return nodes.at(node).call("command", "run", Value::of(request), 20s).value();
  }
  /// Its field `name`; nil if the command was refused.
  Value report(std::size_t node, const char* name) {
    const auto reply = run(node, {"report"});
    const auto* data = reply.find("data");
    return data == nullptr ? Value() : *data->find(name);
  }

  std::vector<Node> nodes;
};

bool is_ok(const Value& reply) { return *reply.find("ok")->boolean(); }
std::int64_t number(const Value& row, const char* name) { return *row.find(name)->integer(); }

DrillTold told_by(const NodeId& self, const proto::DrillPlan& plan, proto::DrillPhase phase) {
  DrillTold told{.account = {.phase = phase, .together_ms = 70}};
  for (const auto& peer : plan.others(self))
    told.account.links.push_back({.peer = peer,
                                  .cut = plan.cuts(self, peer),
                                  .casts = 100,
                                  .refused = 3,
                                  .calls = 20,
                                  .answered = 15,
                                  .failed = 1,
                                  .unknown = 4,
                                  .delivered = plan.cuts(self, peer) ? 60u : 97u,
                                  .doubled = 1});
  return told;
}

}  // namespace

TEST_CASE("drill report: what one end sent and the other got makes what was lost, summed by side") {
  const proto::DrillPlan plan{.id = "d1", .sides = {{"a", "b"}, {"c"}}};
  std::vector<DrillStory> stories;
  for (const NodeId id : {"a", "b", "c"}) stories.push_back({id, told_by(id, plan, proto::DrillPhase::done)});
  const auto report = drill_report(plan, stories, "a");
  CHECK(*report.find("phase")->text() == "done");
  CHECK(*report.find("finished")->boolean());
  CHECK(*report.find("together")->boolean());
  CHECK(number(report, "together_ms") == 70);
  CHECK(*report.find("partition")->text() == "a,b | c");
  const auto& traffic = *report.find("traffic")->array();
  CHECK(number(traffic[0], "casts") == 400);
  CHECK(number(traffic[0], "lost") == 4 * 37);
  CHECK(number(traffic[0], "unknown") == 16);
  CHECK(number(traffic[1], "lost") == 0);
  CHECK(number(traffic[1], "doubled") == 2);
  CHECK(report.find("pairs")->array()->size() == 6);
}

TEST_CASE("drill report: nothing is called lost before both ends are done, or of who tells nothing") {
  const proto::DrillPlan plan{.id = "d1", .sides = {{"a"}, {"b"}}, .uncut = {"c"}};
  std::vector<DrillStory> stories;
  stories.push_back({"a", told_by("a", plan, proto::DrillPhase::done)});
  stories.push_back({"b", told_by("b", plan, proto::DrillPhase::healed)});
  stories.push_back({"c", Error(Errc::unreachable, "gone")});
  const auto report = drill_report(plan, stories, "a");
  CHECK_FALSE(*report.find("finished")->boolean());
  CHECK_FALSE(*report.find("together")->boolean());
  CHECK(report.find("together_ms")->is_nil());
  const auto& pairs = *report.find("pairs")->array();
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[0].find("lost")->is_nil());
  CHECK(number(pairs[0], "casts") == 100);
  CHECK(*report.find("nodes")->array()->at(2).find("phase")->text() == "no answer: gone");
  stories.erase(stories.begin() + 1);
  CHECK(*drill_report(plan, stories, "a").find("finished")->boolean());
}

TEST_CASE("drill report: events are counted by kind, and a conflict that several saw is told once") {
  const auto conflict =
      Value::map({{"event", "conflict"}, {"id", "x"}, {"field", "weight"}, {"kept", "a"}, {"lost", "b"}});
  DrillEvents events;
  events.add(Value::map({{"event", "ring_changed"}}), proto::DrillPhase::before);
  events.add(Value::map({{"event", "ring_changed"}}), proto::DrillPhase::cut);
  events.add(Value::map({{"event", "quorum_lost"}}), proto::DrillPhase::cut);
  events.add(Value::map({{"event", "quorum_found"}}), proto::DrillPhase::healed);
  events.add(conflict, proto::DrillPhase::healed);
  events.add(Value(), proto::DrillPhase::healed);
  for (const char* kind : {"quorum_found", "quorum_lost", "quorum_found"})  // of another time
    events.add(Value::map({{"event", kind}}), proto::DrillPhase::done);
  events.add(Value::map({{"event", "conflict"}, {"id", "y"}}), proto::DrillPhase::done);
  CHECK(events.ring_changes == 1);
  CHECK(events.quorum_lost == 1);
  CHECK(events.quorum_found == 1);
  DrillEvents open{.quorum_lost = 1};
  open.add(Value::map({{"event", "quorum_found"}}), proto::DrillPhase::done);
  CHECK(open.quorum_found == 1);
  const proto::DrillPlan plan{.id = "d1", .sides = {{"a"}, {"b"}}};
  const auto report = drill_report(plan, {{"a", DrillTold{{}, events}}, {"b", DrillTold{{}, events}}}, "b");
  REQUIRE(report.find("conflicts")->array()->size() == 1);
  CHECK(*report.find("conflicts")->array()->at(0).find("lost")->text() == "b");
  CHECK(number(report.find("nodes")->array()->at(0), "conflicts") == 1);
}

TEST_CASE("node: a drill cuts two sides, loses across and not within, and all are one ring again") {
  Ring ring({"a", "b", "c"});
  REQUIRE(is_ok(ring.run(0, {"partition", "a,b | c"}, 1'000)));
  const auto again = ring.run(2, {"partition", "a | b"});
  CHECK_FALSE(is_ok(again));
  CHECK(again.find("error")->find("message")->text()->ends_with("is still running"));
  REQUIRE(eventually([&] { return ring.report(1, "finished") == Value(true); }));
  CHECK(ring.report(1, "together") == Value(true));
  const auto traffic = ring.report(2, "traffic");
  CHECK(number(traffic.array()->at(0), "lost") > 0);
  CHECK(number(traffic.array()->at(1), "lost") == 0);
  for (const auto& row : *traffic.array()) {
    CHECK(number(row, "doubled") == 0);
    CHECK(number(row, "disordered") == 0);
  }
}

TEST_CASE("node: a drill of 10 min that one side heals is over on both") {
  Ring ring({"a", "b"});
  REQUIRE(is_ok(ring.run(0, {"partition", "a | b"}, 600'000)));
  for (const std::size_t node : {0u, 1u})
    REQUIRE(eventually([&] { return ring.report(node, "phase") == Value("cut"); }));
  CHECK(is_ok(ring.run(1, {"heal"})));
  CHECK_FALSE(is_ok(ring.run(1, {"heal"})));
  REQUIRE(eventually([&] { return ring.report(0, "finished") == Value(true); }));
  CHECK(ring.report(1, "together") == Value(true));
}

TEST_CASE("node: a drill that one member refuses keeps nobody else from beginning one") {
  Ring ring({"a", "b", "c"});
  const Ref<DrillServer> at_c(runtime::Target{std::string(DrillServer::kName), NodeId("c")});
  const proto::DrillPlan plan{.id = "d1", .sides = {{"a", "b"}, {"c"}}, .before_ms = 100, .cut_ms = 1'000};
  REQUIRE(ring.nodes[0].call(at_c, DrillOffer{NodeId("a"), plan}));
  const auto refused = ring.run(1, {"partition", "a,b | c"}, 1'000);
  REQUIRE_FALSE(is_ok(refused));
  CHECK(*refused.find("error")->find("message")->text() == "node 'c': 'a' is beginning a drill");
  CHECK(eventually([&] { return is_ok(ring.run(0, {"partition", "a,b | c"}, 1'000)); }, 4s));
}

TEST_CASE("node: a node that stops while it is cut off stops") {
  Ring ring({"a", "b"});
  REQUIRE(is_ok(ring.run(0, {"partition", "a | b"}, 600'000)));
  REQUIRE(eventually([&] { return ring.report(1, "phase") == Value("cut"); }));
  CHECK(ring.nodes[1].stop());
}
