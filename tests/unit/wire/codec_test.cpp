#include "cluster/wire/codec.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "samples.hpp"
#include "unhex.hpp"

namespace {
using namespace cluster;
using namespace cluster::wire;
using samples::Everything;
using samples::Nothing;
using samples::Pair;
using samples::Point;

struct Deposit {
  std::string account = "nobody";
  std::int64_t cents = 7;
  Bytes note;
  friend bool operator==(const Deposit&, const Deposit&) = default;
};
enum class Strict : std::uint8_t { off = 0, on = 1 };
constexpr bool is_known(Strict value) { return value == Strict::off || value == Strict::on; }

/// A class codes itself through a specialisation.
class Celsius {
 public:
  Celsius() = default;
  explicit Celsius(double degrees) : degrees_(degrees) {}
  double degrees() const { return degrees_; }

 private:
  double degrees_ = 0;
};
struct Weather {
  Celsius now;
};
/// A struct whose values are checked behind its usual decoding.
struct Range {
  std::int32_t low = 0;
  std::int32_t high = 0;
};

template <class T>
std::string error_of(std::string_view wire) {
  const auto result = decode<T>(unhex(wire));
  return result ? "no error" : result.error().message();
}
}  // namespace

template <>
struct cluster::wire::Codec<Celsius> {
  static void encode(Writer& to, const Celsius& value) { to.float64(value.degrees()); }
  static bool decode(Reader& from, Celsius& value) {
    double degrees = 0;
    if (!from.real(degrees)) return false;
    if (degrees < -273.15) return from.fail("colder than can be");
    value = Celsius(degrees);
    return true;
  }
};
template <>
struct cluster::wire::Codec<Range> : StructCodec<Range> {
  static bool decode(Reader& from, Range& value) {
    return StructCodec<Range>::decode(from, value) &&
           (value.low <= value.high || from.fail("low is over high"));
  }
};

TEST_CASE("codec: a struct is a map keyed by field name, in the order of declaration") {
  // map of 3: "account" "ada", "cents" 500, "note" bin of 2
  CHECK(hex(encode(Deposit{"ada", 500, {1, 2}})) ==
        "83a76163636f756e74a3616461a563656e7473cd01f4a46e6f7465c4020102");
  CHECK(hex(encode(Nothing{})) == "80");
  CHECK(hex(encode(Pair{"l", 1})) == "92a16c01");  // states wire_positional
}

TEST_CASE(
    "codec: maps and positional arrays are both read; missing fields keep their defaults, extra ones go by") {
  struct Row {
    std::string what;
    const char* wire;
    Deposit expected;
  };
  const std::array rows{
      Row{"map in another order", "82a563656e747309a76163636f756e74a162", {"b", 9, {}}},
      Row{"empty map", "80", {}},
      Row{"only the last field", "81a46e6f7465c40105", {"nobody", 7, {5}}},
      Row{"unknown fields of every shape",
          "84a17882a1619301a27878c3a162ffa17991c0a563656e747308a17ad40101",
          {"nobody", 8, {}}},
      Row{"unknown field between known ones", "83a76163636f756e74a162a17801a563656e747309", {"b", 9, {}}},
      Row{"array", "93a16209c40105", {"b", 9, {5}}},
      Row{"shorter array", "91a162", {"b", 7, {}}},
      Row{"empty array", "90", {}},
      Row{"longer array", "95a16209c4010501c0", {"b", 9, {5}}},
      Row{"key in a longer string format", "81d90563656e747309", {"nobody", 9, {}}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    const auto read = decode<Deposit>(unhex(row.wire));
    if (!read) FAIL(row.what << ": " << read.error().message());
    CHECK(*read == row.expected);
  }
}

TEST_CASE("codec: a message without fields may be called with nil, an empty map or an empty array") {
  for (const auto* wire : {"c0", "80", "90", "81a16101"}) CHECK(decode<Nothing>(unhex(wire)));
  CHECK_FALSE(decode<Nothing>(unhex("01")));
  CHECK_FALSE(decode<Deposit>(unhex("c0")));
}

TEST_CASE("codec: whatever is written is read back, for every type and many random values") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto before = samples::random_everything(rng);
    const auto bytes = encode(before);
    const auto after = decode<Everything>(bytes);
    if (!after) FAIL(after.error().message());
    CHECK(*after == before);
    CHECK(after->clock.identical(before.clock));
    CHECK(encode(*after) == bytes);
  }
}

