#include <doctest/doctest.h>

#include <array>
#include <string>

#include "cluster/base/bytes.hpp"
#include "cluster/base/endpoint.hpp"
#include "cluster/base/log.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/base/rng.hpp"
#include "cluster/base/time.hpp"
#include "cluster/base/utf8.hpp"

using namespace cluster;

TEST_CASE("error: each code has a name of its own, and the name leads back to the code") {
  for (int i = 1; i <= static_cast<int>(kErrcLast); ++i) {
    const auto code = static_cast<Errc>(i);
    CAPTURE(i);
    CHECK(name(code) != "unknown");
    CHECK(errc_from_name(name(code)) == code);
  }
  CHECK(name(static_cast<Errc>(60'000)) == "unknown");
}

TEST_CASE("error: what a code says of execution") {
  CHECK(Error(Errc::no_server, "").executed() == Executed::no);
  CHECK(Error(Errc::timeout, "").executed() == Executed::unknown);
  CHECK(Error(Errc::timeout, "queued", Executed::no).executed() == Executed::no);
  CHECK(Error(Errc::handler_failed, "").executed() == Executed::yes);
}

TEST_CASE("node id: 1..255 bytes of printable UTF-8, on both sides of each limit") {
  CHECK(NodeId::parse("foo").has_value());
  CHECK(NodeId::parse("__proto__").has_value());
  CHECK(NodeId::parse("\xc3\xa4").has_value());
  CHECK(NodeId::parse(std::string(255, 'x')).has_value());
  CHECK_FALSE(NodeId::parse(std::string(256, 'x')).has_value());
  CHECK_FALSE(NodeId::parse("").has_value());
  CHECK_FALSE(NodeId::parse("a\nb").has_value());
  CHECK_FALSE(NodeId::parse("\xc2\x85").has_value());
  CHECK_FALSE(NodeId::parse("\xff").has_value());
}

TEST_CASE("utf8: overlong forms, surrogates, cut sequences and values above U+10FFFF are refused") {
  for (const char* good :
       {"", "abc", "\xc2\x80", "\xe0\xa0\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    CHECK(is_utf8(good));
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"})
    CHECK_FALSE(is_utf8(bad));
}

TEST_CASE("endpoint: the three spellings parse, print back, and everything else is refused") {
  CHECK(Endpoint::parse("localhost:7022").value() == Endpoint{"localhost", 7022});
  CHECK(Endpoint::parse("[::1]:1").value() == Endpoint{"::1", 1});
  CHECK(Endpoint::parse("[::1]:1").value().to_string() == "[::1]:1");
  CHECK(Endpoint::parse("127.0.0.1:65535").value().to_string() == "127.0.0.1:65535");
  for (const char* bad :
       {"", "localhost", ":1", "a:", "a:0", "a:65536", "a:-1", "a:1x", "::1:7022", "[::1]", "a b:1"})
    CHECK_FALSE(Endpoint::parse(bad).has_value());
}

TEST_CASE("base64: RFC 4648 section 10 vectors, both ways; deviations are refused") {
  const std::array<std::array<const char*, 2>, 7> rows{{{"", ""},
                                                        {"f", "Zg=="},
                                                        {"fo", "Zm8="},
                                                        {"foo", "Zm9v"},
                                                        {"foob", "Zm9vYg=="},
                                                        {"fooba", "Zm9vYmE="},
                                                        {"foobar", "Zm9vYmFy"}}};
  for (const auto& [plain, encoded] : rows) {
    CHECK(base64(as_bytes(plain)) == encoded);
    const auto back = from_base64(encoded);
    REQUIRE(back.has_value());
    CHECK(as_text(*back) == plain);
  }
  for (const char* bad : {"Zg=", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Z!=="})
    CHECK_FALSE(from_base64(bad));
  CHECK(hex(as_bytes("\x01\xff")) == "01ff");
  CHECK_FALSE(from_hex("0g").has_value());
}

TEST_CASE("bytes: big-endian stores load back") {
  std::array<std::uint8_t, 8> buffer{};
  store_be<std::uint32_t>(buffer.data(), 0x01020304u);
  CHECK(buffer[0] == 1);
  CHECK(load_be<std::uint32_t>(buffer.data()) == 0x01020304u);
  store_be<std::uint64_t>(buffer.data(), 0xfedcba9876543210u);
  CHECK(load_be<std::uint64_t>(buffer.data()) == 0xfedcba9876543210u);
}

TEST_CASE("rng: a seed gives the same sequence, and bounds hold") {
  Rng a(42);
  Rng b(42);
  for (int i = 0; i < 1000; ++i) CHECK(a.next() == b.next());
  for (int i = 0; i < 1000; ++i) {
    CHECK(a.below(7) < 7);
    const auto drawn = a.between(-3, 3);
    CHECK((drawn >= -3 && drawn <= 3));
    const double u = a.uniform();
    CHECK((u >= 0 && u < 1));
  }
  CHECK(a.below(0) == 0);
}

TEST_CASE("time: adding never overflows past never") {
  CHECK(saturated_add(Instant{} + 1s, Duration::max()) == kNever);
  CHECK(saturated_add(Instant{}, 5s) == Instant{} + 5s);
}

TEST_CASE("log: only lines at or above the level reach the sink") {
  std::string seen;
  log::set_sink([&](log::Level, std::string_view, std::string_view text) { seen += text; });
  log::set_level(log::Level::info);
  log::debug("test", "no");
  log::info("test", "yes ", 1);
  log::set_level(log::Level::warn);
  log::set_sink({});
  CHECK(seen == "yes 1");
}
