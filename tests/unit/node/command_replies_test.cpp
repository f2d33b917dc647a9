#include "cluster/node/command_replies.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>

#include "cluster/node/command_plan.hpp"
#include "cluster/wire/json.hpp"
#include "json_line.hpp"

namespace cluster::replies {
namespace {

CHash lone_foo() {
  CHash ring({.rfactor = 3, .pfactor = 2});
  REQUIRE(ring.insert({"foo", {"localhost", 7022}}));
  return ring;
}

/// The line that the CLI prints into a pipe.
std::string line(const CHash& ring, std::string name, std::vector<std::string> args = {}) {
  const auto request = proto::check({.name = std::move(name), .args = std::move(args)});
  REQUIRE(request);
  const auto reply = from_ring(*request, ring);
  return reply ? cli::to_line(wire::to_json(*reply)) : "no reply";
}

template <class Command>
Command asked(proto::CommandRequest request, const CHash& ring = CHash()) {
  const auto command = ring_command(proto::check(std::move(request)).value(), ring);
  REQUIRE(command);
  REQUIRE(std::holds_alternative<Command>(*command));
  return std::get<Command>(*command);
}

std::vector<NodeId> removed(const CHash& ring, std::string name, std::vector<std::string> args) {
  return asked<proto::RemoveCommand>({.name = std::move(name), .args = std::move(args)}, ring).ids;
}

TEST_CASE("replies: a lone node of rfactor 3 is shown exactly as the reference shows it") {
  const auto ring = lone_foo();
  CHECK(
      line(ring, "inspect") ==
      R"({"ok": true, "data": {"rfactor": 3, "pfactor": 2, "tree": [)"
      R"({"key": "avmox6bKHfmLdzmObwjwIrh2WC6XM471ods56FWbDo0=", "value": {"id": "foo", "host": "localhost", "port": 7022}}, )"
      R"({"key": "kL2YfHLEuxHGaEz4nOxWYyPSiFlGBsFMzoYDXXxuXK0=", "value": {"id": "foo", "host": "localhost", "port": 7022}}, )"
      R"({"key": "kzMt7C+SJZbxNQmrL3vhpfJ+a0RgPiGlRhrxwS57RWI=", "value": {"id": "foo", "host": "localhost", "port": 7022}}]}})");
  CHECK(line(ring, "nodes") == R"({"ok": true, "data": [{"id": "foo", "host": "localhost", "port": 7022}]})");
  CHECK(line(ring, "get", {"foo"}) ==
        R"({"ok": true, "data": {"id": "foo", "host": "localhost", "port": 7022}})");
  CHECK(line(ring, "has", {"foo"}) == R"({"ok": true, "data": true})");
  CHECK(line(ring, "has", {"bar"}) == R"({"ok": true, "data": false})");
  CHECK(line(ring, "weight", {"foo"}) == R"({"ok": true, "data": 3})");
  CHECK(line(ring, "weights") == R"({"ok": true, "data": {"foo": 3}})");
  CHECK(line(ring, "owner", {"any key"}) ==
        R"({"ok": true, "data": {"id": "foo", "host": "localhost", "port": 7022}})");
}

TEST_CASE("replies: who did not hand over all is named, if the ring has changed") {
  const auto line = [](wire::Value reply, const std::map<NodeId, bool>& asked) {
    return cli::to_line(wire::to_json(with_lost(std::move(reply), asked)));
  };
  CHECK(line(done(), {}) == R"({"ok": true})");
  CHECK(line(done(), {{"foo", true}}) == R"({"ok": true})");
  const std::string lost =
      R"("not_handed_over": ["bar", "baz"], "note": "'bar', 'baz' did not answer any more before all was )"
      R"(handed over: what the others lack is unreadable until it is back"})";
  CHECK(line(done(), {{"bar", false}, {"baz", false}, {"foo", true}}) == R"({"ok": true, )" + lost);
  for (const auto executed : {Executed::no, Executed::unknown, Executed::yes}) {
    const auto reply = failure(Error(Errc::timeout, "late", executed));
    CHECK((line(reply, {{"bar", false}, {"baz", false}}).find(lost) != std::string::npos) ==
          (executed == Executed::yes));
  }
  auto noted = done();
  noted.set("note", "not on this node's disk");
  CHECK(line(noted, {{"bar", false}}).find("disk; 'bar' did not") != std::string::npos);
}

