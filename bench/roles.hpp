#pragma once
#include <string>
#include <vector>

namespace cluster::bench {

/// What a child process of cluster-bench does (hidden mode `serve ROLE`). The exit code.
int play_role(const std::string& role, const std::vector<std::string>& arguments);

}  // namespace cluster::bench
