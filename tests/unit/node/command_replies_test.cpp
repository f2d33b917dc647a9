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

std::vector<NodeId> removed(const CHash& ring, std::string name, std::vector<std::string> args) {
  return ids_to_remove(proto::check({.name = std::move(name), .args = std::move(args)}).value(), ring);
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
