#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "cluster/base/bytes.hpp"
#include "cluster/base/rng.hpp"
#include "cluster/crypto/hmac_lanes.hpp"
#include "random_bytes.hpp"

using namespace cluster;
using namespace cluster::crypto;
using cluster::testing::random_bytes;

namespace {

/// Signs all messages at once and compares with one Hmac, message by message.
void check(ByteView key, const std::vector<Bytes>& heads, const std::vector<Bytes>& bodies) {
  HmacLanes lanes(key);
  Hmac one(key);
  std::vector<HmacLanes::Message> messages;
  for (std::size_t i = 0; i < heads.size(); ++i) messages.push_back({heads[i], bodies[i]});
  std::vector<Digest> codes(messages.size());
  lanes.sign(messages, codes);
  for (std::size_t i = 0; i < heads.size(); ++i) {
    CAPTURE(heads.size());
    CAPTURE(i);
    CAPTURE(heads[i].size());
    CAPTURE(bodies[i].size());
    CHECK(codes[i] == one.sign({heads[i], bodies[i]}));
  }
}

}  // namespace

TEST_CASE("hmac lanes: a message alone has the code of RFC 4231 case 2, wherever it is cut") {
  const auto key = as_bytes("Jefe");
  const auto message = as_bytes("what do ya want for nothing?");
  for (std::size_t cut = 0; cut <= message.size(); ++cut) {
    const std::array messages{HmacLanes::Message{message.first(cut), message.subspan(cut)}};
    std::array<Digest, 1> codes;
    HmacLanes(key).sign(messages, codes);
    CHECK(hex(codes[0]) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  }
}

TEST_CASE("hmac lanes: every length around the blocks of the hash has the code of one Hmac") {
  Rng rng(1);
  for (std::size_t head = 0; head < HmacLanes::kHeadBytesMax; head += 7)
    for (std::size_t body = 0; body < 200; ++body)
      check(random_bytes(rng, 32), {random_bytes(rng, head)}, {random_bytes(rng, body)});
}

TEST_CASE("hmac lanes: any number of messages of any lengths have the codes of one Hmac") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const std::size_t count = rng.below(11);
    const std::size_t longest = seed % 10 == 0 ? 70'000 : 600;
    std::vector<Bytes> heads, bodies;
    for (std::size_t i = 0; i < count; ++i) {
      heads.push_back(random_bytes(rng, rng.below(HmacLanes::kHeadBytesMax)));
      bodies.push_back(random_bytes(rng, rng.below(longest)));
    }
    check(random_bytes(rng, rng.below(100)), heads, bodies);
  }
}

TEST_CASE("hmac lanes: signing leaves nothing behind for the next messages") {
  Rng rng(7);
  const Bytes key = random_bytes(rng, 32);
  const Bytes body = random_bytes(rng, 5'000);
  HmacLanes lanes(key);
  const std::array messages{HmacLanes::Message{{}, body},
                            HmacLanes::Message{{}, ByteView(body).first(1'000)}};
  std::array<Digest, 2> first, second;
  lanes.sign(messages, first);
  HmacLanes moved(std::move(lanes));
  moved.sign(messages, second);
  CHECK(first == second);
}
