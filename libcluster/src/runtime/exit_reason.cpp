#include "cluster/runtime/exit_reason.hpp"

#include <array>
#include <cstddef>

namespace cluster::runtime {

std::string_view name(ExitReason::Kind kind) noexcept {
  constexpr std::array<std::string_view, 6> names{"normal", "shutdown",   "killed",
                                                  "failed", "no_process", "no_connection"};
  return names[static_cast<std::size_t>(kind)];
}

std::string ExitReason::to_string() const {
  std::string all(name(kind));
  if (!text.empty()) all.append(": ").append(text);
  return all;
}

}  // namespace cluster::runtime