TEST_CASE("codec: encode_to appends, whatever room the target has") {
  for (const auto reserved : std::array<std::size_t, 5>{0, 3, 17, 200, 100'000}) {
    CAPTURE(reserved);
    Bytes out{9, 9};
    out.reserve(reserved);
    std::string expected = "0909";
    for (std::size_t i = 0; i < 40; ++i) {
      const Deposit deposit{std::string(i, 'a'), static_cast<std::int64_t>(i), Bytes(i * 50, 1)};
      encode_to(out, deposit);
      expected += hex(encode(deposit));
    }
    CHECK(hex(out) == expected);
  }
}

TEST_CASE("codec: decode_prefix takes one value and leaves the rest; decode refuses a rest") {
  auto bytes = encode(Point{1, 2});
  encode_to(bytes, Point{3, 4});
  ByteView view = bytes;
  CHECK(decode_prefix<Point>(view).value() == Point{1, 2});
  CHECK(decode_prefix<Point>(view).value() == Point{3, 4});
  CHECK(view.empty());
  CHECK_FALSE(decode_prefix<Point>(view));
  view = ByteView(bytes).first(5);
  CHECK_FALSE(decode_prefix<Point>(view));
  CHECK(view.size() == 5);
  CHECK(decode<Point>(bytes).error().message() ==
        std::to_string(bytes.size() / 2) + " bytes after the value");
}

TEST_CASE("codec: integers are read from any integer format and refused at each limit of the field's type") {
  CHECK(decode<std::int8_t>(unhex("d07f")).value() == 127);
  CHECK(decode<std::uint8_t>(unhex("cf00000000000000ff")).value() == 255);
  CHECK(decode<std::uint64_t>(unhex("cfffffffffffffffff")).value() == 18446744073709551615ull);
  CHECK(decode<std::int64_t>(unhex("d38000000000000000")).value() ==
        std::numeric_limits<std::int64_t>::min());
  CHECK(error_of<std::int8_t>("cc80") == "128 does not fit int8");
  CHECK(error_of<std::int8_t>("d1ff7f") == "-129 does not fit int8");
  CHECK(error_of<std::uint8_t>("cd0100") == "256 does not fit uint8");
  CHECK(error_of<std::uint8_t>("ff") == "-1 does not fit uint8");
  CHECK(error_of<std::uint64_t>("ff") == "-1 does not fit uint64");
  CHECK(error_of<std::int64_t>("cf8000000000000000") == "9223372036854775808 does not fit int64");
  CHECK(error_of<std::int32_t>("cb3ff0000000000000") == "expected an integer, found a float at byte 0");
}

TEST_CASE("codec: floats are read from both widths and from integers that they hold exactly") {
  CHECK(decode<double>(unhex("ca3fc00000")).value() == 1.5);
  CHECK(decode<double>(unhex("03")).value() == 3.0);
  CHECK(decode<double>(unhex("d0f6")).value() == -10.0);
  CHECK(decode<double>(unhex("cf0020000000000000")).value() == 9007199254740992.0);  // 2^53
  CHECK_FALSE(decode<double>(unhex("cf0020000000000001")));
  CHECK(decode<double>(unhex("d3ffe0000000000000")).value() == -9007199254740992.0);
  CHECK_FALSE(decode<double>(unhex("d3ffdfffffffffffff")));
  CHECK_FALSE(decode<double>(unhex("cfffffffffffffffff")));
  CHECK(decode<float>(unhex("cb3ff8000000000000")).value() == 1.5f);
  CHECK(std::isinf(decode<float>(unhex("cb7ff0000000000000")).value()));
  CHECK(std::isnan(decode<double>(unhex("cb7ff8000000000000")).value()));
  CHECK(error_of<float>("cb7fe0000000000000") == "the number does not fit float32");
  CHECK_FALSE(decode<double>(unhex("c3")));
}

TEST_CASE("codec: text and bytes are told apart when written and taken for each other when read") {
  CHECK(hex(encode(std::string("a"))) == "a161");
  CHECK(hex(encode(Bytes{0x61})) == "c40161");
  CHECK(decode<std::string>(unhex("c40161")).value() == "a");
  CHECK(decode<Bytes>(unhex("a161")).value() == Bytes{0x61});
  CHECK_FALSE(decode<std::string>(unhex("01")));
}

TEST_CASE("codec: an error names the field, what was expected, what was found, and where") {
  CHECK(error_of<Deposit>("82a76163636f756e74a161a563656e7473a162") ==
        "field 'cents': expected an integer, found a string at byte 17");
  CHECK(error_of<Deposit>("05") == "expected a map, found an integer at byte 0");
  CHECK(error_of<Deposit>("") == "expected a map, found the end of the input at byte 0");
  CHECK(error_of<Deposit>("810101") == "expected a field name, found an integer at byte 1");
  CHECK(error_of<Deposit>("81a563656e7473") ==
        "field 'cents': expected an integer, found the end of the input at byte 7");
  CHECK(error_of<Deposit>("81a563656e7473cd00") == "field 'cents': the input ends inside a value");
  CHECK(error_of<Everything>("81a47472656582a46e616d65a161a86368696c6472656e9181a46e616d6501") ==
        "field 'tree.children[0].name': expected a string, found an integer at byte 30");
  CHECK(error_of<Everything>("81a6706f696e747381a16181a178a162") ==
        "field 'points[0].x': expected an integer, found a string at byte 14");
  CHECK(error_of<Everything>("81a57475706c659301a0cb00000000000000") ==
        "field 'tuple[0]': expected a boolean, found an integer at byte 8");
  CHECK(decode<Deposit>(unhex("05")).error().code() == Errc::bad_message);
}

TEST_CASE("codec: a field, a key or an element that appears twice is an error") {
  CHECK(error_of<Deposit>("82a563656e747301a563656e747302") == "field 'cents': appears twice");
  CHECK(error_of<Deposit>("83a76163636f756e74a161a563656e747302a76163636f756e74a161") ==
        "field 'account': appears twice");
  using Map = std::map<std::string, int>;
  CHECK(error_of<Map>("82a16101a16102") == "field '[1]': the key appears twice");
  using Set = std::set<int>;
  CHECK(error_of<Set>("920101") == "field '[1]': the element appears twice");
}

TEST_CASE("codec: fixed sizes are exact") {
  using Two = std::array<int, 2>;
  using Four = std::array<std::uint8_t, 4>;
  using IntText = std::pair<int, std::string>;
  using TwoTexts = std::array<std::string, 2>;
  CHECK(decode<Two>(unhex("920102")));
  CHECK(decode<TwoTexts>(encode(TwoTexts{"a", "b"})).value() == TwoTexts{"a", "b"});
  CHECK(error_of<Two>("9101") == "expected 2 elements, found 1");
  CHECK(error_of<Two>("93010203") == "expected 2 elements, found 3");
  CHECK(error_of<Four>("c403010203") == "expected 4 bytes, found 3");
  CHECK(error_of<IntText>("9101") == "expected 2 elements, found 1");
}

TEST_CASE("codec: an optional is nil or its value") {
  using Maybe = std::optional<std::int32_t>;
  CHECK(hex(encode(Maybe{})) == "c0");
  CHECK(hex(encode(Maybe{5})) == "05");
  CHECK(decode<Maybe>(unhex("c0")).value() == Maybe{});
  CHECK(decode<Maybe>(unhex("05")).value() == Maybe{5});
  CHECK_FALSE(decode<Maybe>(unhex("a0")));
}

TEST_CASE("codec: a variant is a map of one entry, named after the event") {
  using Either = std::variant<Point, Pair>;
  CHECK(hex(encode(Either{Pair{"l", 1}})) == "81a47061697292a16c01");
  CHECK(std::get<Pair>(decode<Either>(unhex("81a47061697292a16c01")).value()) == Pair{"l", 1});
  CHECK(error_of<Either>("81a478787878c0") == "none of the alternatives has this name");
  CHECK(error_of<Either>("80") == "expected one entry, found 0");
  CHECK(error_of<Either>("81a47061697291c0") == "field 'pair.left': expected a string, found nil at byte 7");
  CHECK(decode<Either>(unhex("c0")).has_value() == false);
}

TEST_CASE("codec: enums are their numbers, all that fit or all that are known") {
  CHECK(hex(encode(samples::Colour::blue)) == "ccc8");
  CHECK(decode<samples::Colour>(unhex("07")).value() == static_cast<samples::Colour>(7));
  CHECK_FALSE(decode<samples::Colour>(unhex("cd0100")));
  CHECK(decode<Strict>(unhex("01")).value() == Strict::on);
  CHECK(error_of<Strict>("02") == "unknown number 2");
}

TEST_CASE("codec: ids, hosts and clocks from outside are valid or refused") {
  CHECK(decode<NodeId>(unhex("a3666f6f")).value() == NodeId("foo"));
  CHECK_FALSE(decode<NodeId>(unhex("a0")));
  CHECK_FALSE(decode<NodeId>(unhex("a20a62")));
  CHECK_FALSE(decode<NodeId>(unhex("a2c328")));  // not UTF-8
  CHECK_FALSE(decode<NodeId>(encode(std::string(256, 'x'))));
  CHECK(decode<NodeId>(encode(std::string(255, 'x'))));
  CHECK(decode<Endpoint>(encode(Endpoint{"::1", 7022})).value() == Endpoint{"::1", 7022});
  CHECK(decode<Endpoint>(encode(Endpoint{})).value() == Endpoint{});
  CHECK_FALSE(decode<Endpoint>(encode(Endpoint{"a b", 1})));
  CHECK_FALSE(decode<Endpoint>(encode(Endpoint{"a\nb", 1})));
  CHECK_FALSE(decode<Endpoint>(unhex("82a4686f7374a161a4706f7274ce00010000")));
  // [["a", 1, 2, 3], ["a", 1, 2, 3]]: one id twice
  CHECK(decode<VectorClock>(unhex("9194a161010203")).value().count("a") == 1);
  CHECK_FALSE(decode<VectorClock>(unhex("9294a16101020394a161010203")));
}

TEST_CASE("codec: a class of the user's own takes part through a specialisation") {
  CHECK(decode<Weather>(encode(Weather{Celsius(21.5)})).value().now.degrees() == 21.5);
  CHECK(decode<Weather>(encode(Weather{Celsius(-300)})).error().message() ==
        "field 'now': colder than can be");
  CHECK(decode<Range>(encode(Range{1, 2})));
  CHECK(decode<Range>(encode(Range{2, 1})).error().message() == "low is over high");
}
