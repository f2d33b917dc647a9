#include "cluster/wire/message.hpp"

#include <doctest/doctest.h>

#include "samples.hpp"
#include "unhex.hpp"

namespace {
using namespace cluster;
using namespace cluster::wire;
using namespace std::chrono_literals;

struct Add {
  std::int64_t n = 0;
};
std::string error_of(std::string_view wire) {
  const auto message = decode_message(unhex(wire));
  return message ? "no error" : message.error().message();
}
}  // namespace

TEST_CASE("message: each kind is the array that the wire format states") {
  Bytes cast;
  begin_cast(cast, {.to = "counter", .from = 5, .event = "add"});
  encode_to(cast, Add{2});
  // [0, "counter", 5, "add", {"n": 2}]
  CHECK(hex(cast) == "9500a7636f756e74657205a361646481a16e02");

  Bytes call;
  begin_call(call, {.id = 300, .to = std::uint64_t{7}, .from = 0, .event = "get", .ttl = 5s});
  encode_to(call, std::monostate{});
  // [1, 300, 7, 0, "get", 5000, nil]
  CHECK(hex(call) == "9701cd012c0700a3676574cd1388c0");

  Bytes reply;
  begin_reply(reply, 300);
  encode_to(reply, std::int64_t{-1});
  CHECK(hex(reply) == "9302cd012cff");

  Bytes error;
  write_error(error, 1, Error(Errc::no_server, "none", Executed::no));
  // [3, 1, 3, "none", 0]
  CHECK(hex(error) == "95030103a46e6f6e6500");

  Bytes known;
  begin_cast(known, KnownCast::ring_gossip);
  encode_to(known, Add{2});
  // [4, 1, {"n": 2}]
  CHECK(hex(known) == "93040181a16e02");
}

TEST_CASE("message: a known cast is read as the cast that it stands for") {
  for (const auto known : {KnownCast::swim, KnownCast::ring_gossip}) {
    Bytes bytes;
    begin_cast(bytes, known);
    encode_to(bytes, Add{2});
    const auto message = decode_message(bytes);
    REQUIRE(message);
    const auto& cast = std::get<CastView>(*message);
    CHECK(cast.head.to == head_of(known).to);
    CHECK(cast.head.from == 0);
    CHECK(cast.head.event == head_of(known).event);
    CHECK(decode<Add>(cast.payload).value().n == 2);
  }
  CHECK(error_of("930400") != "no error");
  CHECK(error_of("9304a130c0") != "no error");
}

TEST_CASE("message: one writer for head and payload writes what two write, and knows where the ttl is") {
  const CallHead head{.id = 300, .to = "counter", .from = 5, .event = "add", .ttl = 5s};
  Bytes two(3, 0xee), one(3, 0xee);  // behind what was there
  const std::size_t at = begin_call(two, head);
  encode_to(two, Add{2});
  {
    Writer to(one);
    CHECK(begin_call(to, head) == at);
    encode_to(to, Add{2});
    CHECK(to.size() == two.size());
  }
  CHECK(one == two);
  CHECK(hex(ByteView(one).subspan(at, 3)) == "cd1388");
}

TEST_CASE("writer: pieces of any length follow each other, whatever room there was for them") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Bytes expected(rng.below(40), 0xee);
    Bytes written = expected;
    {
      Writer to(written);
      for (int i = 0; i < 60; ++i) {
        const Bytes piece(rng.below(rng.chance(0.2) ? 3000 : 90), static_cast<std::uint8_t>(i));
        to.raw(piece);
        expected.insert(expected.end(), piece.begin(), piece.end());
        if (rng.chance(0.5)) to.nil(), expected.push_back(0xc0);
        CHECK(to.size() == expected.size());
      }
    }
    CHECK(written == expected);
  }
}

