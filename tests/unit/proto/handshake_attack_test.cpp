// What cut, altered, reflected, recorded and made-up bytes do to a handshake: nothing good comes of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "cluster/base/rng.hpp"
#include "cluster/proto/handshake.hpp"
#include "handshake_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::test;

TEST_CASE("handshake: every prefix of each side's bytes leaves the other waiting, never established") {
  Side foo(config_of(true, "foo", 1));
  Side bar(config_of(false, "bar", 2));
  talk(foo, bar);
  REQUIRE(foo.established);
  for (std::size_t size = 0; size < foo.sent.size(); ++size) {
    Side again(config_of(false, "bar", 2));
    again.receive(ByteView(foo.sent).first(size));
    CHECK_FALSE(again.established);
    CHECK_FALSE(again.failure);
  }
}

TEST_CASE("handshake: a bit flipped anywhere on the way never gives a session") {
  Side probe(config_of(true, "foo", 1));
  probe.apply(probe.handshake.start());
  const std::size_t bits = (probe.sent.size() + 35) * 8;
  for (const bool from_dialler : {true, false}) {
    for (std::size_t bit = 0; bit < bits; bit += 1) {
      Side foo(config_of(true, "foo", 1));
      Side bar(config_of(false, "bar", 2));
      Side& liar = from_dialler ? foo : bar;
      Side& other = from_dialler ? bar : foo;
      // Each side's records one by one, the flip applied where the stream reaches that bit.
      foo.apply(foo.handshake.start());
      for (int round = 0; round < 3; ++round) {
        for (Side* from : {&foo, &bar}) {
          Side& to = from == &foo ? bar : foo;
          Bytes piece(from->sent.begin() + static_cast<std::ptrdiff_t>(from->delivered), from->sent.end());
          if (from == &liar && bit / 8 >= from->delivered && bit / 8 < from->sent.size())
            piece[bit / 8 - from->delivered] ^= static_cast<std::uint8_t>(1u << bit % 8);
          from->delivered = from->sent.size();
          to.receive(piece);
        }
      }
      if (bit / 8 >= liar.sent.size()) continue;
      // The listener is established with its verdict; a flip in that one can only cost the dialler.
      CAPTURE(from_dialler);
      CAPTURE(bit);
      CHECK_FALSE(other.established);
    }
  }
}

TEST_CASE("handshake: garbage ends it at the first record, without an answer") {
  Rng rng(7);
  for (const std::string_view text :
       {"{\"type\":\"message\"}\f", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02", ""}) {
    Side bar(config_of(false, "bar", 2));
    bar.receive(as_bytes(text));
    CHECK(bar.failure.has_value() == !text.empty());
    CHECK(bar.sent.empty());
  }
  for (int i = 0; i < 3000; ++i) {
    Bytes noise(rng.below(2000));
    for (auto& byte : noise) byte = static_cast<std::uint8_t>(rng.next());
    if (!noise.empty() && rng.chance(0.5)) noise[0] = 1;  // looks like a HELLO
    if (noise.size() > 11 && rng.chance(0.5)) {
      noise[1] = 0;
      std::copy_n("lcluster", 8, noise.begin() + 3);
    }
    Side bar(config_of(false, "bar", 2));
    bar.receive(noise);
    Side foo(config_of(true, "foo", 1));
    foo.apply(foo.handshake.start());
    foo.receive(noise);
    CHECK_FALSE(bar.established);
    CHECK_FALSE(foo.established);
  }
}

TEST_CASE("handshake: a record over the limit is refused by its length alone") {
  Side bar(config_of(false, "bar", 2));
  bar.receive(Bytes{1, 0xff, 0xff});
  REQUIRE(bar.failure);
  CHECK(bar.failure->code() == Errc::corrupt);
}

TEST_CASE("handshake: a point of small order is refused") {
  Hello hello{.wall = wall_from_micros(1'700'000'000'000'000), .identity = identity("foo", 1)};
  hello.public_key.fill(0);
  Side bar(config_of(false, "bar", 2));
  bar.receive(hello_record(hello));
  REQUIRE(bar.failure);
  CHECK(bar.failure->code() == Errc::corrupt);
}

TEST_CASE("handshake: a mirror that returns every byte is recognised as oneself") {
  Side foo(config_of(true, "foo", 1));
  foo.apply(foo.handshake.start());
  const Bytes reflected = foo.sent;
  foo.receive(reflected);
  REQUIRE(foo.failure);
  CHECK(foo.failure->code() == Errc::refused);
  CHECK_FALSE(foo.greeted);
}

TEST_CASE("handshake: a recorded dialler does not get in again, and a recorded listener convinces nobody") {
  Side foo(config_of(true, "foo", 1));
  Side bar(config_of(false, "bar", 2));
  talk(foo, bar);
  REQUIRE(bar.established);

  Side bar_again(config_of(false, "bar", 2));
  bar_again.receive(foo.sent);
  REQUIRE(bar_again.failure);
  CHECK(bar_again.failure->code() == Errc::wrong_cookie);

  Side foo_again(config_of(true, "foo", 1));
  foo_again.apply(foo_again.handshake.start());
  foo_again.receive(bar.sent);
  REQUIRE(foo_again.failure);
  CHECK(foo_again.failure->code() == Errc::wrong_cookie);
}

TEST_CASE("handshake: every prefix of a HELLO body is refused, and fields behind its end are skipped") {
  const Hello hello{.wall = wall_from_micros(5), .identity = identity("foo", 1)};
  Bytes body = encode_hello(hello);
  for (std::size_t size = 0; size < body.size(); ++size)
    CHECK_FALSE(decode_hello(ByteView(body).first(size)));
  CHECK(decode_hello(body).value() == hello);
  body.push_back(42);
  CHECK(decode_hello(body).value() == hello);
}

TEST_CASE("handshake: the greatest HELLO fits its record") {
  auto config = config_of(true, "foo", 1);
  config.self.id = NodeId(std::string(255, 'i'));
  config.self.ring = std::string(255, 'r');
  config.self.advertised.host = std::string(255, 'h');
  Side foo(std::move(config));
  Side bar(config_of(false, "bar", 2));
  talk(foo, bar);
  CHECK(bar.established);
}
