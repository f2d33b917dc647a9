#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/crypto/sha1.hpp"
#include "cluster/proto/chord_fingers.hpp"
#include "cluster/proto/chord_messages.hpp"

using namespace cluster;
using namespace cluster::proto;

namespace {

__extension__ typedef unsigned __int128 Big;

/// The slow way: walk clockwise from a, and see whether x comes before b.
bool between_by_walking(unsigned bits, std::uint64_t a, std::uint64_t x, std::uint64_t b) {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  for (auto at = (a + 1) & mask; at != b; at = (at + 1) & mask) {
    if (at == x) return true;
    if (at == a) return false;
  }
  return false;
}

ChordId random_id(const ChordSpace& space, Rng& rng) {
  return space.place("id " + std::to_string(rng.next()));
}

/// As a number, of the 120 lowest bits.
Big low_bits(const ChordId& id) {
  Big out = 0;
  for (const auto byte : id.bytes()) out = out << 8 | byte;
  return out & ((Big{1} << 120) - 1);
}

}  // namespace

TEST_CASE("sha1: the examples of FIPS 180-4") {
  CHECK(hex(crypto::sha1(as_bytes("abc"))) == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(hex(crypto::sha1(as_bytes(""))) == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  CHECK(hex(crypto::sha1(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))) ==
        "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

TEST_CASE("chord space: a place is the leading bits of the hash") {
  CHECK(ChordSpace().hex(ChordSpace().place("abc")) == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(ChordSpace(16).hex(ChordSpace(16).place("abc")) == "a999");
  CHECK(ChordSpace(12).hex(ChordSpace(12).place("abc")) == "a99");
  CHECK(ChordSpace(9).hex(ChordSpace(9).place("abc")) == "153");  // 1 0101 0011
  CHECK(ChordSpace(64).hex(ChordSpace(64).place("abc")) == "a9993e364706816a");
  CHECK(ChordSpace(72).hex(ChordSpace(72).place("abc")) == "a9993e364706816aba");
  const ChordSpace sha256(160, ChordHash::sha256);
  CHECK(sha256.hex(sha256.place("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a3");
}

TEST_CASE("chord space: only 8 to 160 bits make one") {
  CHECK_THROWS_AS(ChordSpace(7), std::invalid_argument);
  CHECK_THROWS_AS(ChordSpace(161), std::invalid_argument);
  CHECK(ChordSpace(8).bits() == 8);
  CHECK(ChordSpace(160).bits() == 160);
}

TEST_CASE("chord space: an interval holds what a walk around the circle meets") {
  const ChordSpace space(8);
  Rng rng(1);
  for (int i = 0; i < 20'000; ++i) {
    const auto a = rng.below(256), x = rng.below(256), b = rng.chance(0.1) ? a : rng.below(256);
    CAPTURE(a);
    CAPTURE(x);
    CAPTURE(b);
    const bool expected = between_by_walking(8, a, x, b);
    CHECK(space.between(ChordId(a), ChordId(x), ChordId(b)) == expected);
    CHECK(space.between_or_end(ChordId(a), ChordId(x), ChordId(b)) == (expected || x == b));
  }
}

TEST_CASE("chord space: distances and powers are those of integers modulo 2^m") {
  for (const unsigned bits : {8u, 13u, 63u, 64u, 65u, 100u, 119u}) {
    const ChordSpace space(bits);
    const Big mask = (Big{1} << bits) - 1;
    Rng rng(bits);
    for (int i = 0; i < 500; ++i) {
      const auto a = random_id(space, rng), b = random_id(space, rng);
      CHECK(low_bits(space.distance(a, b)) == ((low_bits(b) - low_bits(a)) & mask));
      const auto exponent = static_cast<unsigned>(rng.below(bits));
      CHECK(low_bits(space.add_power(a, exponent)) == ((low_bits(a) + (Big{1} << exponent)) & mask));
    }
  }
}

TEST_CASE("chord space: what is true of numbers is true of 160 bits") {
  const ChordSpace space;
  Rng rng(3);
  for (int i = 0; i < 2000; ++i) {
    const auto a = random_id(space, rng), b = random_id(space, rng), x = random_id(space, rng);
    for (unsigned k : {0u, 63u, 64u, 127u, 128u, 159u}) {
      const auto far = space.add_power(a, k);
      CHECK(space.distance(a, far).width() == k + 1);
      CHECK(space.contains(far));
    }
    // x is in (a, b) just if going to x is shorter than going to b.
    CHECK(space.between(a, x, b) == (space.distance(a, x) < space.distance(a, b) && x != a));
    CHECK(space.between(a, x, b) != space.between(b, x, a));
    const auto back = space.parse_hex(space.hex(a));
    REQUIRE(back);
    CHECK(*back == a);
    CHECK(ChordId::from_bytes(a.bytes()) == a);
  }
}

TEST_CASE("chord space: text that is no identifier is refused") {
  const ChordSpace space(16);
  for (const char* text : {"", "xyz", "10000", "123456789012345678901234567890123456789012"})
    CHECK(!space.parse_hex(text));
  CHECK(space.parse_hex("1").value() == ChordId(1));
  CHECK(space.parse_hex("00ffff").value() == ChordId(0xffff));
}

TEST_CASE("chord fingers: runs hold what a plain array would, whatever is set and erased") {
  constexpr unsigned kBits = 40;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    ChordFingers fingers;
    std::vector<std::string> plain(kBits);
    for (int step = 0; step < 60; ++step) {
      const auto a = static_cast<unsigned>(rng.below(kBits)), b = static_cast<unsigned>(rng.below(kBits));
      const auto [first, last] = std::minmax(a, b);
      const auto id = "n" + std::to_string(rng.below(5));
      switch (rng.below(4)) {
        case 0:
          fingers.clear(first, last);
          for (auto i = first; i <= last; ++i) plain[i].clear();
          break;
        case 1: {
          const auto was = std::ranges::find(plain, id);
          const auto erased = fingers.erase(NodeId(id));
          CHECK(erased.has_value() == (was != plain.end()));
          if (erased) CHECK(*erased == static_cast<unsigned>(was - plain.begin()));
          for (auto& name : plain)
            if (name == id) name.clear();
          break;
        }
        default:
          fingers.set(first, last, {ChordId(1), NodeId(id), {}});
          for (auto i = first; i <= last; ++i) plain[i] = id;
      }
      for (unsigned i = 0; i < kBits; ++i)
        REQUIRE((fingers.at(i) == nullptr ? "" : fingers.at(i)->id.str()) == plain[i]);
      unsigned next = 0;
      const ChordPeer* before = nullptr;
      for (const auto& run : fingers.runs()) {
        CHECK(run.first >= next);
        const bool touches = before != nullptr && run.first == next;
        if (touches) CHECK(before->id != run.peer.id);  // else they would be one run
        next = run.last + 1;
        before = &run.peer;
      }
    }
  }
}

TEST_CASE(
    "chord messages: each survives its way over the wire, and none is taken with more than it may hold") {
  const ChordContact a{NodeId("a"), {"localhost", 1}}, b{NodeId("b"), {"::1", 2}};
  const std::vector<ChordMessage> all{ChordAsk{1, 160},
                                      ChordNeighbours{1, a, {a, b}},
                                      ChordNeighbours{1, {}, {}},
                                      ChordNotify{160, a},
                                      ChordHint{},
                                      ChordGone{},
                                      ChordStep{2, 160, ChordId(77), true},
                                      ChordNext{2, true, {a}, {b}},
                                      ChordFind{3, 160, a, 9, ChordId(5), true, 2, 1, {a.id, b.id}},
                                      ChordTaken{3},
                                      ChordFound{9, b, 3, 1, {a.id, b.id}},
                                      ChordRefusal{4, ChordRefusalReason::other_space, 64}};
  for (const auto& message : all) {
    const auto bytes = wire::encode(message);
    const auto back = wire::decode<ChordMessage>(bytes);
    REQUIRE(back);
    CHECK(check(*back));
    CHECK(back->index() == message.index());
    CHECK(wire::encode(*back) == bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      CHECK(!wire::decode<ChordMessage>(ByteView(bytes).first(i)));
  }
  const ChordContacts most(kChordSuccessorsMax, a), too_many(kChordSuccessorsMax + 1, a);
  CHECK(check(ChordNeighbours{1, {}, most}));
  CHECK(!check(ChordNeighbours{1, {}, too_many}));
  CHECK(!check(ChordNext{1, false, too_many, {}}));
  CHECK(!check(ChordNext{1, false, {}, too_many}));
  CHECK(!check(ChordNotify{160, {NodeId("a"), {"", 1}}}));
  CHECK(!check(ChordNotify{160, {NodeId("a"), {"host", 0}}}));
  CHECK(!check(ChordFound{1, a, 0, 0, std::vector<NodeId>(kChordHopsMax + 1, a.id)}));
  CHECK(!check(ChordRefusal{1, static_cast<ChordRefusalReason>(7), 0}));
}
