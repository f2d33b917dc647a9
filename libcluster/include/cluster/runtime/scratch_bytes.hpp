#pragma once
#include <utility>

#include "cluster/base/bytes.hpp"

namespace cluster::runtime {

/// An empty buffer to encode one message into, lent by the thread, so that short messages cost no
/// allocation. Whoever moves the bytes out keeps them.
class ScratchBytes {
 public:
  ScratchBytes() noexcept : bytes_(std::move(spare())) { bytes_.clear(); }
  ~ScratchBytes() {
    if (bytes_.capacity() <= kKeptBytesMax) spare() = std::move(bytes_);
  }
  ScratchBytes(const ScratchBytes&) = delete;
  ScratchBytes& operator=(const ScratchBytes&) = delete;
  [[nodiscard]] Bytes& operator*() noexcept { return bytes_; }

 private:
  static constexpr std::size_t kKeptBytesMax = 128 * 1024;  ///< what a thread keeps
  static Bytes& spare() noexcept {
    thread_local Bytes bytes;
    return bytes;
  }
  Bytes bytes_;
};

}  // namespace cluster::runtime
