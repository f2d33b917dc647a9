#include "cluster/base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace cluster::detail {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "libcluster: invariant broken: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace cluster::detail
