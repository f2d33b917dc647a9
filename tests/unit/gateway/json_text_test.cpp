#include "json_text.hpp"

#include <doctest/doctest.h>

#include "cluster/base/utf8.hpp"
#include "cluster/wire/json.hpp"

namespace cluster::gateway {
namespace {

using wire::Value;

TEST_CASE("json: what the parser builds is what the document would have become") {
  for (const char* text : {"null",
                           "true",
                           "0",
                           "-1",
                           "18446744073709551615",
                           "1.5",
                           "1e3",
                           "\"\"",
                           "\"a\\u0000\\u20ac\"",
                           "[]",
                           "{}",
                           "[1,[2,[]],{}]",
                           R"({"b":1,"a":{"x":[null]},"c":"d"})",
                           R"({"$bytes":"AAH/"})",
                           R"({"$float":"-inf"})",
                           R"({"$text":"/w=="})",
                           R"({"$$bytes":"AAH/"})",
                           R"({"$text:/w==":1})",
                           R"({"$other":1})",
                           R"([{"$bytes":""},{"a":{"$float":"inf"}}])",
                           " [ 1 , 2 ] "}) {
    CAPTURE(text);
    const auto value = value_from_json(text).value();
    CHECK(value == wire::from_json(nlohmann::ordered_json::parse(text)).value());
    CHECK(value_from_json(json_text(value)).value() == value);
  }
}

TEST_CASE("json: members keep their order") {
  CHECK(json_text(value_from_json(R"({"z":1,"a":2,"m":3})").value()) == R"({"z":1,"a":2,"m":3})");
}

TEST_CASE("json: what is no JSON, or no message, is refused with a reason") {
  struct Row {
    std::string text;
    const char* why;
  };
  for (const auto& [text, why] :
       {Row{"", "not JSON"}, Row{"{", "not JSON"}, Row{"[1,]", "not JSON"}, Row{"1 2", "not JSON"},
        Row{"{\"a\":NaN}", "not JSON"}, Row{"'a'", "not JSON"}, Row{"\"\xff\"", "not JSON"},
        Row{"\"\xc0\xaf\"", "not JSON"}, Row{std::string("1\0", 2), "NUL"},
        Row{std::string("\"\0\"", 3), "NUL"}, Row{"1e999", "overflow"}, Row{R"({"a":1,"a":2})", "twice"},
        Row{R"({"b":{"a":1,"c":0,"a":2}})", "twice"}, Row{R"({"$bytes":"!"})", "base64"},
        Row{R"({"$bytes":7})", "base64"}, Row{R"({"$float":"1"})", "$float"},
        Row{R"({"$bytes":"","a":1})", "alone"}, Row{R"({"$bytes":"","$bytes":""})", "alone"}}) {
    CAPTURE(text);
    const auto value = value_from_json(text);
    REQUIRE(!value);
    CHECK(value.error().code() == Errc::invalid_argument);
    CAPTURE(value.error().message());
    CHECK(value.error().message().find(why) != std::string::npos);
    CHECK(is_utf8(value.error().message()));
  }
}

TEST_CASE("json: a reason does not repeat what was read") {
  const std::string long_text(1'000'000, '1');
  for (const auto& text : {long_text, "\"" + long_text, "[" + long_text + "x", "tru" + long_text}) {
    const auto value = value_from_json(text);
    if (!value) CHECK(value.error().message().size() < 300);
  }
}

TEST_CASE("json: nesting has a limit, and so has the number of values") {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(value_from_json(nested(wire::kDepthMax)).has_value());
  CHECK(!value_from_json(nested(wire::kDepthMax + 1)));
  CHECK(!value_from_json(std::string(1'000'000, '[')));

  std::string many = "[0";
  while (many.size() < 2 * kJsonValuesMax - 2) many += ",0";
  CHECK(value_from_json(many + "]").has_value());
  const auto too_many = value_from_json(many + ",0]");
  REQUIRE(!too_many);
  CHECK(too_many.error().code() == Errc::too_large);
}

}  // namespace
}  // namespace cluster::gateway
