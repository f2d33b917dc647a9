#include "cluster/ds/position.hpp"

#include <algorithm>

#include "hash.hpp"

namespace cluster {
namespace {

// A digest of 256 bits is 42 base64 values of 6 bits and one of 4: a last letter has the value 4 v, v =
// 0..15, and its rank is 4 v + 12, or 4 v - 50 from v = 13 on. The upper 4 bits of that are (v + 3) modulo
// 16, so they say all: a position has 256 bits too, and digests and positions correspond one to one.

std::uint64_t load_48(const std::uint8_t* from) noexcept {
  return std::uint64_t{load_be<std::uint32_t>(from)} << 16 | load_be<std::uint16_t>(from + 4);
}

void store_48(std::uint8_t* to, std::uint64_t value) noexcept {
  store_be(to, static_cast<std::uint32_t>(value >> 16));
  store_be(to + 4, static_cast<std::uint16_t>(value));
}

/// Maps the base64 values of 32 bytes: eight at a time by `ten_values`, which could do ten, and the last one
/// by adding `last_shift` modulo 16.
template <class Map>
std::array<std::uint8_t, 32> map_values(const std::array<std::uint8_t, 32>& from, Map ten_values,
                                        unsigned last_shift) noexcept {
  std::array<std::uint8_t, 32> to{};
  for (std::size_t at = 0; at < 30; at += 6) store_48(&to[at], ten_values(load_48(&from[at])));
  const auto end = load_be<std::uint16_t>(&from[30]);
  store_be(&to[30],
           static_cast<std::uint16_t>((ten_values(end >> 4) & 0xfff) << 4 | ((end + last_shift) & 15)));
  return to;
}

/// The inverse of base64_ranks.
std::uint64_t base64_values(std::uint64_t ranks) noexcept {
  std::uint64_t values = 0;
  for (int shift = 0; shift < 60; shift += 6) {
    const std::uint64_t rank = ranks >> shift & 63;
    values |= (rank < 2 ? rank + 62 : rank < 12 ? rank + 50 : rank - 12) << shift;
  }
  return values;
}

Position position_from_digest(const crypto::Digest& digest) noexcept {
  const auto bytes = map_values(digest, detail::base64_ranks, 3);
  Position position;
  for (std::size_t i = 0; i < 4; ++i) position.words[i] = load_be<std::uint64_t>(&bytes[8 * i]);
  return position;
}

crypto::Digest digest_of(const Position& position) noexcept {
  std::array<std::uint8_t, 32> bytes{};
  for (std::size_t i = 0; i < 4; ++i) store_be(&bytes[8 * i], position.words[i]);
  return map_values(bytes, base64_values, 13);
}

}  // namespace

std::string_view name(HashPolicy policy) noexcept { return policy == HashPolicy::xxh3 ? "xxh3" : "sha256"; }

std::optional<HashPolicy> hash_policy_from_name(std::string_view text) noexcept {
  for (const auto policy : {HashPolicy::sha256, HashPolicy::xxh3})
    if (text == name(policy)) return policy;
  return std::nullopt;
}

Position position_of(HashPolicy policy, std::string_view text) noexcept {
  if (policy == HashPolicy::xxh3) return {{detail::xxh3(text)}};
  return position_from_digest(crypto::sha256(as_bytes(text)));
}

std::string position_text(HashPolicy policy, const Position& position) {
  if (policy == HashPolicy::sha256) return base64(digest_of(position));
  std::array<std::uint8_t, 8> bytes;
  store_be(bytes.data(), position.words[0]);
  return hex(bytes);
}

std::optional<Position> position_from_text(HashPolicy policy, std::string_view text) {
  const auto bytes = policy == HashPolicy::sha256 ? from_base64(text) : from_hex(text);
  if (!bytes || bytes->size() != (policy == HashPolicy::sha256 ? 32 : 8)) return std::nullopt;
  if (policy == HashPolicy::xxh3) return Position{{load_be<std::uint64_t>(bytes->data())}};
  crypto::Digest digest;
  std::ranges::copy(*bytes, digest.begin());
  return position_from_digest(digest);
}

bool Arc::contains(const Position& position) const noexcept {
  if (begin < end) return begin <= position && position < end;
  return begin <= position || position < end;
}

double Arc::fraction() const noexcept {
  const std::uint64_t length = end.words[0] - begin.words[0];  // modulo 2^64, as the ring is round
  if (length == 0 && end <= begin) return 1.0;
  return static_cast<double>(length) * 0x1p-64;
}

}  // namespace cluster
