#include <doctest/doctest.h>

#include "cluster/gateway/http.hpp"

namespace cluster::gateway {
namespace {

using Segments = std::vector<std::string>;

TEST_CASE("target: a path is taken apart before it is decoded, so an encoded slash is part of a name") {
  const auto target = parse_target("/v1/files/a%2Fb%20c").value();
  CHECK(target.path == Segments{"v1", "files", "a/b c"});
  CHECK(parse_target("/").value().path.empty());
  CHECK(parse_target("/v1/").value().path == Segments{"v1", ""});
  CHECK(parse_target("//v1").value().path == Segments{"", "v1"});
  CHECK(parse_target("/counter@bar/%E2%82%AC").value().path == Segments{"counter@bar", "\xE2\x82\xAC"});
  CHECK(parse_target("/a+b").value().path == Segments{"a+b"});
}

TEST_CASE("target: the query is a list of decoded pairs in which plus is a space") {
  const auto target = parse_target("/x?a=1&b=%26%3D&&c&d=x+y&a=2&e==").value();
  CHECK(target.query == Pairs{{"a", "1"}, {"b", "&="}, {"c", ""}, {"d", "x y"}, {"a", "2"}, {"e", "="}});
  CHECK(parse_target("/x?").value().query.empty());
  Request request{.target = target};
  CHECK(*request.parameter("a") == "1");
  CHECK(request.parameter("f") == nullptr);
}

TEST_CASE("target: what could mean one thing here and another elsewhere is refused") {
  for (const char* text :
       {"",          "x",       "*",          "http://host/",  "/a b",    "/a\tb",   "/a\x7f",
        "/\xC3\xA9", "/a#b",                                                                      // form
        "/%",        "/%4",     "/%zz",       "/%4g",          "/?%",     "/?a=%f",               // encoding
        "/%00",      "/a%0a",   "/%7f",       "/%c2%80",       "/?a=%00",                         // controls
        "/%ff",      "/%c0%af", "/%ed%a0%80", "/%f5%80%80%80", "/?%80",                           // UTF-8
        "/.",        "/..",     "/../etc",    "/v1/../v1",     "/%2e%2e", "/.%2e/x", "/v1/."}) {  // climbing
    CAPTURE(text);
    const auto target = parse_target(text);
    REQUIRE(!target);
    CHECK(target.error().code() == Errc::invalid_argument);
  }
  CHECK(parse_target("/...").value().path == Segments{"..."});
  CHECK(parse_target("/..%2f").value().path == Segments{"../"});  // one name, which no path is made of
}

TEST_CASE("target: 64 parameters are taken, one more is too many") {
  std::string text = "/x?";
  for (int i = 0; i < 64; ++i) text += "a=1&";
  CHECK(parse_target(text).has_value());
  CHECK(!parse_target(text + "a=1"));
}

}  // namespace
}  // namespace cluster::gateway