TEST_CASE("replies: who is not in the ring is said not to be, with code and executed") {
  const auto ring = lone_foo();
  const std::string refusal =
      R"({"ok": false, "error": {"message": "'bar' is not defined in this ring.", "code": "not_found", "executed": "no"}})";
  CHECK(line(ring, "get", {"bar"}) == refusal);
  CHECK(line(ring, "weight", {"bar"}) == refusal);
  CHECK(line(CHash(), "owner", {"key"}).starts_with(R"({"ok": false, )"));
  CHECK(line(CHash(), "nodes") == R"({"ok": true, "data": []})");
  CHECK(line(CHash(), "weights") == R"({"ok": true, "data": {}})");
}

TEST_CASE("replies: a member's zone is shown where it has one, and the copies of a key span the zones") {
  CHash ring({.rfactor = 16});
  REQUIRE(ring.insert({"foo", {"h", 1}, "north"}));
  REQUIRE(ring.insert({"bar", {"h", 2}, "north"}));
  REQUIRE(ring.insert({"baz", {"h", 3}, "south"}));
  CHECK(line(ring, "get", {"foo"}) ==
        R"({"ok": true, "data": {"id": "foo", "host": "h", "port": 1, "zone": "north"}})");
  CHECK(line(ring, "inspect").find(R"("port": 3, "zone": "south"}})") != std::string::npos);
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    const auto copies = line(ring, "owner", {key, "2"});
    CHECK(copies.find("north") != std::string::npos);
    CHECK(copies.find("south") != std::string::npos);
    const auto first =
        line(ring, "owner", {key});  // {"ok": true, "data": {...}} and {"ok": true, "data": [{...}]}
    CHECK(line(ring, "owner", {key, "1"}) ==
          first.substr(0, 21) + "[" + first.substr(21, first.size() - 22) + "]}");
  }
  CHECK(line(ring, "owner", {"a", "0"}) == R"({"ok": true, "data": []})");
  CHECK(line(CHash(), "owner", {"a", "3"}) == R"({"ok": true, "data": []})");
  CHECK(!proto::check({.name = "owner", .args = {"a", "some"}}));
}

