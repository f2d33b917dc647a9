#pragma once
#include <compare>
#include <cstdint>

#include "cluster/crypto/sha256.hpp"

namespace cluster::detail {

/// The first 64 bits of a number that orders digests as their base64 texts order byte by byte: if a
/// prefix is less, so is the text. Each 6-bit digit is replaced by the rank of its letter in ASCII.
[[nodiscard]] std::uint64_t base64_prefix(const crypto::Digest& digest) noexcept;
/// The order of the base64 texts.
[[nodiscard]] std::strong_ordering base64_compare(const crypto::Digest& a, const crypto::Digest& b) noexcept;

}  // namespace cluster::detail
