#pragma once
#include <array>
#include <cstdint>

#include "cluster/base/bytes.hpp"

namespace cluster::crypto {

/// A SHA-256 value, in the order in which FIPS 180-4 writes it.
using Digest = std::array<std::uint8_t, 32>;

/// SHA-256 of `message`. Any thread.
[[nodiscard]] Digest sha256(ByteView message) noexcept;

}  // namespace cluster::crypto
