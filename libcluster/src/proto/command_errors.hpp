#pragma once
#include <string>
#include <string_view>
#include <utility>

#include "cluster/base/error.hpp"

namespace cluster::proto {

inline Error bad_command(std::string text) { return {Errc::invalid_argument, std::move(text)}; }
/// "unknown command 'inser'; did you mean 'insert'?"
[[nodiscard]] Error unknown_command(std::string_view name);

}  // namespace cluster::proto
