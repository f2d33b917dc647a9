#include "cluster/ds/position.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "base64_order.hpp"
#include "cluster/base/bytes.hpp"
#include "cluster/base/rng.hpp"

using namespace cluster;

namespace {

crypto::Digest random_digest(Rng& rng) {
  crypto::Digest digest;
  for (auto& byte : digest) byte = static_cast<std::uint8_t>(rng.below(256));
  return digest;
}

Position position_from(const crypto::Digest& digest) {
  return position_from_text(HashPolicy::sha256, base64(digest)).value();
}

void check_order(const crypto::Digest& a, const crypto::Digest& b) {
  const std::string text_a = base64(a);
  const std::string text_b = base64(b);
  CHECK((position_from(a) < position_from(b)) == (text_a < text_b));
  CHECK((position_from(a) == position_from(b)) == (text_a == text_b));
}

Position at(std::uint64_t word) { return {{word}}; }

}  // namespace

TEST_CASE("position: digests order as their base64 texts do, whichever bit is the first to differ") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto a = random_digest(rng);
    check_order(a, a);
    for (std::size_t bit = 0; bit < a.size() * 8; ++bit) {
      auto b = random_digest(rng);  // equal up to `bit`, different there, anything after it
      for (std::size_t i = 0; i < bit / 8; ++i) b[i] = a[i];
      const auto low = static_cast<std::uint8_t>(0xff >> (bit % 8));
      b[bit / 8] = static_cast<std::uint8_t>((a[bit / 8] & ~low) | (b[bit / 8] & low));
      b[bit / 8] = static_cast<std::uint8_t>((b[bit / 8] & ~(0x80 >> (bit % 8))) |
                                             (~a[bit / 8] & (0x80 >> (bit % 8))));
      check_order(a, b);
      check_order(b, a);
    }
  }
}

TEST_CASE("position: ranks of base64 values are the places of their letters in ASCII order, in every place") {
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string sorted = letters;
  std::ranges::sort(sorted);
  for (std::uint64_t value = 0; value < 64; ++value)
    for (int shift = 0; shift < 60; shift += 6) {
      CAPTURE(value);
      CAPTURE(shift);
      CHECK((detail::base64_ranks(value << shift) >> shift & 63) == sorted.find(letters[value]));
      const std::uint64_t others = ~(std::uint64_t{63} << shift);  // whatever stands beside it
      CHECK((detail::base64_ranks(value << shift | others) >> shift & 63) == sorted.find(letters[value]));
    }
}

TEST_CASE("position: the first word is the prefix that a search computes alone") {
  Rng rng(1);
  for (int i = 0; i < 2'000; ++i) {
    const auto digest = random_digest(rng);
    CHECK(position_from(digest).words[0] == detail::base64_prefix(digest));
  }
}

TEST_CASE("position: a text is read back, and is the base64 of the digest or 16 hexadecimal digits") {
  Rng rng(2);
  for (int i = 0; i < 2'000; ++i) {
    const auto text = std::to_string(rng.next());
    const auto digest = crypto::sha256(as_bytes(text));
    const auto secure = position_of(HashPolicy::sha256, text);
    CHECK(position_text(HashPolicy::sha256, secure) == base64(digest));
    CHECK(position_from_text(HashPolicy::sha256, base64(digest)) == secure);
    const auto fast = position_of(HashPolicy::xxh3, text);
    CHECK(position_from_text(HashPolicy::xxh3, position_text(HashPolicy::xxh3, fast)) == fast);
    CHECK(position_text(HashPolicy::xxh3, fast).size() == 16);
  }
  // Every last letter that 32 bytes can have.
  for (unsigned last = 0; last < 16; ++last) {
    crypto::Digest digest{};
    digest.back() = static_cast<std::uint8_t>(last);
    CHECK(position_text(HashPolicy::sha256, position_from(digest)) == base64(digest));
  }
  for (const char* text :
       {"", "abc", "00112233445566", "001122334455667", "001122334455667g", "00112233445566778"})
    CHECK_FALSE(position_from_text(HashPolicy::xxh3, text));
  for (const char* text : {"", "abc", "kzMt7C+SJZbxNQmrL3vhpfJ+a0RgPiGlRhrxwS57RWI"})
    CHECK_FALSE(position_from_text(HashPolicy::sha256, text));
}

TEST_CASE("position: xxh3 gives the published values of its reference implementation, seed 0") {
  CHECK(position_text(HashPolicy::xxh3, position_of(HashPolicy::xxh3, "")) == "2d06800538d394c2");
  CHECK(position_text(HashPolicy::xxh3, position_of(HashPolicy::xxh3, "a")) == "e6c632b61e964e1f");
  CHECK(position_text(HashPolicy::xxh3, position_of(HashPolicy::xxh3, "abc")) == "78af5f94892f3950");
  CHECK(position_of(HashPolicy::xxh3, std::string(1'000, 'x')).words[1] == 0);
}

TEST_CASE("position: policies have names, and other names are none") {
  for (const auto policy : {HashPolicy::sha256, HashPolicy::xxh3})
    CHECK(hash_policy_from_name(name(policy)) == policy);
  CHECK_FALSE(hash_policy_from_name("md5"));
  CHECK_FALSE(hash_policy_from_name(""));
}

TEST_CASE("arc: it has its begin and not its end, also across zero, and is everything if they are equal") {
  const Arc plain{at(10), at(20)};
  CHECK_FALSE(plain.contains(at(9)));
  CHECK(plain.contains(at(10)));
  CHECK(plain.contains(at(19)));
  CHECK_FALSE(plain.contains(at(20)));
  CHECK(plain.contains({{19, ~0ull, ~0ull, ~0ull}}));
  const Arc across{at(20), at(10)};
  CHECK(across.contains(at(20)));
  CHECK(across.contains(at(~0ull)));
  CHECK(across.contains(at(0)));
  CHECK(across.contains(at(9)));
  CHECK_FALSE(across.contains(at(10)));
  CHECK_FALSE(across.contains(at(19)));
  const Arc whole{at(5), at(5)};
  for (const std::uint64_t word : {0ull, 4ull, 5ull, 6ull, ~0ull}) CHECK(whole.contains(at(word)));
}

TEST_CASE("arc: its fraction is its part of 2^64 first words") {
  CHECK(Arc{at(0), at(1ull << 63)}.fraction() == 0.5);
  CHECK(Arc{at(1ull << 63), at(0)}.fraction() == 0.5);
  CHECK(Arc{at(3ull << 62), at(1ull << 62)}.fraction() == 0.5);
  CHECK(Arc{at(7), at(7)}.fraction() == 1.0);
  CHECK(Arc{at(7), at(8)}.fraction() == 0x1p-64);
  CHECK(Arc{at(7), {{7, 1}}}.fraction() == 0.0);  // shorter than the first words can tell
  CHECK(Arc{{{7, 1}}, at(7)}.fraction() == 1.0);
}
