#pragma once
#include <string>
#include <vector>

namespace cluster::sim {

/// `cluster-sim kv ...`: `arguments` follow the word kv. The program's exit code.
[[nodiscard]] int run_kv(const std::vector<std::string>& arguments);

}  // namespace cluster::sim
