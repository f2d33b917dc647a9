#include "cluster/crypto/aes_gcm.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "cluster/base/rng.hpp"
#include "random_bytes.hpp"
#include "unhex.hpp"

using namespace cluster;
using namespace cluster::crypto;
using cluster::testing::random_bytes;

namespace {

using Direction = AesGcm::Direction;

GcmNonce nonce_of(ByteView bytes) {
  GcmNonce nonce{};
  std::ranges::copy(bytes, nonce.begin());
  return nonce;
}

struct Sealed {
  Bytes text;
  GcmTag tag;
  friend bool operator==(const Sealed&, const Sealed&) = default;
};
Sealed encrypted(AesGcm& gcm, const GcmNonce& nonce, ByteView associated, ByteView plain) {
  Sealed sealed{Bytes(plain.size()), {}};
  gcm.begin(nonce, associated);
  gcm.update(plain, sealed.text.data());
  sealed.tag = gcm.finish();
  return sealed;
}

}  // namespace

TEST_CASE("aes-gcm: the 256-bit cases of the mode's authors") {
  // McGrew, Viega: The Galois/Counter Mode of Operation, appendix B, cases 13 to 16.
  struct Row {
    std::string_view key, nonce, plain, associated, cipher, tag;
  };
  constexpr std::string_view kZeros = "0000000000000000000000000000000000000000000000000000000000000000";
  constexpr std::string_view kKey = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
  constexpr std::string_view kPlain =
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
      "b16aedf5aa0de657ba637b391aafd255";
  constexpr std::string_view kCipher =
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
      "c5f61e6393ba7a0abcc9f662898015ad";
  const std::array rows{
      Row{kZeros, kZeros.substr(0, 24), "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
      Row{kZeros, kZeros.substr(0, 24), kZeros.substr(0, 32), "", "cea7403d4d606b6e074ec5d3baf39d18",
          "d0d1c8a799996bf0265b98b5d48ab919"},
      Row{kKey, "cafebabefacedbaddecaf888", kPlain, "", kCipher, "b094dac5d93471bdec1a502270e3cc6c"},
      Row{kKey, "cafebabefacedbaddecaf888", kPlain.substr(0, 120), "feedfacedeadbeeffeedfacedeadbeefabaddad2",
          kCipher.substr(0, 120), "76fc6ece0f4e1768cddf8853bb2d551b"}};
  for (const auto& row : rows) {
    CAPTURE(row.tag);
    AesGcm encrypting(Direction::encrypt, unhex(row.key));
    const auto nonce = nonce_of(unhex(row.nonce));
    const Sealed sealed = encrypted(encrypting, nonce, unhex(row.associated), unhex(row.plain));
    CHECK(hex(sealed.text) == row.cipher);
    CHECK(hex(sealed.tag) == row.tag);

    AesGcm decrypting(Direction::decrypt, unhex(row.key));
    Bytes text = sealed.text;
    decrypting.begin(nonce, unhex(row.associated));
    decrypting.update(text, text.data());
    CHECK(hex(text) == row.plain);
    CHECK(decrypting.finish(sealed.tag));
  }
}

TEST_CASE("aes-gcm: pieces of any size to any place make what the whole makes, for every length") {
  Rng rng(11);
  const Bytes key = random_bytes(rng, kGcmKeyBytes);
  AesGcm whole(Direction::encrypt, key);
  AesGcm encrypting(Direction::encrypt, key);
  AesGcm decrypting(Direction::decrypt, key);
  for (std::size_t size = 0; size < 1'200; ++size) {
    CAPTURE(size);
    const auto nonce = nonce_of(random_bytes(rng, 12));
    const Bytes associated = random_bytes(rng, size % 50);
    const Bytes plain = random_bytes(rng, size);
    const Sealed expected = encrypted(whole, nonce, associated, plain);

    const auto in_pieces = [&](AesGcm& gcm, ByteView from) {
      Bytes shifted(rng.below(64));  // so that the place has any alignment
      const std::size_t begin = shifted.size();
      shifted.insert(shifted.end(), from.begin(), from.end());
      gcm.begin(nonce, associated);
      for (std::size_t at = 0; at < from.size();) {
        const std::size_t count =
            std::min<std::size_t>(rng.below(3) == 0 ? rng.below(700) : rng.below(40), from.size() - at);
        const bool in_place = rng.below(2) == 0;
        gcm.update(in_place ? ByteView(shifted).subspan(begin + at, count) : from.subspan(at, count),
                   shifted.data() + begin + at);
        at += count;
      }
      return Bytes(shifted.begin() + static_cast<std::ptrdiff_t>(begin), shifted.end());
    };
    REQUIRE(in_pieces(encrypting, plain) == expected.text);
    REQUIRE(encrypting.finish() == expected.tag);
    REQUIRE(in_pieces(decrypting, expected.text) == plain);
    REQUIRE(decrypting.finish(expected.tag));
  }
}

TEST_CASE("aes-gcm: a flipped bit of nonce, associated data, text or tag is noticed, and so is another key") {
  Rng rng(12);
  const Bytes key = random_bytes(rng, kGcmKeyBytes);
  const Bytes whole = random_bytes(rng, 12 + 8 + 150);
  AesGcm encrypting(Direction::encrypt, key);
  AesGcm decrypting(Direction::decrypt, key);
  const auto split = [](ByteView bytes) {
    return std::array{bytes.first(12), bytes.subspan(12, 8), bytes.subspan(20, 150)};
  };
  const auto [nonce, associated, plain] = split(whole);
  const Sealed sealed = encrypted(encrypting, nonce_of(nonce), associated, plain);
  Bytes travelling(whole.begin(), whole.begin() + 20);
  travelling.insert(travelling.end(), sealed.text.begin(), sealed.text.end());
  travelling.insert(travelling.end(), sealed.tag.begin(), sealed.tag.end());
  const auto opens = [&](AesGcm& gcm, const Bytes& bytes) {
    const auto parts = split(bytes);
    Bytes text(150);
    gcm.begin(nonce_of(parts[0]), parts[1]);
    gcm.update(parts[2], text.data());
    return gcm.finish(ByteView(bytes).subspan(170));
  };
  CHECK(opens(decrypting, travelling));
  for (std::size_t bit = 0; bit < travelling.size() * 8; ++bit) {
    CAPTURE(bit);
    Bytes changed = travelling;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    CHECK_FALSE(opens(decrypting, changed));
  }
  AesGcm other(Direction::decrypt, random_bytes(rng, kGcmKeyBytes));
  CHECK_FALSE(opens(other, travelling));
  CHECK_FALSE(opens(decrypting, Bytes(travelling.begin(), travelling.end() - 1)));  // a tag cut short
}

TEST_CASE("aes-gcm: a message that was begun and not finished leaves nothing behind, and a move keeps all") {
  Rng rng(13);
  const Bytes key = random_bytes(rng, kGcmKeyBytes);
  const Bytes plain = random_bytes(rng, 100);
  AesGcm fresh(Direction::encrypt, key);
  const Sealed expected = encrypted(fresh, {}, {}, plain);
  AesGcm used(Direction::encrypt, key);
  Bytes waste(37);
  used.begin({}, as_bytes("something else"));
  used.update(ByteView(plain).first(37), waste.data());
  AesGcm moved = std::move(used);
  CHECK(encrypted(moved, {}, {}, plain) == expected);
}
