#include "demo_actors.hpp"

namespace cluster::demo {

Result<std::int64_t> Counter::handle_call(const Add& add) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(total_, add.n, &sum))
    return Error(Errc::refused, "the total would leave the range of 64 bits");
  return total_ = sum;
}

}  // namespace cluster::demo
