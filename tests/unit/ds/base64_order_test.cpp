#include "base64_order.hpp"

#include <doctest/doctest.h>

#include <string>

#include "cluster/base/bytes.hpp"
#include "cluster/base/rng.hpp"

using namespace cluster;

namespace {

crypto::Digest random_digest(Rng& rng) {
  crypto::Digest digest;
  for (auto& byte : digest) byte = static_cast<std::uint8_t>(rng.below(256));
  return digest;
}

void check_order(const crypto::Digest& a, const crypto::Digest& b) {
  const std::string text_a = base64(a);
  const std::string text_b = base64(b);
  CHECK((detail::base64_compare(a, b) < 0) == (text_a < text_b));
  CHECK((detail::base64_compare(a, b) == 0) == (text_a == text_b));
  if (detail::base64_prefix(a) < detail::base64_prefix(b)) CHECK(text_a < text_b);
}

}  // namespace

TEST_CASE("base64 order: digests compare as their texts do, whichever bit is the first to differ") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
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
