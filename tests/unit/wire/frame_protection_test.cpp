#include "cluster/wire/frame_protection.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <set>
#include <string>

#include "cluster/base/rng.hpp"
#include "random_bytes.hpp"

namespace cluster::wire {
namespace {

using cluster::testing::random_bytes;

const Bytes kSecret(32, 7);
constexpr std::array kLevels{Protection::sign, Protection::seal};

/// A frame as it travels.
struct Frame {
  Bytes header;
  Bytes body;
  FrameTag tag{};
};

Bytes header_of(std::size_t body_bytes) {
  Bytes header(kFrameHeaderBytes);
  write_header(header.data(), {.length = static_cast<std::uint32_t>(body_bytes)});
  return header;
}
Frame sealed(FrameSealer& sealer, ByteView body) {
  Frame frame{header_of(body.size()), Bytes(body.begin(), body.end())};
  frame.tag = sealer.seal(frame.header, frame.body);
  return frame;
}
/// The body, or nothing if the tag is not the one of the next frame.
std::optional<Bytes> opened(FrameOpener& opener, Frame frame) {
  if (!opener.open(frame.header, frame.body, frame.tag)) return std::nullopt;
  return frame.body;
}
std::string hex_of(const Frame& frame) { return hex(frame.header) + hex(frame.body) + hex(frame.tag); }

}  // namespace

TEST_CASE("frame protection: what was sealed opens as it was, and only seal hides it") {
  for (const auto level : kLevels) {
    CAPTURE(name(level));
    FrameSealer sealer(level, kSecret);
    FrameOpener opener(level, kSecret);
    CHECK(sealer.level() == level);
    CHECK(opener.level() == level);
    Rng rng(1);
    for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 64u, 1024u, 65'535u, 65'536u}) {
      CAPTURE(size);
      const Bytes body = random_bytes(rng, size);
      const Frame frame = sealed(sealer, body);
      if (size > 16) CHECK((frame.body == body) == (level == Protection::sign));
      CHECK(opened(opener, frame) == body);
    }
    CHECK(sealer.frames() == 9);
    CHECK(opener.frames() == 9);
  }
}

