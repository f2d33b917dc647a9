#pragma once
#include <array>
#include <cstdint>

#include "cluster/base/bytes.hpp"

namespace cluster::crypto {

/// SHA-1 of `message` (FIPS 180-4). For places on an identifier circle, where collisions cost balance and not
/// safety; never for signatures. Any thread.
[[nodiscard]] std::array<std::uint8_t, 20> sha1(ByteView message) noexcept;

}  // namespace cluster::crypto
