#pragma once
#include <string>
#include <utility>
#include <vector>

namespace cluster::bench {

/// What a figure depends on besides the code: machine, kernel, compiler, flags, version. In a stated order.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> environment();

}  // namespace cluster::bench
