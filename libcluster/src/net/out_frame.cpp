#include "out_frame.hpp"

#include <utility>

namespace cluster::net {

Bytes BufferPool::take() {
  Bytes buffer;
  {
    const std::lock_guard lock(mutex_);
    if (!buffers_.empty()) {
      buffer = std::move(buffers_.back());
      buffers_.pop_back();
    }
  }
  buffer.resize(wire::kFrameHeaderBytes);
  return buffer;
}

void BufferPool::give(Bytes&& buffer) noexcept {
  if (buffer.capacity() == 0 || buffer.capacity() > 2 * wire::kFrameBytesMax) return;
  buffer.clear();
  const std::lock_guard lock(mutex_);
  if (buffers_.size() < kBuffersMax) buffers_.push_back(std::move(buffer));
}

}  // namespace cluster::net
