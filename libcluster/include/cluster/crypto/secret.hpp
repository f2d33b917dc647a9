#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cluster/base/bytes.hpp"

namespace cluster::crypto {

/// Overwrites `bytes` with zeros in a way that the optimiser cannot leave out.
void wipe(std::span<std::uint8_t> bytes) noexcept;

/// Key material: bytes of a fixed length that are wiped when they are destroyed or assigned over.
/// Moves, and is never copied by accident: `copy()` says so.
class SecretBytes {
 public:
  SecretBytes() = default;
  /// `size` zero bytes, to be filled through `span()`.
  explicit SecretBytes(std::size_t size);
  /// Takes a copy; the original is the caller's to wipe.
  explicit SecretBytes(ByteView bytes);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  ~SecretBytes();

  [[nodiscard]] SecretBytes copy() const { return SecretBytes(view()); }

  [[nodiscard]] ByteView view() const noexcept { return {data_.get(), size_}; }
  operator ByteView() const noexcept { return view(); }
  [[nodiscard]] std::span<std::uint8_t> span() noexcept { return {data_.get(), size_}; }
  [[nodiscard]] const std::uint8_t* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

 private:
  std::unique_ptr<std::uint8_t[]> data_;
  std::size_t size_ = 0;
};

}  // namespace cluster::crypto
