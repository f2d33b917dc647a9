#include "cluster/wire/value.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "cluster/wire/json.hpp"
#include "samples.hpp"
#include "unhex.hpp"

namespace {
using namespace cluster;
using namespace cluster::wire;
using Json = nlohmann::ordered_json;

std::string json_text(const Value& value) { return to_json(value).dump(); }
}  // namespace

TEST_CASE("value: an accessor answers for its own kind alone") {
  const auto value =
      Value::map({{"flag", true}, {"n", -3}, {"big", ~0ull}, {"x", 0.5}, {"s", "text"}, {"b", Bytes{1}}});
  CHECK(value.kind() == Kind::map);
  CHECK(*value.find("flag")->boolean());
  CHECK(*value.find("n")->integer() == -3);
  CHECK(*value.find("big")->big_integer() == ~0ull);
  CHECK(value.find("big")->integer() == nullptr);
  CHECK(*value.find("x")->real() == 0.5);
  CHECK(*value.find("s")->text() == "text");
  CHECK(*value.find("b")->bytes() == Bytes{1});
  CHECK(value.find("n")->text() == nullptr);
  CHECK(value.find("absent") == nullptr);
  CHECK(Value(5).find("n") == nullptr);
  CHECK(Value().is_nil());
  CHECK(Value(nullptr).is_nil());
}

TEST_CASE("value: an integer is the same whatever type it came from") {
  CHECK(Value(std::uint8_t{5}) == Value(std::int64_t{5}));
  CHECK(Value(std::uint64_t{5}) == Value(5));
  CHECK(Value(9223372036854775807ull).integer() != nullptr);
  CHECK(Value(9223372036854775808ull).big_integer() != nullptr);
  CHECK_FALSE(Value(5) == Value(5.0));
  CHECK_FALSE(Value(true) == Value(1));
}

TEST_CASE("value: set replaces or appends, so maps keep the order in which keys came") {
  auto value = Value::map({{"b", 1}, {"a", 2}, {"b", 3}});
  value.set("c", Value::array({1, "two"}));
  CHECK(json_text(value) == R"({"b":3,"a":2,"c":[1,"two"]})");
  Value list;
  list.push(1).push(2);
  CHECK(list == Value::array({1, 2}));
}

TEST_CASE("value: random documents survive the wire") {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto before = samples::random_value(rng);
    const auto bytes = encode(before);
    const auto after = decode<Value>(bytes);
    REQUIRE(after);
    CHECK(*after == before);
    CHECK(encode(*after) == bytes);
  }
}

TEST_CASE("value: what it cannot hold is refused: other keys than text, keys twice, extensions") {
  CHECK(decode<Value>(unhex("810101")).error().message() ==
        "expected a text key, found an integer at byte 1");
  CHECK(decode<Value>(unhex("82a16101a16102")).error().message() == "a key appears twice");
  CHECK(decode<Value>(unhex("81a16182a16101a16102")).error().message() == "field 'a': a key appears twice");
  CHECK(decode<Value>(unhex("d40101")).error().message() == "expected a value, found an extension at byte 0");
}

TEST_CASE("value: it becomes any message, and any message becomes one") {
  const auto point = Value::map({{"x", 3}, {"y", 4}}).to<samples::Point>();
  REQUIRE(point);
  CHECK(*point == samples::Point{3, 4});
  CHECK(Value::of(samples::Point{3, 0.5}) == Value::map({{"x", 3}, {"y", 0.5}}));
  CHECK(Value::map({{"x", "three"}}).to<samples::Point>().error().message() ==
        "field 'x': expected an integer, found a string at byte 3");
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto everything = samples::random_everything(rng);
    CHECK(Value::of(everything).to<samples::Everything>().value() == everything);
  }
}

TEST_CASE("json: what JSON has is itself, the rest has a tag") {
  struct Row {
    Value value;
    const char* json;
  };
  const std::vector<Row> rows{
      {nullptr, "null"},
      {true, "true"},
      {-5, "-5"},
      {~0ull, "18446744073709551615"},
      {1.0, "1.0"},
      {"t\u00e9xt\n", R"("téxt\n")"},
      {Value::array({1, nullptr}), "[1,null]"},
      {Value::map({{"z", 1}, {"a", 2}}), R"({"z":1,"a":2})"},
      {Value::map({}), "{}"},
      {Bytes{1, 2, 3}, R"({"$bytes":"AQID"})"},
      {std::string("\xff"), R"({"$text":"/w=="})"},
      {HUGE_VAL, R"({"$float":"inf"})"},
      {-HUGE_VAL, R"({"$float":"-inf"})"},
      {Value::map({{"$bytes", "AQID"}}), R"({"$$bytes":"AQID"})"},
      {Value::map({{"$$bytes", 1}}), R"({"$$$bytes":1})"},
      {Value::map({{"$ref", 1}}), R"({"$ref":1})"},
      {Value::map({{"$bytes", 1}, {"b", 2}}), R"({"$$bytes":1,"b":2})"},
      {Value::map({{"\xff", 1}}), R"({"$text:/w==":1})"},
      {Value::map({{"$text:x", 1}}), R"({"$$text:x":1})"},
      {Value::map({{"__proto__", 1}}), R"({"__proto__":1})"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.json);
    CHECK(json_text(row.value) == row.json);
    const auto back = from_json(Json::parse(row.json));
    REQUIRE(back);
    CHECK(*back == row.value);
  }
  CHECK(json_text(std::nan("")) == R"({"$float":"nan"})");
  CHECK(std::isnan(*from_json(Json::parse(R"({"$float":"nan"})")).value().real()));
}

TEST_CASE("json: random documents survive it, and it is always printable") {
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto value = samples::random_value(rng);
    const auto back = from_json(Json::parse(json_text(value)));
    REQUIRE(back);
    CHECK(*back == value);
  }
}

TEST_CASE("json: wrong tags and too much nesting are refused in words") {
  for (const auto* text : {R"({"$bytes":5})", R"({"$bytes":"*"})", R"({"$text":null})", R"({"$float":"big"})",
                           R"({"$bytes":"AQID","x":1})", R"({"$text:YQ==":1})", R"({"$text:*":1})"}) {
    CAPTURE(text);
    const auto value = from_json(Json::parse(text));
    REQUIRE_FALSE(value);
    CHECK(value.error().code() == Errc::invalid_argument);
  }
  const auto nested = [](std::size_t depth) {
    return Json::parse(std::string(depth, '[') + std::string(depth, ']'));
  };
  CHECK(from_json(nested(kDepthMax)));
  CHECK_FALSE(from_json(nested(kDepthMax + 1)));
}
