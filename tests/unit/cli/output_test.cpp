#include <doctest/doctest.h>

#include <array>

#include "cluster/base/rng.hpp"
#include "cluster/base/utf8.hpp"
#include "cluster/wire/json.hpp"
#include "json_line.hpp"
#include "json_value.hpp"
#include "table.hpp"
#include "text.hpp"

namespace cluster::cli {
namespace {

using Json = nlohmann::ordered_json;

TEST_CASE("output: JSON keeps the order of fields and puts a space after each colon and comma") {
  const Json reply{
      {"ok", true},
      {"data", {{"rfactor", 3}, {"tree", Json::array({Json{{"key", "a=,:b"}}, Json::array()})}}}};
  CHECK(to_line(reply) == R"({"ok": true, "data": {"rfactor": 3, "tree": [{"key": "a=,:b"}, []]}})");
  CHECK(to_line(Json::object()) == "{}");
  CHECK(to_line(Json(nullptr)) == "null");
  CHECK(to_line(Json(-2.5)) == "-2.5");
}

TEST_CASE("output: JSON is valid and free of control characters whatever a node sends") {
  CHECK(to_line(Json("a\x1b[2J\n")) == "\"a\\u001b[2J\\n\"");
  CHECK(to_line(Json("del \x7f csi \xc2\x9b")) == "\"del \\u007f csi \\u009b\"");
  CHECK(to_line(Json("bad \xff")) == "\"bad \xef\xbf\xbd\"");
  CHECK(to_line(Json{{"\xc2\x85", 1}}) == "{\"\\u0085\": 1}");
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    std::string text;
    for (auto length = rng.below(40); length > 0; --length) text += static_cast<char>(rng.below(256));
    const auto line = to_line(Json{{text, text}});
    REQUIRE(is_utf8(line));
    CHECK(!has_control_character(line));
    CHECK(Json::accept(line));
    if (is_utf8(text)) CHECK(Json::parse(line) == Json{{text, text}});
  }
}

TEST_CASE("output: JSON becomes a document and the same JSON again, numbers included") {
  for (const char* text : {"null", "true", "-1", "9223372036854775807", "18446744073709551615", "1.5",
                           "\"a\\u0000b\"", "[]", "{}", R"({"z": [1, {"y": null}], "a": "x"})"}) {
    CAPTURE(text);
    CHECK(to_line(wire::to_json(value_from_json(text).value())) == to_line(Json::parse(text)));
  }
  CHECK(*value_from_json("7").value().integer() == 7);
  CHECK(*value_from_json("7.0").value().real() == 7.0);
}

TEST_CASE("output: text that is not JSON, or nests deeper than a message may, is refused") {
  for (const char* text : {"", "abc", "{", "[1,]", "{\"a\" 1}", "1 2"}) {
    CAPTURE(text);
    CHECK(!value_from_json(text));
  }
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(value_from_json(nested(wire::kDepthMax)));
  CHECK(!value_from_json(nested(wire::kDepthMax + 1)));
  CHECK(!value_from_json(nested(100'000)));
  CHECK(value_from_json(R"("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[")"));
}

TEST_CASE("output: printable text steers no terminal, and clean text stays as it is") {
  CHECK(printable("foo_1 äöü 日本 €") == "foo_1 äöü 日本 €");
  CHECK(printable("a\x1b[31m\nb\tc\x7f") == "a\\x1b[31m\\nb\\tc\\x7f");
  CHECK(printable("\xc2\x9b") == "\\x9b");
  CHECK(printable("\xe2\x80\xae") == "\\u{202e}");
  CHECK(printable("\xff\xc3") == "\\xff\\xc3");
  CHECK(printable(std::string_view("\0", 1)) == "\\x00");
  CHECK(columns("äb日") == 3);
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    std::string text;
    for (auto length = rng.below(40); length > 0; --length) text += static_cast<char>(rng.below(256));
    const auto shown = printable(text);
    REQUIRE(is_utf8(shown));
    CHECK(!has_control_character(shown));
    CHECK(printable(shown) == shown);
  }
}

TEST_CASE("output: a list of objects becomes a table with one column a field") {
  const auto data = Json::parse(R"([{"id": "foo", "host": "localhost", "port": 7022},
                                    {"id": "a longer id", "host": "h", "extra": null}])");
  CHECK(to_table(data) ==
        "ID           HOST       PORT  EXTRA\n"
        "foo          localhost  7022  \n"
        "a longer id  h                -\n");
}

TEST_CASE("output: an object becomes lines and tables in the order of its fields, nested fields columns") {
  const auto data = Json::parse(R"({"rfactor": 3, "pfactor": 2,
                                    "tree": [{"key": "k1", "value": {"id": "foo", "port": 1}}], "max": 1.5})");
  CHECK(to_table(data) ==
        "rfactor  3\n"
        "pfactor  2\n"
        "\n"
        "tree:\n"
        "  KEY  ID   PORT\n"
        "  k1   foo  1\n"
        "\n"
        "max  1.5\n");
  CHECK(to_table(Json::parse(R"({"list": [{"a": 1}]})")) == "list:\n  A\n  1\n");
}

TEST_CASE("output: an object in an object becomes a block of its own, and no JSON is left in a table") {
  const auto status = Json::parse(R"({"id": "foo", "network": {"bytes_in": 1, "bytes_out": 22},
                                      "none": {}, "late": ["a", "b"], "gossip": {"deep": {"x": 1}, "l": []}})");
  CHECK(to_table(status) ==
        "id  foo\n"
        "\n"
        "network:\n"
        "  bytes_in   1\n"
        "  bytes_out  22\n"
        "\n"
        "none  -\n"
        "late  a, b\n"
        "\n"
        "gossip:\n"
        "  deep  x: 1\n"
        "  l     -\n");
  const auto events = Json::parse(R"([{"event": "add", "fields": [{"name": "n", "type": "int64"},
                                       {"name": "at", "type": "point", "optional": true}]}])");
  CHECK(to_table(events) ==
        "EVENT  FIELDS\n"
        "add    n: int64, (name: at, type: point, optional: true)\n");
}

TEST_CASE("output: nested fields of the same name keep both values") {
  CHECK(to_table(Json::parse(R"([{"id": "a", "value": {"id": "b"}}])")) == "ID  VALUE.ID\na   b\n");
}

TEST_CASE("output: plain data is one line, and nothing is said to be nothing") {
  CHECK(to_table(Json("pong")) == "pong\n");
  CHECK(to_table(Json(true)) == "true\n");
  CHECK(to_table(Json("a\x1b")) == "a\\x1b\n");
  CHECK(to_table(Json::array()) == "(none)\n");
  CHECK(to_table(Json::object()) == "(none)\n");
  CHECK(to_table(Json::array({"a", 2})) == "a\n2\n");
  CHECK(to_table(Json(nullptr)) == "-\n");
}

}  // namespace
}  // namespace cluster::cli
