#pragma once
#include <cstddef>
#include <cstdint>

#include "cluster/base/bytes.hpp"
#include "cluster/base/rng.hpp"

namespace cluster::testing {

inline Bytes random_bytes(Rng& rng, std::size_t size) {
  Bytes bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(rng.next());
  return bytes;
}

inline Bytes random_bytes(std::uint64_t seed, std::size_t size) {
  Rng rng(seed);
  return random_bytes(rng, size);
}

}  // namespace cluster::testing
