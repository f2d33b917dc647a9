#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "cluster/base/bytes.hpp"

namespace cluster::crypto {

/// The two blocks that a key becomes (RFC 2104 section 2): what the inner and the outer hash take first. A
/// key longer than a block stands for its hash. Wiped at the end.
class HmacPads {
 public:
  static constexpr std::size_t kBlockBytes = 64;  // of SHA-256
  using Block = std::array<std::uint8_t, kBlockBytes>;

  explicit HmacPads(ByteView key) noexcept;
  HmacPads(const HmacPads&) = delete;
  HmacPads& operator=(const HmacPads&) = delete;
  ~HmacPads();

  [[nodiscard]] const Block& inner() const noexcept { return inner_; }
  [[nodiscard]] const Block& outer() const noexcept { return outer_; }

 private:
  Block inner_{};
  Block outer_{};
};

}  // namespace cluster::crypto
