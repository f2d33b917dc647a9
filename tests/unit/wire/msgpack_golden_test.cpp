#include <doctest/doctest.h>

#include <cmath>

#include "cluster/wire/value.hpp"
#include "unhex.hpp"

// Bytes written by hand from the format table of the MessagePack specification: tag byte, then big-endian
// length or number, then content. Nothing here came out of our writer.

namespace {
using namespace cluster;
using namespace cluster::wire;

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}
Value array_of(std::size_t count) {
  auto value = Value::array({});
  for (std::size_t i = 0; i < count; ++i) value.push(1);
  return value;
}
/// Keys "00000", "00001", ...: five digits each.
std::string key_of(std::size_t i) {
  auto digits = std::to_string(i);
  return std::string(5 - digits.size(), '0') + digits;
}
Value map_of(std::size_t count) {
  Value::Map members;
  for (std::size_t i = 0; i < count; ++i) members.emplace_back(key_of(i), nullptr);
  return members;
}
std::string map_hex(std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += "a5" + hex(as_bytes(key_of(i))) + "c0";
  return out;
}

struct Row {
  std::string what;
  Value value;
  std::string wire;
};

}  // namespace

TEST_CASE(
    "msgpack: each format is written in its shortest form, as the specification's table has it, and read "
    "back") {
  const std::vector<Row> rows{
      {"nil", nullptr, "c0"},
      {"false", false, "c2"},
      {"true", true, "c3"},
      {"positive fixint, least", 0, "00"},
      {"positive fixint, greatest", 127, "7f"},
      {"uint 8, least", 128, "cc80"},
      {"uint 8, greatest", 255, "ccff"},
      {"uint 16, least", 256, "cd0100"},
      {"uint 16, greatest", 65535, "cdffff"},
      {"uint 32, least", 65536, "ce00010000"},
      {"uint 32, greatest", 4294967295u, "ceffffffff"},
      {"uint 64, least", std::int64_t{4294967296}, "cf0000000100000000"},
      {"uint 64, beyond int64", 9223372036854775808ull, "cf8000000000000000"},
      {"uint 64, greatest", 18446744073709551615ull, "cfffffffffffffffff"},
      {"negative fixint, greatest", -1, "ff"},
      {"negative fixint, least", -32, "e0"},
      {"int 8, greatest", -33, "d0df"},
      {"int 8, least", -128, "d080"},
      {"int 16, greatest", -129, "d1ff7f"},
      {"int 16, least", -32768, "d18000"},
      {"int 32, greatest", -32769, "d2ffff7fff"},
      {"int 32, least", std::int64_t{-2147483648}, "d280000000"},
      {"int 64, greatest", std::int64_t{-2147483649}, "d3ffffffff7fffffff"},
      {"int 64, least", std::numeric_limits<std::int64_t>::min(), "d38000000000000000"},
      {"float 64", 1.5, "cb3ff8000000000000"},
      {"float 64, negative zero", -0.0, "cb8000000000000000"},
      {"float 64, infinity", HUGE_VAL, "cb7ff0000000000000"},
      {"fixstr, empty", "", "a0"},
      {"fixstr", "abc", "a3616263"},
      {"fixstr, longest", std::string(31, 'x'), "bf" + repeated("78", 31)},
      {"str 8, shortest", std::string(32, 'x'), "d920" + repeated("78", 32)},
      {"str 8, longest", std::string(255, 'x'), "d9ff" + repeated("78", 255)},
      {"str 16, shortest", std::string(256, 'x'), "da0100" + repeated("78", 256)},
      {"str 16, longest", std::string(65535, 'x'), "daffff" + repeated("78", 65535)},
      {"str 32, shortest", std::string(65536, 'x'), "db00010000" + repeated("78", 65536)},
      {"bin 8, empty", Bytes{}, "c400"},
      {"bin 8, longest", Bytes(255, 7), "c4ff" + repeated("07", 255)},
      {"bin 16, shortest", Bytes(256, 7), "c50100" + repeated("07", 256)},
      {"bin 32, shortest", Bytes(65536, 7), "c600010000" + repeated("07", 65536)},
      {"fixarray, empty", array_of(0), "90"},
      {"fixarray, longest", array_of(15), "9f" + repeated("01", 15)},
      {"array 16, shortest", array_of(16), "dc0010" + repeated("01", 16)},
      {"array 32, shortest", array_of(65536), "dd00010000" + repeated("01", 65536)},
      {"fixmap, empty", map_of(0), "80"},
      {"fixmap, longest", map_of(15), "8f" + map_hex(15)},
      {"map 16, shortest", map_of(16), "de0010" + map_hex(16)},
      {"map 32, shortest", map_of(65536), "df00010000" + map_hex(65536)},
      {"nested", Value::map({{"compact", true}, {"schema", 0}}), "82a7636f6d70616374c3a6736368656d6100"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    CHECK(hex(encode(row.value)) == row.wire);
    const auto read = decode<Value>(unhex(row.wire));
    REQUIRE(read);
    CHECK(*read == row.value);
  }
}

TEST_CASE("msgpack: longer forms than needed are read as the same values") {
  const std::vector<Row> rows{
      {"uint 8", 5, "cc05"},
      {"uint 16", 5, "cd0005"},
      {"uint 32", 5, "ce00000005"},
      {"uint 64", 5, "cf0000000000000005"},
      {"int 8", 5, "d005"},
      {"int 16", -5, "d1fffb"},
      {"int 32", -5, "d2fffffffb"},
      {"int 64", 5, "d30000000000000005"},
      {"float 32", 1.5, "ca3fc00000"},
      {"str 8", "a", "d90161"},
      {"str 16", "a", "da000161"},
      {"str 32", "a", "db0000000161"},
      {"bin 16", Bytes{1}, "c5000101"},
      {"bin 32", Bytes{1}, "c60000000101"},
      {"array 16", array_of(1), "dc000101"},
      {"array 32", array_of(1), "dd0000000101"},
      {"map 16", map_of(1), "de0001" + map_hex(1)},
      {"map 32", map_of(1), "df00000001" + map_hex(1)},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    const auto read = decode<Value>(unhex(row.wire));
    REQUIRE(read);
    CHECK(*read == row.value);
  }
}

TEST_CASE("msgpack: extensions are passed over where nobody reads them, and refused as a value") {
  // fixext 1, 2, 4, 8, 16; ext 8, 16, 32: tag, length, type, content. The last is a timestamp 32.
  for (const std::string wire : {"d40507", "d5050707", "d6ff00000000",
                                 "d705"
                                 "0707070707070707",
                                 "d805"
                                 "07070707070707070707070707070707",
                                 "c7030507"
                                 "0707",
                                 "c800010507", "c9000000010507"}) {
    CAPTURE(wire);
    const auto bytes = unhex(wire);
    Reader reader(bytes);
    CHECK(reader.skip());
    CHECK(reader.left() == 0);
    CHECK_FALSE(decode<Value>(bytes));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      Reader shorter(ByteView(bytes).first(size));
      CHECK_FALSE(shorter.skip());
    }
  }
}

TEST_CASE("msgpack: the tag that the specification leaves unused is an error") {
  CHECK_FALSE(decode<Value>(unhex("c1")));
  const auto bytes = unhex("c1");
  Reader reader(bytes);
  CHECK_FALSE(reader.skip());
  CHECK(reader.error().message() == "expected a value, found the unused tag c1 at byte 0");
}
