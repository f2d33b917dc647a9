#pragma once
// Header-only: nothing to link, and short keys are hashed inline.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <string_view>

#include "base64_order.hpp"
#include "cluster/crypto/sha256.hpp"
#include "cluster/ds/position.hpp"

namespace cluster::detail {

[[nodiscard]] inline std::uint64_t xxh3(std::string_view text) noexcept {
  return XXH3_64bits(text.data(), text.size());
}

/// The first word of `position_of(policy, text)`, which decides nearly every search.
[[nodiscard]] inline std::uint64_t first_word(HashPolicy policy, std::string_view text) noexcept {
  return policy == HashPolicy::xxh3 ? xxh3(text) : base64_prefix(crypto::sha256(as_bytes(text)));
}

}  // namespace cluster::detail
