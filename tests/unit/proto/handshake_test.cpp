#include "cluster/proto/handshake.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <tuple>

#include "cluster/crypto/sha256.hpp"
#include "cluster/wire/frame.hpp"
#include "handshake_support.hpp"

using namespace cluster;
using namespace cluster::proto;
using namespace cluster::proto::test;

namespace {

bool same(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

HandshakeSecrets secrets_of(const char* secret_hex, std::uint8_t nonce_byte) {
  HandshakeSecrets secrets{crypto::x25519_from_secret(*from_hex(secret_hex)).value(), {}};
  secrets.nonce.fill(nonce_byte);
  return secrets;
}

}  // namespace

TEST_CASE("handshake: two that share a cookie agree on keys, one pair per direction, and on who they are") {
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
    CAPTURE(chunk);
    Side foo(config_of(true, "foo", 1));
    Side bar(config_of(false, "bar", 2));
    talk(foo, bar, chunk);
    REQUIRE(foo.established);
    REQUIRE(bar.established);
    CHECK(same(foo.established->keys.send, bar.established->keys.receive));
    CHECK(same(foo.established->keys.receive, bar.established->keys.send));
    CHECK_FALSE(same(foo.established->keys.send, foo.established->keys.receive));
    CHECK(foo.handshake.peer().identity == identity("bar", 2));
    CHECK(bar.handshake.peer().identity == identity("foo", 1));
    CHECK_FALSE(foo.proven);
    CHECK(bar.proven);
  }
}

