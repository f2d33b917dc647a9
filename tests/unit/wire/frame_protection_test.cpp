#include "cluster/wire/frame_protection.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "cluster/base/rng.hpp"

namespace cluster::wire {
namespace {

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
Bytes random_bytes_of(Rng& rng, std::size_t count) {
  Bytes bytes(count);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(rng.next());
  return bytes;
}

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
      const Bytes body = random_bytes_of(rng, size);
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
      const Bytes body = random_bytes_of(rng, rng.below(5'000));
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

TEST_CASE("frame protection: a level's name reads back, and tls is not on offer") {
  for (const auto level : kLevels) CHECK(parse_protection(name(level)).value() == level);
  for (const char* text : {"", "Seal", "tls", "signed"}) {
    CAPTURE(text);
    REQUIRE_FALSE(parse_protection(text));
    CHECK(parse_protection(text).error().code() == Errc::invalid_argument);
  }
}

}  // namespace cluster::wire
