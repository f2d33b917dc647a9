#pragma once
#include <atomic>
#include <cstdint>

#include "cluster/runtime/io_driver.hpp"

namespace cluster::runtime {

/// The driver of an engine without I/O: only waits, and can be woken.
class FutexDriver final : public IoDriver {
 public:
  std::size_t poll(Duration max_wait) override;
  void wake() noexcept override;
  void flush() noexcept override {}
  [[nodiscard]] bool has_unflushed() const noexcept override { return false; }

 private:
  std::atomic<std::uint32_t> woken_{0};
};

}  // namespace cluster::runtime
