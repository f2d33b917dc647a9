#include "cluster/node/command_replies.hpp"

#include <doctest/doctest.h>

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

}  // namespace
}  // namespace cluster::replies
