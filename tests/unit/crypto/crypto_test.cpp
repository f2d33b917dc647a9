// Known answers from FIPS 180-4, RFC 4231, RFC 5869, RFC 7748 and RFC 7914.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "cluster/base/bytes.hpp"
#include "cluster/crypto/hkdf.hpp"
#include "cluster/crypto/hmac.hpp"
#include "cluster/crypto/random.hpp"
#include "cluster/crypto/scrypt.hpp"
#include "cluster/crypto/secret.hpp"
#include "cluster/crypto/sha256.hpp"
#include "cluster/crypto/x25519.hpp"
#include "unhex.hpp"

using namespace cluster;
using namespace cluster::crypto;

namespace {

Bytes repeated(std::size_t count, std::uint8_t byte) { return Bytes(count, byte); }
X25519Public point(std::string_view text) {
  X25519Public key{};
  std::ranges::copy(unhex(text), key.begin());
  return key;
}

}  // namespace

TEST_CASE("sha256: the examples of FIPS 180-4, the empty message and a million bytes") {
  struct Row {
    std::string message, digest;
  };
  const std::array rows{
      Row{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      Row{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      Row{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      Row{std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const auto& row : rows) CHECK(hex(sha256(as_bytes(row.message))) == row.digest);
}

TEST_CASE("hmac: the cases of RFC 4231, whole and in parts") {
  struct Row {
    Bytes key, message;
    std::string code;  // case 5 of the RFC is cut to 16 bytes
  };
  const auto text = [](std::string_view t) { return Bytes(t.begin(), t.end()); };
  const std::array rows{
      Row{repeated(20, 0x0b), text("Hi There"),
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      Row{text("Jefe"), text("what do ya want for nothing?"),
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      Row{repeated(20, 0xaa), repeated(50, 0xdd),
          "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      Row{unhex("0102030405060708090a0b0c0d0e0f10111213141516171819"), repeated(50, 0xcd),
          "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      Row{repeated(20, 0x0c), text("Test With Truncation"), "a3b6167473100ee06e0c796c2955552b"},
      Row{repeated(131, 0xaa), text("Test Using Larger Than Block-Size Key - Hash Key First"),
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      Row{repeated(131, 0xaa),
          text("This is a test using a larger than block-size key and a larger than block-size data. The key "
               "needs to "
               "be hashed before being used by the HMAC algorithm."),
          "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.code);
    Hmac hmac(row.key);
    const auto whole = hmac.sign(row.message);
    CHECK(hex(whole).substr(0, row.code.size()) == row.code);
    for (const std::size_t cut :
         {std::size_t{0}, std::size_t{1}, row.message.size() / 2, row.message.size()}) {
      const ByteView message(row.message);
      CHECK(hmac.sign({message.first(cut), message.subspan(cut)}) == whole);
    }
    Hmac moved = std::move(hmac);
    CHECK(moved.sign(row.message) == whole);
  }
}

TEST_CASE("constant-time comparison: equal, one bit off anywhere, and another length") {
  const Bytes tag = unhex("00112233445566778899aabbccddeeff");
  CHECK(equal_in_constant_time(tag, Bytes(tag)));
  CHECK(equal_in_constant_time({}, {}));
  CHECK_FALSE(equal_in_constant_time(tag, ByteView(tag).first(15)));
  for (std::size_t bit = 0; bit < tag.size() * 8; ++bit) {
    Bytes other = tag;
    other[bit / 8] = static_cast<std::uint8_t>(other[bit / 8] ^ (1u << (bit % 8)));
    CHECK_FALSE(equal_in_constant_time(tag, other));
  }
}

TEST_CASE("hkdf: the SHA-256 cases of RFC 5869, and both ends of the length") {
  const auto counting = [](std::uint8_t from, std::size_t count) {
    Bytes bytes(count);
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(from + i);
    return bytes;
  };
  const Bytes key = repeated(22, 0x0b);
  CHECK(hex(hkdf_extract(counting(0, 13), key)) ==
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
  CHECK(hex(hkdf_sha256(key, counting(0, 13), counting(0xf0, 10), 42)) ==
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  CHECK(hex(hkdf_sha256(counting(0, 80), counting(0x60, 80), counting(0xb0, 80), 82)) ==
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da32"
        "75600c2f"
        "09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
  CHECK(hex(hkdf_sha256(key, {}, {}, 42)) ==
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
  CHECK(hkdf_sha256(key, {}, {}, 0).empty());
  const auto longest = hkdf_sha256(key, {}, {}, kHkdfBytesMax);
  CHECK(longest.size() == kHkdfBytesMax);
  CHECK(hex(longest.view().first(42)) == hex(hkdf_sha256(key, {}, {}, 42)));
}

TEST_CASE("x25519: the vectors of RFC 7748 sections 5.2 and 6.1") {
  const auto multiply = [](std::string_view scalar, std::string_view u) {
    return hex(x25519(SecretBytes(unhex(scalar)), point(u)).value());
  };
  CHECK(multiply("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                 "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c") ==
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  CHECK(multiply("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                 "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493") ==
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");

  const auto alice =
      x25519_from_secret(unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")).value();
  const auto bob =
      x25519_from_secret(unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")).value();
  CHECK(hex(alice.public_key) == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  CHECK(hex(bob.public_key) == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const std::string shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  CHECK(hex(x25519(alice.secret, bob.public_key).value()) == shared);
  CHECK(hex(x25519(bob.secret, alice.public_key).value()) == shared);
}

TEST_CASE("x25519: fresh pairs agree and differ; secrets of another length are refused") {
  const auto a = x25519_generate();
  const auto b = x25519_generate();
  CHECK(a.public_key != b.public_key);
  CHECK(
      equal_in_constant_time(x25519(a.secret, b.public_key).value(), x25519(b.secret, a.public_key).value()));
  for (const std::size_t size : {0u, 31u, 33u}) {
    CHECK_FALSE(x25519(SecretBytes(size), b.public_key).has_value());
    CHECK_FALSE(x25519_from_secret(Bytes(size)).has_value());
  }
}

TEST_CASE("x25519: points of small order are refused, also with the unused top bit set") {
  const auto own = x25519_generate();
  for (const char* u : {"0000000000000000000000000000000000000000000000000000000000000000",
                        "0100000000000000000000000000000000000000000000000000000000000000",
                        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                        "0000000000000000000000000000000000000000000000000000000000000080"}) {
    CAPTURE(u);
    const auto shared = x25519(own.secret, point(u));
    REQUIRE_FALSE(shared.has_value());
    CHECK(shared.error().code() == Errc::refused);
  }
}

TEST_CASE("scrypt: the vectors of RFC 7914 that fit our memory limit") {
  CHECK(hex(scrypt({}, {}, {.n = 16, .r = 1, .p = 1}, 64).value()) ==
        "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3"
        "e0fb2e0d"
        "3628cf35e20c38d18906");
  CHECK(hex(scrypt(as_bytes("password"), as_bytes("NaCl"), {.n = 1024, .r = 8, .p = 16}, 64).value()) ==
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727"
        "afb94a83"
        "ee6d8360cbdfa2cc0640");
  CHECK(hex(scrypt(as_bytes("pleaseletmein"), as_bytes("SodiumChloride"), {.n = 16384, .r = 8, .p = 1}, 64)
                .value()) ==
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e"
        "85dc0d65"
        "1e40dfcf017b45575887");
}

TEST_CASE("scrypt: a cost that nobody can pay is an error, not a failed allocation") {
  const auto code = [](ScryptCost cost, std::size_t length) {
    const auto key = scrypt(as_bytes("p"), as_bytes("s"), cost, length);
    return key ? std::string("ok") : std::string(name(key.error().code()));
  };
  CHECK(code({.n = 2, .r = 1, .p = 1}, 1) == "ok");
  CHECK(code({.n = 1, .r = 1, .p = 1}, 32) == "invalid_argument");
  CHECK(code({.n = 3, .r = 1, .p = 1}, 32) == "invalid_argument");
  CHECK(code({.n = 1u << 20, .r = 8, .p = 1}, 32) == "invalid_argument");
  CHECK(code({.n = 16, .r = 0, .p = 1}, 32) == "invalid_argument");
  CHECK(code({.n = 16, .r = 1, .p = 1u << 31}, 32) == "invalid_argument");
  CHECK(code({.n = 16, .r = 1, .p = 1}, 0) == "invalid_argument");
}

TEST_CASE("secret bytes: moving empties the source, wiping leaves only zeros") {
  SecretBytes secret(unhex("0102030405"));
  const SecretBytes twin = secret.copy();
  SecretBytes moved = std::move(secret);
  CHECK(hex(moved) == "0102030405");
  CHECK(secret.empty());  // NOLINT: the state after a move is stated in the header
  moved = twin.copy();
  CHECK(hex(moved) == hex(twin));
  wipe(moved.span());
  CHECK(hex(moved) == "0000000000");
}

TEST_CASE("random: fills what it is given, also nothing, and does not repeat itself") {
  random_bytes({});
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random_u64());
  CHECK(seen.size() == 1000);
  Bytes many(3u << 20);
  random_bytes(many);
  std::array<std::size_t, 256> counts{};
  for (const auto byte : many) ++counts[byte];
  for (const auto count : counts) CHECK((count > 11'000 && count < 13'600));  // 12,288 +- 11 sigma
}
