#include "cluster/base/assert.hpp"

#include "cluster/base/result.hpp"

#include <cstdio>
#include <cstdlib>

namespace cluster::detail {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "libcluster: invariant broken: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

void value_of_error(const Error& error) noexcept {
  std::fprintf(stderr, "libcluster: value() of an error: %.*s: %s\n",
               static_cast<int>(name(error.code()).size()), name(error.code()).data(),
               error.message().c_str());
  std::abort();
}

}  // namespace cluster::detail