TEST_CASE("frame protection: any flipped bit, cut tag, repetition, swap or other secret is noticed") {
  for (const auto level : kLevels) {
    CAPTURE(name(level));
    FrameSealer sealer(level, kSecret);
    const Frame first = sealed(sealer, as_bytes("the same body"));
    const Frame second = sealed(sealer, as_bytes("the same body"));
    CHECK(first.tag != second.tag);
    CHECK((first.body != second.body) == (level == Protection::seal));
    {
      FrameOpener opener(level, kSecret);
      CHECK(opened(opener, first));
      CHECK_FALSE(opened(opener, first));  // replayed
    }
    {
      FrameOpener opener(level, kSecret);
      CHECK_FALSE(opened(opener, second));  // reordered
    }
    {
      FrameOpener opener(level, Bytes(32, 8));
      CHECK_FALSE(opened(opener, first));  // another connection
    }
    {
      FrameOpener opener(level == Protection::sign ? Protection::seal : Protection::sign, kSecret);
      CHECK_FALSE(opened(opener, first));  // another level
    }
    const auto fails = [&](std::size_t bit, auto field) {
      Frame changed = first;
      (changed.*field)[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
      FrameOpener opener(level, kSecret);
      return !opened(opener, std::move(changed));
    };
    for (std::size_t bit = 0; bit < first.header.size() * 8; ++bit) CHECK(fails(bit, &Frame::header));
    for (std::size_t bit = 0; bit < first.body.size() * 8; ++bit) CHECK(fails(bit, &Frame::body));
    for (std::size_t bit = 0; bit < first.tag.size() * 8; ++bit) CHECK(fails(bit, &Frame::tag));
    for (std::size_t size = 0; size < first.tag.size(); ++size) {
      FrameOpener opener(level, kSecret);
      Bytes body = first.body;
      CHECK_FALSE(opener.open(first.header, body, ByteView(first.tag).first(size)));
    }
  }
}

TEST_CASE("frame protection: pieces of any size, from anywhere to anywhere, are as good as the whole") {
  for (const auto level : kLevels) {
    CAPTURE(name(level));
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
      CAPTURE(seed);
      Rng rng(seed);
      const Bytes body = random_bytes(rng, rng.below(5'000));
      FrameSealer whole(level, kSecret);
      const Frame expected = sealed(whole, body);

      const auto pieces = [&](FrameGuard& guard, ByteView from) {
        Bytes to(from.begin(), from.end());  // what is given in place is already there
        guard.begin(expected.header);
        for (std::size_t at = 0; at < from.size();) {
          const std::size_t count = std::min<std::size_t>(1 + rng.below(700), from.size() - at);
          const bool in_place = rng.below(2) == 0;
          if (!in_place) std::fill_n(to.begin() + static_cast<std::ptrdiff_t>(at), count, std::uint8_t{0});
          guard.add(in_place ? ByteView(to).subspan(at, count) : from.subspan(at, count), to.data() + at);
          at += count;
        }
        return to;
      };
      FrameSealer sealer(level, kSecret);
      CHECK(pieces(sealer, body) == expected.body);
      CHECK(sealer.finish() == expected.tag);
      FrameOpener opener(level, kSecret);
      CHECK(pieces(opener, expected.body) == body);
      CHECK(opener.finish(expected.tag));
    }
  }
}

TEST_CASE("frame protection: frames are those of an implementation in another language") {
  // frame_protection_vector.py
  Bytes secret(32);
  std::iota(secret.begin(), secret.end(), std::uint8_t{0});
  Bytes hundred(100);
  std::iota(hundred.begin(), hundred.end(), std::uint8_t{0});
  struct Row {
    Bytes body;
    std::string_view sign;
    std::string_view seal;
  };
  const std::array rows{
      Row{{},
          "0000000000010000ea385479dd057b786660e99b4655c9f4",
          "0000000000010000c0d0ea91630b714b2b75f977d668344e"},
      Row{{0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o'},
          "00000009000100000000000568656c6c6f136124c950155688fda417d988221323",
          "00000009000100006d2818a49c8922aee1b0dcf6a90e7c6e0ca6311731275dcd3f"},
      Row{hundred,
          "0000006400010000000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
          "28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f5051525354555657"
          "58595a5b5c5d5e5f606162638e59936660a44dde1ecc02022db2b617",
          "00000064000100000a15119a812a17689ca2627f6b12c10de096472b43ac1847d1528e05df680cbbe8baced96c19a85f"
          "bf3bb708e090cacb5d834b1fd1b432d98645b566251a6f7e23ba14ab6924b0843bb8e2f64d64dabceefc3e41904c0fbd"
          "30c86edfd544a1d63166fe80d40b1feca648456d5d9a467ddd0faba6"}};
  FrameSealer sign(Protection::sign, secret);
  FrameSealer seal(Protection::seal, secret);
  for (const auto& row : rows) {
    CHECK(hex_of(sealed(sign, row.body)) == row.sign);
    CHECK(hex_of(sealed(seal, row.body)) == row.seal);
  }
  FrameSealer ratcheting(Protection::seal, secret, 1);  // a new key with each frame
  for (const std::string_view frame : {"0000000500010000d69ca20c1de487835d9b73c31ef8276ceb3cb4818d",
                                       "0000000500010000958d14cc03b3774949b1ae55ed97918705815db988",
                                       "00000005000100008bba98e76433b9c5989effc305781ab1f354eb7660"})
    CHECK(hex_of(sealed(ratcheting, as_bytes("hello"))) == frame);
}

TEST_CASE("frame protection: both sides take the next key after the same frame, and only then") {
  constexpr std::uint64_t kFrameBytes = kFrameHeaderBytes + 76 + kFrameTagBytes;  // 100
  const Bytes body(76, 5);
  struct Row {
    std::uint64_t ratchet_bytes;
    std::size_t same_until;  // the frames before this one are those of a key that lasts
  };
  for (const auto& row : {Row{1, 1}, Row{kFrameBytes, 1}, Row{kFrameBytes + 1, 2}, Row{3 * kFrameBytes, 3},
                          Row{3 * kFrameBytes + 1, 4}, Row{kRatchetBytes, 10}}) {
    CAPTURE(row.ratchet_bytes);
    FrameSealer sealer(Protection::seal, kSecret, row.ratchet_bytes);
    FrameOpener opener(Protection::seal, kSecret, row.ratchet_bytes);
    FrameSealer one_key(Protection::seal, kSecret);
    FrameOpener late(Protection::seal, kSecret);  // one that does not take the next key
    for (std::size_t i = 0; i < 10; ++i) {
      CAPTURE(i);
      const Frame frame = sealed(sealer, body);
      CHECK(opened(opener, frame) == body);
      CHECK((sealed(one_key, body).body == frame.body) == (i < row.same_until));
      CHECK(opened(late, frame).has_value() == (i < row.same_until));
    }
  }
}

TEST_CASE("frame protection: no two frames share key and nonce, over ratchets too") {
  // Under one key and nonce two texts of zeros become the same bytes.
  FrameSealer sealer(Protection::seal, kSecret, 300);
  std::set<Bytes> seen;
  for (int i = 0; i < 2'000; ++i) CHECK(seen.insert(sealed(sealer, Bytes(32)).body).second);
  FrameSealer other_way(Protection::seal, Bytes(32, 8), 300);
  for (int i = 0; i < 2'000; ++i) CHECK(seen.insert(sealed(other_way, Bytes(32)).body).second);
}

TEST_CASE("frame protection: a level's name reads back") {
  for (const auto level : {Protection::sign, Protection::seal, Protection::tls})
    CHECK(parse_protection(name(level)).value() == level);
  for (const char* text : {"", "Seal", "ssl", "signed"}) {
    CAPTURE(text);
    REQUIRE_FALSE(parse_protection(text));
    CHECK(parse_protection(text).error().code() == Errc::invalid_argument);
  }
}

}  // namespace cluster::wire