TEST_CASE("replies: odd ids come through as they are") {
  CHash ring({.rfactor = 1});
  REQUIRE(ring.insert({"__proto__", {"::1", 1}}, 65'535));
  CHECK(line(ring, "get", {"__proto__"}) ==
        R"({"ok": true, "data": {"id": "__proto__", "host": "::1", "port": 1}})");
  CHECK(line(ring, "weights") == R"({"ok": true, "data": {"__proto__": 65535}})");
}

TEST_CASE("replies: commands that do more than read the ring get none here") {
  for (const auto& command : proto::commands()) {
    CAPTURE(command.name);
    if (command.changes_ring || command.runs_at != proto::RunsAt::server)
      CHECK(!from_ring({.name = std::string(command.name), .args = {"x", "x", "x"}}, lone_foo()));
  }
}

TEST_CASE("replies: the texts of joining and of a change that failed") {
  CHECK(already_in_ring("ring").message() == "Node already belongs to ring 'ring'");
  CHECK(cli::to_line(wire::to_json(done())) == R"({"ok": true})");
  CHECK(outcome({}) == done());
  CHECK(cli::to_line(wire::to_json(outcome(Error(Errc::timeout, "no answer")))) ==
        R"({"ok": false, "error": {"message": "no answer", "code": "timeout", "executed": "unknown"}})");
}

TEST_CASE("replies: each command that changes the ring becomes a ring command, and no other does") {
  for (const auto& command : proto::commands()) {
    CAPTURE(command.name);
    const std::vector<std::string> args{"x", "h", "1"};
    CHECK(ring_command({.name = std::string(command.name), .args = args}, CHash()).has_value() ==
          command.changes_ring);
  }
}

TEST_CASE("replies: insert and minsert carry weight and force to each member") {
  const auto command =
      asked<proto::InsertCommand>({.name = "minsert",
                                   .args = {"bar", "localhost", "7023", "baz", "::1", "7024"},
                                   .force = true,
                                   .weight = 7});
  REQUIRE(command.members.size() == 2);
  CHECK(command.force);
  CHECK(command.members[1].id == NodeId("baz"));
  CHECK(command.members[1].endpoint == Endpoint{"::1", 7024});
  CHECK(command.members[0].weight == 7);
  CHECK(command.members[1].weight == 7);
  CHECK(!asked<proto::InsertCommand>({.name = "insert", .args = {"bar", "h", "1"}}).members[0].weight);
}

TEST_CASE("replies: update carries the endpoint, and the weight only if one was given") {
  const auto plain = asked<proto::UpdateCommand>({.name = "update", .args = {"bar", "h", "7023"}});
  CHECK(plain.id == NodeId("bar"));
  CHECK(plain.endpoint == Endpoint{"h", 7023});
  CHECK(!plain.weight);
  CHECK(asked<proto::UpdateCommand>({.name = "update", .args = {"bar", "h", "7023", "9"}}).weight == 9);
}

TEST_CASE("replies: meet states whom to expect only if an id was given") {
  const auto named = asked<proto::MeetCommand>({.name = "meet", .args = {"bar", "h", "7023"}});
  CHECK(named.expected == NodeId("bar"));
  CHECK(named.endpoint == Endpoint{"h", 7023});
  CHECK(named.revive);
  for (const auto& args : {std::vector<std::string>{"h", "7023"}, {"h:7023"}}) {
    const auto open = asked<proto::MeetCommand>({.name = "meet", .args = args});
    CHECK(!open.expected);
    CHECK(open.endpoint == Endpoint{"h", 7023});
  }
}

TEST_CASE("replies: remove takes an id, alone or with host and port") {
  const auto ring = lone_foo();
  CHECK(removed(ring, "remove", {"foo"}) == std::vector<NodeId>{"foo"});
  CHECK(removed(ring, "remove", {"foo", "localhost", "7022"}) == std::vector<NodeId>{"foo"});
}

TEST_CASE("replies: mremove takes ids or triples, and a member's id is never mistaken for a host or port") {
  auto ring = lone_foo();
  CHECK(removed(ring, "mremove", {"foo", "bar"}) == std::vector<NodeId>{"foo", "bar"});
  CHECK(removed(ring, "mremove", {"foo", "localhost", "7022", "bar", "h", "1"}) ==
        std::vector<NodeId>{"foo", "bar"});
  CHECK(removed(ring, "mremove", {"foo", "n2", "n3"}) == std::vector<NodeId>{"foo", "n2", "n3"});
  REQUIRE(ring.insert({"7022", {"localhost", 1}}));
  CHECK(removed(ring, "mremove", {"foo", "bar", "7022"}) == std::vector<NodeId>{"foo", "bar", "7022"});
}

TEST_CASE("replies: mremove knows who is leaving for a member, too") {
  const proto::CommandRequest request{.name = "mremove", .args = {"foo", "bar", "7022"}};
  const auto ids = [&](const std::vector<NodeId>& leaving) {
    return std::get<proto::RemoveCommand>(*ring_command(request, lone_foo(), leaving)).ids;
  };
  CHECK(ids({}) == std::vector<NodeId>{"foo"});
  CHECK(ids({"bar"}) == std::vector<NodeId>{"foo", "bar", "7022"});
}

TEST_CASE("replies: who leaves hands over first, and who is removed if it answers, unless that is forced") {
  const MemberBoard::View members{{.id = "alive", .state = MemberState::alive},
                                  {.id = "dead", .state = MemberState::unreachable},
                                  {.id = "self", .state = MemberState::alive},
                                  {.id = "slow", .state = MemberState::suspect}};
  const auto drain = [&](const proto::RingCommand& command) { return to_drain(command, "self", members); };
  CHECK(drain(proto::LeaveCommand{}) == std::vector<NodeId>{"self"});
  CHECK(drain(proto::LeaveCommand{true}).empty());
  CHECK(drain(proto::RemoveCommand{{"dead", "slow", "alive", "none"}}) ==
        std::vector<NodeId>{"slow", "alive"});
  CHECK(drain(proto::RemoveCommand{{"alive"}, true}).empty());
  CHECK(drain(proto::RemoveCommand{{"alive", "self"}}).empty());  // which is refused
  CHECK(drain(proto::JoinCommand{"ring"}).empty());
}

/// A ring of two whose shares are known: they are far from even.
CHash foo_and_bar() {
  CHash ring({.rfactor = 3});
  REQUIRE(ring.insert({"foo", {"localhost", 7022}}));
  REQUIRE(ring.insert({"bar", {"localhost", 7023}}, 1));
  return ring;
}

wire::Value data_of(const CHash& ring, std::vector<std::string> args) {
  const auto request = proto::check({.name = "plan", .args = std::move(args)});
  REQUIRE(request);
  const auto reply = from_ring(*request, ring).value();
  const auto* const data = reply.find("data");
  REQUIRE(data != nullptr);
  return *data;
}

std::string text_of(const wire::Value& data, const char* field) {
  return cli::to_line(wire::to_json(*data.find(field)));
}

TEST_CASE("replies: balance tells the share of each member and what its weight promises") {
  const auto ring = foo_and_bar();
  const auto share = ring.balance().shares[0].share;  // bar's
  const auto reply = wire::to_json(from_ring({.name = "balance"}, ring).value());
  const auto& members = reply["data"]["members"];
  REQUIRE(members.size() == 2);
  CHECK(members[0]["id"] == "bar");
  CHECK(members[0]["weight"] == 1);
  CHECK(members[0]["share"].get<double>() == doctest::Approx(share).epsilon(1e-5));
  CHECK(members[0]["expected"] == 0.25);
  CHECK(members[1]["share"].get<double>() == doctest::Approx(1 - share).epsilon(1e-5));
  CHECK(reply["data"]["max_over_mean"].get<double>() ==
        doctest::Approx(2 * std::max(share, 1 - share)).epsilon(1e-5));
  CHECK(line(CHash(), "balance") ==
        R"({"ok": true, "data": {"members": [], "max_over_mean": 0.0, "max_over_expected": 0.0}})");
}

TEST_CASE("replies: a plan tells what an insert, update or remove would do, and does not do it") {
  const auto ring = foo_and_bar();
  const auto before = ring;
  const auto inserted = data_of(ring, {"insert", "qux", "localhost", "7024", "4"});
  CHECK(text_of(inserted, "effect") == R"("insert 'qux' with weight 4")");
  auto with_qux = ring;
  REQUIRE(with_qux.insert({"qux"}, 4));
  const auto taken = with_qux.balance().shares[2].share;
  CHECK(*inserted.find("moved")->real() == doctest::Approx(taken).epsilon(1e-5));
  const auto json = wire::to_json(inserted);
  double moved = 0;
  for (const auto& move : json["moves"]) {
    CHECK(move["to"] == "qux");
    moved += move["fraction"].get<double>();
  }
  CHECK(moved == doctest::Approx(taken).epsilon(1e-5));
  REQUIRE(json["members"].size() == 3);
  CHECK(json["members"][2]["id"] == "qux");
  CHECK(json["members"][2]["weight"].is_null());
  CHECK(json["members"][2]["share"].is_null());
  CHECK(json["members"][2]["weight_after"] == 4);

  CHECK(text_of(data_of(ring, {"insert", "qux", "localhost", "7024"}), "effect") ==
        R"("insert 'qux' with weight 3")");
  CHECK(text_of(data_of(ring, {"update", "bar", "8"}), "effect") == R"("update 'bar' from weight 1 to 8")");
  const auto removed = wire::to_json(data_of(ring, {"remove", "bar"}));
  CHECK(removed["effect"] == "remove 'bar'");
  REQUIRE(removed["moves"].size() == 1);
  CHECK(removed["moves"][0]["from"] == "bar");
  CHECK(removed["members"][0]["share_after"].is_null());
  CHECK(ring == before);
}

TEST_CASE("replies: a plan that would change nothing says so, and one that would be refused is refused") {
  const auto ring = foo_and_bar();
  for (const auto& [args, effect] :
       {std::pair{std::vector<std::string>{"insert", "bar", "elsewhere", "1", "9"},
                  "none: 'bar' is a member already"},
        {{"remove", "nobody"}, "none: 'nobody' is no member"}}) {
    const auto data = wire::to_json(data_of(ring, args));
    CHECK(data["effect"] == effect);
    CHECK(data["moved"] == 0.0);
    CHECK(data["moves"].empty());
  }
  CHECK(
      line(ring, "plan", {"update", "nobody", "5"}) ==
      R"({"ok": false, "error": {"message": "'nobody' is not defined in this ring.", "code": "not_found", "executed": "no"}})");
  const auto founded = wire::to_json(data_of(CHash(), {"insert", "a", "h", "1"}));
  CHECK(founded["moved"] == 1.0);
  CHECK(founded["moves"][0]["from"].is_null());
}

TEST_CASE("replies: an insert of a member that is somewhere else is noted, one that is as asked is not") {
  const std::vector<proto::MemberView> members{{"bar", {"localhost", 7023}, 5},
                                               {"foo", {"localhost", 7022}, 5}};
  const auto note = [&](std::string id, std::uint16_t port, std::optional<std::uint32_t> weight) {
    return insert_note({.members = {{NodeId(id), {"localhost", port}, weight}}}, members);
  };
  CHECK(note("bar", 7023, std::nullopt).empty());
  CHECK(note("bar", 7023, 5).empty());
  CHECK(note("qux", 1, 1).empty());
  CHECK(note("bar", 7024, std::nullopt) ==
        "'bar' was a member already, at localhost:7023 with weight 5, and stays so");
  CHECK_FALSE(note("bar", 7023, 6).empty());
}

TEST_CASE("replies: clocks tell who lacks edits of whom") {
  using Clock = std::vector<proto::ClockEntry>;
  const Clock a{{"x", 1}}, more{{"x", 2}}, wider{{"x", 1}, {"y", 1}};
  CHECK(compare_clocks(a, a) == "same");
  CHECK(compare_clocks(more, a) == "behind");
  CHECK(compare_clocks(a, more) == "ahead");
  CHECK(compare_clocks(wider, a) == "behind");
  CHECK(compare_clocks(a, wider) == "ahead");
  CHECK(compare_clocks(more, wider) == "both");
  CHECK(compare_clocks({}, {}) == "same");
}

TEST_CASE("replies: those who do not know a change yet are listed by reason") {
  CHECK(not_yet_known({{"a", "no process"}}) == "done at this node, but not yet known to 'a' (no process)");
  CHECK(not_yet_known({{"a", "no process"}, {"b", "other edits"}, {"c", "no process"}}) ==
        "done at this node, but not yet known to 'a', 'c' (no process) and 'b' (other edits)");
  CHECK(not_yet_known({{"a", "x"}, {"b", "y"}, {"c", "z"}}) ==
        "done at this node, but not yet known to 'a' (x), 'b' (y) and 'c' (z)");
}

}  // namespace
}  // namespace cluster::replies
