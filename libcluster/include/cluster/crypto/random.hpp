#pragma once
#include <cstdint>
#include <span>

namespace cluster::crypto {

/// Unpredictable bytes, good for keys and nonces. Any thread. Aborts if the system cannot give any:
/// there is no safe way on.
void random_bytes(std::span<std::uint8_t> to) noexcept;
[[nodiscard]] std::uint64_t random_u64() noexcept;

}  // namespace cluster::crypto