TEST_CASE("message: random ones are read back as they were written") {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto name = std::string(1 + rng.below(kNameBytesMax), 'n');
    const auto event = "e" + samples::random_text(rng);
    const Target to = rng.chance(0.5) ? Target(std::string_view(name)) : Target(rng.next());
    const auto from = samples::random_integer<std::uint64_t>(rng);
    const auto id = samples::random_integer<std::uint64_t>(rng);
    const auto payload = encode(samples::random_value(rng));
    const auto put = [&](Bytes& out) { out.insert(out.end(), payload.begin(), payload.end()); };
    const auto same_payload = [&](ByteView view) {
      return std::equal(view.begin(), view.end(), payload.begin(), payload.end());
    };

    Bytes bytes;
    begin_cast(bytes, {.to = to, .from = from, .event = event});
    put(bytes);
    auto message = decode_message(bytes);
    REQUIRE(message);
    const auto& cast = std::get<CastView>(*message);
    CHECK(cast.head.to == to);
    CHECK(cast.head.from == from);
    CHECK(cast.head.event == event);
    CHECK(same_payload(cast.payload));

    bytes.clear();
    const auto ttl = std::chrono::milliseconds(rng.below(100'000));
    begin_call(bytes, {.id = id, .to = to, .from = from, .event = event, .ttl = ttl});
    put(bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      REQUIRE_FALSE(decode_message(ByteView(bytes).first(size)));
    message = decode_message(bytes);
    REQUIRE(message);
    const auto& call = std::get<CallView>(*message);
    CHECK(call.head.id == id);
    CHECK(call.head.to == to);
    CHECK(call.head.ttl == ttl);
    CHECK(call.head.event == event);
    CHECK(same_payload(call.payload));

    bytes.clear();
    begin_reply(bytes, id);
    put(bytes);
    message = decode_message(bytes);
    REQUIRE(message);
    CHECK(std::get<ReplyView>(*message).id == id);
    CHECK(same_payload(std::get<ReplyView>(*message).payload));

    bytes.clear();
    const Error error(static_cast<Errc>(rng.below(65536)), samples::random_text(rng),
                      static_cast<Executed>(rng.below(3)));
    write_error(bytes, id, error);
    message = decode_message(bytes);
    REQUIRE(message);
    CHECK(std::get<ErrorView>(*message).id == id);
    CHECK(std::get<ErrorView>(*message).error() == error);
  }
}

TEST_CASE("message: an unknown kind is told apart from a broken one") {
  CHECK(decode_message(unhex("920501")).error().code() == Errc::incompatible);
  CHECK(decode_message(unhex("91cfffffffffffffffff")).error().code() == Errc::incompatible);
  CHECK(error_of("920501") == "unknown message kind 5");
  CHECK(error_of("930402c0") == "unknown cast 2");
  for (const auto* broken : {"", "90", "91ff", "91a0", "80", "05", "c0", "9500", "9102"}) {
    CAPTURE(broken);
    const auto message = decode_message(unhex(broken));
    REQUIRE_FALSE(message);
    CHECK(message.error().code() == Errc::bad_message);
  }
}

TEST_CASE("message: what is wrong is said by field") {
  CHECK(error_of("90") == "an empty array is no message");
  CHECK(error_of("9400a16105a165") == "message kind 0 has 5 elements, found 4");
  CHECK(error_of("9500c300a165c0") == "field 'to': expected a name or a serial, found a boolean at byte 2");
  CHECK(error_of("9500a000a165c0") == "field 'to': a name has 1 to 255 bytes");
  CHECK(error_of("9500ff00a165c0") == "field 'to': -1 does not fit uint64");
  CHECK(error_of("9500a161a0a165c0") == "field 'from': expected an integer, found a string at byte 4");
  CHECK(error_of("9500a1610005c0") == "field 'event': expected a name, found an integer at byte 5");
  CHECK(error_of("9500a16100c40165c0") == "field 'event': expected a name, found bytes at byte 5");
  CHECK(error_of("9500a16100a165c1") ==
        "field 'payload': expected a value, found the unused tag c1 at byte 7");
  CHECK(error_of("9701ff"
                 "0700a165cd1388c0") == "field 'id': -1 does not fit uint64");
  CHECK(error_of("9302"
                 "01c0c0") == "1 bytes after the message");
  CHECK(error_of("950301ce00010000a000") == "field 'code': 65536 does not fit uint16");
  CHECK(error_of("95030103a003") == "field 'executed': expected 0, 1 or 2");
}

TEST_CASE("message: elements that a later version adds behind ours go by") {
  const auto bytes = unhex("950201c081a16101d40102");
  const auto message = decode_message(bytes);
  REQUIRE(message);
  CHECK(std::get<ReplyView>(*message).id == 1);
  CHECK(hex(std::get<ReplyView>(*message).payload) == "c0");
  CHECK_FALSE(decode_message(unhex("940201c0")));
}

TEST_CASE("message: names and error texts have their bounds on both sides") {
  const auto with_event = [](std::size_t size) {
    Bytes bytes = unhex("9500a16100");
    encode_to(bytes, std::string(size, 'e'));
    bytes.push_back(0xc0);
    return bytes;
  };
  CHECK(decode_message(with_event(kNameBytesMax)));
  CHECK_FALSE(decode_message(with_event(kNameBytesMax + 1)));
  CHECK_FALSE(decode_message(with_event(0)));

  const auto with_text = [](std::size_t size) {
    Bytes bytes = unhex("95030103");
    encode_to(bytes, std::string(size, 't'));
    bytes.push_back(0);
    return bytes;
  };
  CHECK(decode_message(with_text(kErrorTextBytesMax)));
  CHECK_FALSE(decode_message(with_text(kErrorTextBytesMax + 1)));

  Bytes bytes;
  std::string euros;
  while (euros.size() < 5000) euros += "\u20ac";  // three bytes each
  write_error(bytes, 1, Error(Errc::refused, euros));
  const auto cut = std::get<ErrorView>(decode_message(bytes).value()).text;
  CHECK(cut.size() == kErrorTextBytesMax - kErrorTextBytesMax % 3);
}

TEST_CASE("message: a caller's time beyond the bound is taken for the bound, a negative one for none") {
  const auto ttl_of = [](ByteView bytes) {
    return std::get<CallView>(decode_message(bytes).value()).head.ttl;
  };
  CHECK(ttl_of(unhex("970101a16100a165cfffffffffffffffffc0")) == kTtlMax);
  Bytes bytes;
  begin_call(bytes, {.id = 1, .to = "a", .event = "e", .ttl = -5ms});
  bytes.push_back(0xc0);
  CHECK(ttl_of(bytes) == 0ms);
}

TEST_CASE("message: a ttl is lowered in place, in the bytes that it has") {
  for (const auto ttl : {1ms, 127ms, 128ms, 255ms, 256ms, 65'535ms, 65'536ms, 4'294'967'296ms}) {
    for (const auto left : {-1ms, 0ms, 1ms, 100ms, 200ms, 60'000ms, 5'000'000'000ms}) {
      CAPTURE(ttl.count());
      CAPTURE(left.count());
      Bytes bytes;
      const auto at = begin_call(bytes, {.id = 1, .to = "a", .event = "e", .ttl = ttl});
      const auto size = bytes.size();
      if (left <= ttl) set_ttl(bytes.data() + at, left);
      CHECK(bytes.size() == size);
      bytes.push_back(0xc0);
      const auto expected = left <= ttl ? std::max(left, 1ms) : ttl;
      CHECK(std::get<CallView>(decode_message(bytes).value()).head.ttl == expected);
    }
  }
}
