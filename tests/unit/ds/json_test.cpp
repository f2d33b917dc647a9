#include "cluster/ds/json.hpp"

#include <doctest/doctest.h>

#include <string>

#include "cluster/base/bytes.hpp"
#include "cluster/crypto/sha256.hpp"

using namespace cluster;
using nlohmann::json;

namespace {

template <class T>
std::string message(const Result<T>& result) {
  return result ? "ok" : result.error().message();
}

}  // namespace

TEST_CASE("json: a ring is written with its factors and its tree, and read back equal") {
  CHash ring({.rfactor = 1, .pfactor = 2});
  CHECK(ring.insert({"foo", {"localhost", 7022}}).value());
  CHECK(to_json(ring).dump() ==
        R"({"rfactor":1,"pfactor":2,"tree":[{"key":"kzMt7C+SJZbxNQmrL3vhpfJ+a0RgPiGlRhrxwS57RWI=",)"
        R"("value":{"id":"foo","host":"localhost","port":7022}}]})");
  const auto read = chash_from_json(json::parse(to_json(ring).dump()));
  REQUIRE(read.has_value());
  CHECK(*read == ring);
  CHECK(read->config().rfactor == 1);
  CHECK(chash_from_json(to_json(CHash())).value().empty());
}

TEST_CASE("json: a ring says its policy unless that is sha256, and a zone is written where there is one") {
  CHash ring({.rfactor = 1, .pfactor = 2, .policy = HashPolicy::xxh3});
  CHECK(ring.insert({"foo", {"localhost", 7022}, "east"}).value());
  CHECK(to_json(ring).dump() ==
        R"({"policy":"xxh3","rfactor":1,"pfactor":2,"tree":[{"key":")" +
            position_text(HashPolicy::xxh3, position_of(HashPolicy::xxh3, "foo_1")) +
            R"(","value":{"id":"foo","host":"localhost","port":7022,"zone":"east"}}]})");
  const auto read = chash_from_json(json::parse(to_json(ring).dump()));
  REQUIRE(read.has_value());
  CHECK(*read == ring);
  CHECK(read->config().policy == HashPolicy::xxh3);
  CHECK(read->get("foo")->zone == "east");

  json other = to_json(ring);
  other.erase("policy");  // then its keys are no positions
  CHECK(message(chash_from_json(other)) == "tree entry 0: the key is not base64 of 32 bytes");
  other["policy"] = "sha256";
  CHECK(message(chash_from_json(other)) == "tree entry 0: the key is not base64 of 32 bytes");
  for (const json& policy : {json("md5"), json(3), json(nullptr)}) {
    other["policy"] = policy;
    CHECK(message(chash_from_json(other)) == R"(the policy of a ring is "sha256" or "xxh3")");
  }
  json secure = to_json(CHash({.rfactor = 1}));
  CHECK_FALSE(secure.contains("policy"));
  secure["policy"] = "xxh3";
  secure["tree"].push_back({{"key", base64(crypto::Digest{})}, {"value", to_json(CHash::Node{"a"})}});
  CHECK(message(chash_from_json(secure)) == "tree entry 0: the key is not 16 hexadecimal digits");
}

TEST_CASE("json: what is wrong with a ring is said, and nothing throws") {
  CHash ring({.rfactor = 2, .pfactor = 2});
  CHECK(ring.insert({"foo", {"localhost", 7022}}).value());
  const json good = to_json(ring);
  const auto with = [&good](const char* pointer, json value) {
    json changed = good;
    changed[json::json_pointer(pointer)] = std::move(value);
    return message(chash_from_json(changed));
  };
  CHECK(with("/unknown", 1) == "ok");
  CHECK(message(chash_from_json(json())).starts_with("a ring is {"));
  CHECK(message(chash_from_json(json::array())).starts_with("a ring is {"));
  CHECK(with("/rfactor", -1).starts_with("a ring is {"));
  CHECK(with("/rfactor", 1.5).starts_with("a ring is {"));
  CHECK(with("/pfactor", "2").starts_with("a ring is {"));
  CHECK(with("/tree", 7).starts_with("a ring is {"));
  CHECK(with("/rfactor", 0) == "rfactor must be 1..65535, not 0");
  CHECK(with("/rfactor", 65'536) == "rfactor must be 1..65535, not 65536");
  CHECK(with("/tree/1/key", "abc") == "tree entry 1: the key is not base64 of 32 bytes");
  CHECK(with("/tree/1/key", "AAAA") == "tree entry 1: the key is not base64 of 32 bytes");
  CHECK(with("/tree/1/key", 1) == "tree entry 1: the key is not base64 of 32 bytes");
  CHECK(with("/tree/1/key", good["tree"][0]["key"]).ends_with("occurs twice in the ring"));
  CHECK(with("/tree/0", json()) == "tree entry 0: the key is not base64 of 32 bytes");
  CHECK(with("/tree/0/value", json()).starts_with("tree entry 0: a node is {"));
  CHECK(with("/tree/0/value/port", 65'536).starts_with("tree entry 0: a node is {"));
  CHECK(with("/tree/0/value/port", -1).starts_with("tree entry 0: a node is {"));
  CHECK(with("/tree/0/value/zone", 7) == "tree entry 0: the zone of a node is a text");
  CHECK(with("/tree/0/value/zone", "a\nb").find("without control characters") != std::string::npos);
  CHECK(with("/tree/0/value/id", "").find("must not be empty") != std::string::npos);
  CHECK(with("/tree/0/value/id", "\xff").find("UTF-8") != std::string::npos);
  json keyless = good;
  keyless["tree"][0].erase("value");
  CHECK(message(chash_from_json(keyless)) == "tree entry 0: the value is missing");
}

TEST_CASE("json: a clock is an object by id, and is read back with its times") {
  VectorClock clock("__proto__", 3, wall_from_micros(1'700'000'000'000'000));
  clock.increment("b", wall_from_micros(-5));
  clock.update("b", 18'446'744'073'709'551'615u, wall_from_micros(7));
  CHECK(to_json(clock).dump() ==
        R"({"__proto__":{"count":3,"insert":1700000000000000,"time":1700000000000000},)"
        R"("b":{"count":18446744073709551615,"insert":-5,"time":7}})");
  CHECK(vector_clock_from_json(json::parse(to_json(clock).dump())).value().identical(clock));
  CHECK(to_json(VectorClock()).dump() == "{}");
  CHECK(vector_clock_from_json(json::object()).value().empty());
}

TEST_CASE("json: what is wrong with a clock is said, and nothing throws") {
  CHECK(message(vector_clock_from_json(json::array())) == "a vector clock is an object");
  for (const char* entry :
       {"7", "{}", R"({"count":-1,"insert":0,"time":0})", R"({"count":1.0,"insert":0,"time":0})",
        R"({"count":1,"insert":9223372036854775808,"time":0})", R"({"count":1,"insert":0})"})
    CHECK(
        message(vector_clock_from_json(json{{"a", json::parse(entry)}})).starts_with("clock entry 'a' is {"));
  CHECK(message(vector_clock_from_json(json{{"", {{"count", 1}, {"insert", 0}, {"time", 0}}}})) ==
        "a node id must not be empty");
}