namespace {

/// The two sides of handshake_vector.py.
struct Vector {
  explicit Vector(Protection most)
      : foo(dialler(most),
            secrets_of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", 0x11)),
        bar(listener(most),
            secrets_of("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", 0x22)) {
    talk(foo, bar);
  }

  static HandshakeConfig dialler(Protection most) {
    auto config = config_of(true, "foo", 1);
    config.self.boot.nonce = 2;
    config.protection_max = most;
    return config;
  }
  static HandshakeConfig listener(Protection most) {
    auto config = config_of(false, "bar", 3);
    config.self.boot.nonce = 4;
    config.self.ring.clear();
    config.self.advertised = {"::1", 7023};
    config.wall += std::chrono::microseconds(1);
    config.protection_max = most;
    return config;
  }

  Side foo;
  Side bar;
};

}  // namespace

TEST_CASE("handshake: bytes and keys are those of an implementation in another language") {
  const Vector vector(Protection::sign);
  REQUIRE(vector.foo.established);
  REQUIRE(vector.bar.established);
  CHECK(hex(ByteView(vector.foo.sent).last(35)) ==
        "02002050cd3926acf085de82b96d33c4b37a2056089b451d87040c05905835585a2daf");
  CHECK(hex(ByteView(vector.bar.sent).last(37)) ==
        "03002200005db6a262fd286502fc577ad031662964b1c3943b7a5b58e4d1edc50c9dd2f8b4");
  CHECK(hex(crypto::sha256(ByteView(vector.foo.sent).first(vector.foo.sent.size() - 35))) ==
        "1b88111c28cb77a78c023e6af7ade14f4208ecd01df3d2b48c37292503fd6fec");
  const auto& keys = vector.foo.established->keys;
  CHECK(hex(keys.send) == "8c637ca641250650a4c6f76c8cec2791d9a69ce39f0c889750bfce2b1376e686");
  CHECK(hex(keys.receive) == "bce02fba69884248d606cbb187fccdfec93844e0840328b93145e453f4719180");
  wire::FrameSealer sealer(Protection::sign, keys.send);
  Bytes body = *from_hex("000000026869");
  CHECK(hex(sealer.seal(*from_hex("0000000600010000"), body)) == "09f029ec9c1a6d1f5cdc158c972c1305");
}

TEST_CASE("handshake: a sealed session has secrets of its own labels") {
  const Vector vector(Protection::seal);
  REQUIRE(vector.foo.established);
  const auto& established = *vector.foo.established;
  CHECK(established.protection == Protection::seal);
  CHECK(hex(established.keys.send) == "d6972fd7d9c3ce608e752e48d657fa82f8c5e1efcfc38b2c2d0c7e3138cae4f7");
  CHECK(hex(established.keys.receive) == "d7a0e8353d047929fea3940727b8adb665e00f836fb8b15e522efbc73fbcdfaa");
}

TEST_CASE("handshake: a wrong cookie is one clear error on both sides, and the listener says nothing keyed") {
  Side foo(config_of(true, "foo", 1, {"one cookie of some length"}));
  Side bar(config_of(false, "bar", 2, {"another cookie of a length"}));
  talk(foo, bar);
  REQUIRE(foo.failure);
  REQUIRE(bar.failure);
  CHECK(foo.failure->code() == Errc::wrong_cookie);
  CHECK(bar.failure->code() == Errc::wrong_cookie);
  CHECK_FALSE(bar.proven);
}

TEST_CASE(
    "handshake: the listener accepts any cookie of its keyring and answers under the one that matched") {
  for (const char* cookie : {"cookie number one", "cookie number two", "cookie number three"}) {
    CAPTURE(cookie);
    Side foo(config_of(true, "foo", 1, {cookie}));
    Side bar(config_of(false, "bar", 2, {"cookie number one", "cookie number two", "cookie number three"}));
    talk(foo, bar);
    CHECK(foo.established);
    CHECK(bar.established);
  }
  Side foo(config_of(true, "foo", 1, {"cookie number two", "cookie number one"}));
  Side bar(config_of(false, "bar", 2, {"cookie number one"}));
  talk(foo, bar);
  REQUIRE(bar.failure);
  CHECK(bar.failure->code() == Errc::wrong_cookie);  // a dialler has one guess: its first
}

TEST_CASE("handshake: refusals before a proof, each with its reason on both sides") {
  const auto wall = config_of(true, "foo", 1).wall;
  struct Row {
    const char* what;
    std::function<void(HandshakeConfig& dialler, HandshakeConfig& listener)> change;
    std::optional<Errc> expected;
  };
  const std::array rows{
      Row{"a node that dials itself", [](auto& d, auto& l) { l.self = d.self; }, Errc::refused},
      Row{"the same id with another boot is judged later",
          [](auto& d, auto& l) { l.self.id = d.self.id; },
          {}},
      Row{"clocks an hour apart", [&](auto& d, auto&) { d.wall = wall + 1h; }, Errc::incompatible},
      Row{"clocks an hour apart, the other way", [&](auto&, auto& l) { l.wall = wall + 1h; },
          Errc::incompatible},
      Row{"clocks just under an hour apart", [&](auto& d, auto&) { d.wall = wall + 59min; }, {}},
      Row{"an absurd clock", [&](auto& d, auto&) { d.wall = WallTime::min(); }, Errc::incompatible},
      Row{"a client's clock is its own affair",
          [&](auto& d, auto&) {
            d.wall = wall + 2h;
            d.self.role = Role::client;
          },
          {}},
      Row{"other rings do not end a HELLO", [](auto& d, auto&) { d.self.ring = "another"; }, {}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    auto dialler = config_of(true, "foo", 1);
    auto listener = config_of(false, "bar", 2);
    row.change(dialler, listener);
    Side foo(std::move(dialler));
    Side bar(std::move(listener));
    talk(foo, bar);
    if (row.expected) {
      REQUIRE(foo.failure);
      REQUIRE(bar.failure);
      CHECK(foo.failure->code() == *row.expected);
      CHECK(bar.failure->code() == *row.expected);
    } else {
      CHECK(foo.established);
      CHECK(bar.established);
    }
  }
}

TEST_CASE("handshake: clocks over ten minutes apart are warned of") {
  for (const auto& [apart, warned] : {std::pair{Duration(10min), false}, std::pair{Duration(601s), true}}) {
    auto dialler = config_of(true, "foo", 1);
    dialler.wall += std::chrono::duration_cast<std::chrono::microseconds>(apart);
    Side foo(std::move(dialler));
    Side bar(config_of(false, "bar", 2));
    talk(foo, bar);
    REQUIRE(foo.established);
    CHECK(foo.established->clock_warning == warned);
    CHECK(bar.established->clock_warning == warned);
  }
}

TEST_CASE("handshake: the dialler ends it when another node answers than the one it expects") {
  auto dialler = config_of(true, "foo", 1);
  dialler.expected = NodeId("baz");
  Side foo(std::move(dialler));
  Side bar(config_of(false, "bar", 2));
  talk(foo, bar);
  REQUIRE(foo.failure);
  CHECK(foo.failure->code() == Errc::not_found);
  CHECK(foo.failure->message() == "the node there is 'bar', not 'baz'");
  CHECK_FALSE(bar.established);
}

TEST_CASE("handshake: no common version or protection level is refused with both sides named") {
  Hello hello{.wall = wall_from_micros(1'700'000'000'000'000), .identity = identity("foo", 1)};
  hello.public_key = crypto::x25519_generate().public_key;
  struct Row {
    const char* what;
    std::function<void(Hello&)> change;
    bool accepted;
  };
  for (const auto& row : {
           Row{"as it is", [](Hello&) {}, true},
           Row{"only later versions", [](Hello& h) { h.version_min = 2, h.version_max = 9; }, false},
           Row{"later versions too", [](Hello& h) { h.version_max = 9; }, true},
           Row{"unknown capabilities", [](Hello& h) { h.capabilities = 0xffffffff; }, true},
           Row{"demands sealing", [](Hello& h) { h.protections = 3, h.protection_min = Protection::seal; },
               false},
           Row{"offers sealing only", [](Hello& h) { h.protections = 2; }, false},
           Row{"offers sealing too", [](Hello& h) { h.protections = 3; }, true},
           Row{"offers levels that nobody knows yet", [](Hello& h) { h.protections = 0xf9; }, true},
           Row{"offers nothing", [](Hello& h) { h.protections = 0; }, false},
       }) {
    CAPTURE(row.what);
    Hello changed = hello;
    row.change(changed);
    Side bar(config_of(false, "bar", 2));
    bar.receive(hello_record(changed));
    CHECK(bar.greeted == row.accepted);
    if (!row.accepted) {
      REQUIRE(bar.failure);
      CHECK(bar.failure->code() == Errc::incompatible);
    }
  }
}

TEST_CASE("handshake: the greatest level that both take part in is used, and none below either's least") {
  struct Range {
    Protection min;
    Protection max;
  };
  constexpr std::array kRanges{Range{Protection::sign, Protection::sign},
                               Range{Protection::sign, Protection::seal},
                               Range{Protection::seal, Protection::seal}};
  for (const auto& d : kRanges) {
    for (const auto& l : kRanges) {
      auto dialler = config_of(true, "foo", 1);
      auto listener = config_of(false, "bar", 2);
      dialler.protection_min = d.min, dialler.protection_max = d.max;
      listener.protection_min = l.min, listener.protection_max = l.max;
      Side foo(std::move(dialler));
      Side bar(std::move(listener));
      talk(foo, bar);
      const Protection expected = std::min(d.max, l.max);
      CAPTURE(wire::name(d.min));
      CAPTURE(wire::name(d.max));
      CAPTURE(wire::name(l.min));
      CAPTURE(wire::name(l.max));
      if (expected >= std::max(d.min, l.min)) {
        REQUIRE(foo.established);
        REQUIRE(bar.established);
        CHECK(foo.established->protection == expected);
        CHECK(bar.established->protection == expected);
        CHECK(same(foo.established->keys.send, bar.established->keys.receive));
        CHECK(same(foo.established->keys.receive, bar.established->keys.send));
        CHECK_FALSE(same(foo.established->keys.send, foo.established->keys.receive));
      } else {
        REQUIRE(foo.failure);
        REQUIRE(bar.failure);
        for (const auto& failure : {*foo.failure, *bar.failure}) {
          CHECK(failure.code() == Errc::incompatible);
          CHECK(failure.message().find("no less than seal") != std::string::npos);
          CHECK(failure.message().find("'foo' offers ") != std::string::npos);
          CHECK(failure.message().find("'bar' offers ") != std::string::npos);
        }
      }
    }
  }
}

TEST_CASE("handshake: a man in the middle who takes sealing out of the HELLOs gets no session") {
  // Each byte of the offer, changed to what would make both sides settle for signing.
  constexpr std::size_t kProtectionsAt = kRecordHeaderBytes + 10;
  for (const bool change_dialler : {true, false}) {
    for (const bool change_listener : {true, false}) {
      auto dialler = config_of(true, "foo", 1);
      auto listener = config_of(false, "bar", 2);
      dialler.protection_max = listener.protection_max = Protection::seal;
      Side foo(std::move(dialler));
      Side bar(std::move(listener));
      foo.apply(foo.handshake.start());
      REQUIRE(foo.sent[kProtectionsAt] == 3);
      for (int round = 0; round < 3; ++round) {
        for (const auto& [from, to, change] :
             {std::tuple{&foo, &bar, change_dialler}, std::tuple{&bar, &foo, change_listener}}) {
          Bytes piece(from->sent.begin() + static_cast<std::ptrdiff_t>(from->delivered), from->sent.end());
          if (change && from->delivered == 0 && !piece.empty()) piece[kProtectionsAt] = 1;
          from->delivered = from->sent.size();
          to->receive(piece);
        }
      }
      CAPTURE(change_dialler);
      CAPTURE(change_listener);
      if (!change_dialler && !change_listener) {
        REQUIRE(foo.established);
        CHECK(foo.established->protection == Protection::seal);
      } else {
        CHECK_FALSE(foo.established);
        CHECK_FALSE(bar.established);
        REQUIRE(bar.failure);
        CHECK(bar.failure->code() == Errc::wrong_cookie);
      }
    }
  }
}

TEST_CASE("handshake: the driver's refusals reach the peer with their reason") {
  {
    Side foo(config_of(true, "foo", 1));
    Side bar(config_of(false, "bar", 2));
    bar.refuse_greeted = Error(Errc::already_exists, "the other connection wins");
    talk(foo, bar);
    REQUIRE(foo.failure);
    CHECK(foo.failure->code() == Errc::already_exists);
    CHECK(foo.failure->message() == "the other connection wins");
  }
  {
    Side foo(config_of(true, "foo", 1));
    Side bar(config_of(false, "bar", 2));
    bar.refuse_proven = Error(Errc::duplicate_id, "another living process is 'foo'");
    talk(foo, bar);
    REQUIRE(foo.failure);
    CHECK(foo.failure->code() == Errc::duplicate_id);
    CHECK(foo.failure->executed() == Executed::no);
    CHECK_FALSE(bar.established);
  }
}

TEST_CASE("handshake: no record is answered while the driver decides, nor needed twice") {
  Handshake listener(Instant{}, config_of(false, "bar", 2), HandshakeSecrets::fresh());
  Side foo(config_of(true, "foo", 1));
  foo.apply(foo.handshake.start());
  ByteView bytes = foo.sent;
  auto actions = listener.on_bytes(bytes);
  REQUIRE(actions.size() == 1);
  CHECK(std::holds_alternative<Greeted>(actions[0]));
  CHECK(bytes.empty());
  ByteView more = foo.sent;
  CHECK(listener.on_bytes(more).empty());
  CHECK(more.size() == foo.sent.size());
}

TEST_CASE("handshake: silence ends it at the stated time, not before") {
  auto config = config_of(false, "bar", 2);
  config.timeout = 5s;
  Handshake listener(Instant{}, std::move(config), HandshakeSecrets::fresh());
  CHECK(listener.next_deadline() == Instant{} + 5s);
  CHECK(listener.on_time(Instant{} + 4'999ms).empty());
  const auto actions = listener.on_time(Instant{} + 5s);
  REQUIRE(actions.size() == 1);
  CHECK(std::get<HandshakeFailed>(actions[0]).error.code() == Errc::timeout);
  CHECK(listener.next_deadline() == kNever);
}

TEST_CASE("keyring: one to four cookies, none empty") {
  const auto cost = Keyring::cost_for_tests();
  CHECK_FALSE(Keyring::from_cookies({}, cost));
  CHECK_FALSE(Keyring::from_cookies({""}, cost));
  CHECK_FALSE(Keyring::from_cookies({"1", "2", "3", "4", "5"}, cost));
  CHECK(Keyring::from_cookies({"1", "2", "3", "4"}, cost).value().size() == 4);
}

namespace {

/// Two ends of a TLS session in which each shows the certificate of the node that it names.
struct TlsSides {
  TlsSides(const char* dialler_shows, const char* listener_shows) {
    for (Side* side : {&foo, &bar}) {
      TlsChannel channel{.binding = {1, 2, 3}, .peer_uris = {"urn:other"}};
      channel.peer_uris.push_back(certificate_uri(side == &foo ? listener_shows : dialler_shows));
      side->handshake.bind(std::move(channel));
    }
  }
  static HandshakeConfig offering_tls(HandshakeConfig config) {
    config.protection_max = Protection::tls;
    return config;
  }
  Side foo{offering_tls(config_of(true, "foo", 1))};
  Side bar{offering_tls(config_of(false, "bar", 2))};
};

}  // namespace

TEST_CASE("handshake: inside of TLS the level is tls, and the session's value is part of every key") {
  TlsSides sides("foo", "bar");
  talk(sides.foo, sides.bar);
  REQUIRE(sides.foo.established);
  REQUIRE(sides.bar.established);
  CHECK(sides.foo.established->protection == Protection::tls);
  CHECK(same(sides.foo.established->keys.send, sides.bar.established->keys.receive));

  TlsSides relayed("foo", "bar");  // by one who has a session with each of them
  relayed.bar.handshake.bind({.binding = {1, 2, 4}, .peer_uris = {certificate_uri("foo")}});
  talk(relayed.foo, relayed.bar);
  REQUIRE(relayed.bar.failure);
  CHECK(relayed.bar.failure->code() == Errc::wrong_cookie);
  CHECK_FALSE(relayed.bar.proven);
}

TEST_CASE("handshake: a node's certificate names it; a client needs no name") {
  TlsSides dialler_poses("eve", "bar");
  talk(dialler_poses.foo, dialler_poses.bar);
  TlsSides listener_poses("foo", "eve");
  talk(listener_poses.foo, listener_poses.bar);
  for (TlsSides* sides : {&dialler_poses, &listener_poses}) {
    REQUIRE(sides->foo.failure);
    REQUIRE(sides->bar.failure);
    CHECK(sides->foo.failure->code() == Errc::refused);
    CHECK(sides->bar.failure->code() == Errc::refused);
    CHECK(sides->foo.failure->message() == sides->bar.failure->message());
    CHECK_FALSE(sides->bar.proven);
  }
  CHECK(dialler_poses.foo.failure->message().find("not that of node 'foo'") != std::string::npos);
  CHECK(listener_poses.foo.failure->message().find("not that of node 'bar'") != std::string::npos);

  TlsSides with_client("operator", "bar");
  auto client = TlsSides::offering_tls(config_of(true, "client-1", 1));
  client.self.role = Role::client;
  Side asking(client);
  asking.handshake.bind({.binding = {1, 2, 3}, .peer_uris = {certificate_uri("bar")}});
  talk(asking, with_client.bar);
  CHECK(asking.established);
  CHECK(with_client.bar.established);
}

TEST_CASE("handshake: who listens is a node, or is no-one to a dialler") {
  auto posing = config_of(false, "bar", 2);
  posing.self.role = Role::client;
  Side foo(config_of(true, "foo", 1));
  Side bar(std::move(posing));
  talk(foo, bar);
  REQUIRE(foo.failure);
  CHECK(foo.failure->code() == Errc::refused);
  CHECK(foo.failure->message() == "what listens there as 'bar' is no node");
  CHECK_FALSE(bar.established);
}

TEST_CASE("handshake: two ends that offer tls do not meet without it") {
  Side foo(TlsSides::offering_tls(config_of(true, "foo", 1)));
  Side bar(TlsSides::offering_tls(config_of(false, "bar", 2)));
  talk(foo, bar);
  REQUIRE(foo.failure);
  REQUIRE(bar.failure);
  CHECK(bar.failure->code() == Errc::incompatible);
  CHECK(bar.failure->message() == "both ends offer tls, but this connection is without");
  CHECK(foo.failure->message() == bar.failure->message());
}

TEST_CASE("handshake: an id has one form in certificates") {
  CHECK(certificate_uri("foo") == "lcluster:node:foo");
  CHECK(certificate_uri("foo@Host-1.example:70_~") == "lcluster:node:foo@Host-1.example:70_~");
  CHECK(certificate_uri("a b/c%") == "lcluster:node:a%20b%2Fc%25");
  CHECK(certificate_uri("\u00fc") == "lcluster:node:%C3%BC");
}
