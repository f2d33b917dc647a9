#include <doctest/doctest.h>

#include "allocation_probe.hpp"
#include "cluster/wire/message.hpp"
#include "samples.hpp"
#include "unhex.hpp"

// What strangers may send: every decoder of this layer, on bytes that no encoder wrote.

namespace {
using namespace cluster;
using namespace cluster::wire;
using samples::Everything;

Bytes repeated(std::initializer_list<std::uint8_t> piece, std::size_t times) {
  Bytes out;
  for (std::size_t i = 0; i < times; ++i) out.insert(out.end(), piece);
  return out;
}
/// Runs every decoder; they may accept or refuse, not crash. What is accepted can be written again.
void decode_all(ByteView bytes) {
  if (const auto value = decode<Value>(bytes)) {
    const auto again = decode<Value>(encode(*value));
    REQUIRE(again);
    CHECK(encode(*again) == encode(*value));
  }
  if (const auto everything = decode<Everything>(bytes)) CHECK(decode<Everything>(encode(*everything)));
  (void)decode<samples::Tree>(bytes);
  (void)decode<VectorClock>(bytes);
  if (const auto message = decode_message(bytes)) {
    if (const auto* call = std::get_if<CallView>(&*message)) {
      Reader payload(call->payload);
      CHECK(payload.skip());
      CHECK(payload.left() == 0);
    }
  }
}
}  // namespace

TEST_CASE("hostile: every prefix of a valid encoding is refused") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto bytes = encode(samples::random_everything(rng));
    const auto value = encode(samples::random_value(rng));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      const Bytes prefix(bytes.begin(),
                         bytes.begin() + static_cast<std::ptrdiff_t>(size));  // exact, for ASan
      REQUIRE_FALSE(decode<Everything>(prefix));
      REQUIRE_FALSE(decode<Value>(prefix));
      Reader reader(prefix);
      REQUIRE_FALSE(reader.skip());
    }
    for (std::size_t size = 0; size < value.size(); ++size)
      REQUIRE_FALSE(decode<Value>(ByteView(value).first(size)));
  }
}

TEST_CASE("hostile: any one byte changed is refused or read as something else, never a crash") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto bytes = encode(samples::random_everything(rng));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      auto changed = bytes;
      changed[i] = static_cast<std::uint8_t>(changed[i] ^ (1 + rng.below(255)));
      decode_all(changed);
    }
  }
}

TEST_CASE("hostile: random bytes never crash a decoder") {
  for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    auto bytes = samples::random_bytes(rng, 60);
    // Half of them begin like a message or a map, so that more than the first byte is looked at.
    if (!bytes.empty() && rng.chance(0.5)) bytes[0] = static_cast<std::uint8_t>(0x80 + rng.below(0x20));
    if (bytes.size() > 1 && rng.chance(0.5)) bytes[1] = static_cast<std::uint8_t>(rng.below(5));
    decode_all(bytes);
  }
}

TEST_CASE("hostile: a huge count or length is refused before memory is taken") {
  using Wide = std::vector<std::array<double, 64>>;
  using TextMap = std::map<std::string, std::string>;
  using NumberMap = std::map<int, int>;
  for (const auto* wire :
       {"ddffffffff", "dcffff", "dfffffffff", "deffff", "dbffffffff", "c6ffffffff", "c9ffffffff01",
        "ddffffffff0101010101", "dfffffffff0101010101", "9f01", "8f01", "bf01"}) {
    CAPTURE(wire);
    const auto bytes = unhex(wire);
    forget_allocations();
    CHECK_FALSE(decode<Value>(bytes));
    CHECK_FALSE(decode<Wide>(bytes));
    CHECK_FALSE(decode<TextMap>(bytes));
    CHECK_FALSE(decode<NumberMap>(bytes));
    CHECK_FALSE(decode<std::string>(bytes));
    CHECK_FALSE(decode<Bytes>(bytes));
    CHECK_FALSE(decode_message(bytes));
    Reader reader(bytes);
    CHECK_FALSE(reader.skip());
    CHECK(largest_allocation() < 1024);
  }
}

TEST_CASE("hostile: a small input that would unpack to much memory is refused at the stated bound") {
  struct Big {
    std::array<std::uint8_t, 1024> block{};
  };
  // An array of n empty maps: one byte each, a kilobyte each in memory.
  const auto array_of_empty_maps = [](std::size_t n) {
    Bytes out;
    Writer writer(out);
    writer.array(n);
    for (std::size_t i = 0; i < n; ++i) writer.map(0);
    return out;
  };
  const auto fits = kDecodedBytesMax / sizeof(Big);
  CHECK(array_of_empty_maps(10).size() == 11);
  CHECK(decode<std::vector<Big>>(array_of_empty_maps(10)));
  forget_allocations();
  const auto over = decode<std::vector<Big>>(array_of_empty_maps(fits + 1));
  REQUIRE_FALSE(over);
  CHECK(over.error().message() == "unpacks to too much memory");
  CHECK(largest_allocation() <= 2 * fits);  // the input itself
}

TEST_CASE("hostile: nesting is read up to the stated depth and refused one level deeper") {
  const auto nested = [](std::size_t depth, std::initializer_list<std::uint8_t> level) {
    auto bytes = repeated(level, depth - 1);
    bytes.push_back(level.size() == 1 ? 0x90 : 0x80);
    return bytes;
  };
  const std::initializer_list<std::uint8_t> array_level{0x91}, map_level{0x81, 0xa1, 'k'};
  for (const auto& level : {array_level, map_level}) {
    const auto deepest = nested(kDepthMax, level), deeper = nested(kDepthMax + 1, level);
    CHECK(decode<Value>(deepest));
    CHECK(decode<Value>(deeper).error().message().ends_with("nested too deeply"));
    Reader good(deepest), bad(deeper);
    CHECK(good.skip());
    CHECK_FALSE(bad.skip());
  }
  // Bombs: far more levels than a stack would bear.
  for (const auto& bomb :
       {repeated({0x91}, 1'000'000), repeated({0x81, 0xa0}, 1'000'000), repeated({0xdc, 0, 1}, 1'000'000)}) {
    CHECK_FALSE(decode<Value>(bomb));
    CHECK_FALSE(decode<samples::Tree>(bomb));
    Reader reader(bomb);
    CHECK_FALSE(reader.skip());
    Bytes message = unhex("930200");
    message.insert(message.end(), bomb.begin(), bomb.end());
    CHECK_FALSE(decode_message(message));
  }
  // A type that holds itself, as a positional array: ["", [["", [...]]]].
  Bytes tree = repeated({0x92, 0xa0, 0x91}, 100'000);
  CHECK_FALSE(decode<samples::Tree>(tree));
  // An unknown field nests too.
  Bytes unknown = unhex("81a178");
  const auto bomb = repeated({0x91}, 100'000);
  unknown.insert(unknown.end(), bomb.begin(), bomb.end());
  CHECK_FALSE(decode<samples::Point>(unknown));
}

TEST_CASE("hostile: a map of many equal keys is refused in less than quadratic time") {
  Bytes bytes;
  {
    Writer writer(bytes);
    constexpr std::size_t kMembers = 300'000;
    writer.map(kMembers);
    for (std::size_t i = 0; i < kMembers; ++i) {
      writer.text("key-" + std::to_string(i == kMembers - 1 ? 0 : i));
      writer.nil();
    }
  }
  const auto value = decode<Value>(bytes);
  REQUIRE_FALSE(value);
  CHECK(value.error().message() == "a key appears twice");
}
