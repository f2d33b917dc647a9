#include "cluster/node/member_board.hpp"

#include <array>
#include <exception>

#include "cluster/base/log.hpp"

namespace cluster {

std::string_view name(MemberEvent::Kind kind) noexcept {
  constexpr std::array<std::string_view, 3> kNames{"node_up", "node_suspect", "node_down"};
  return kNames[static_cast<std::size_t>(kind)];
}

void MemberBoard::tell(const MemberEvent& event) const {
  std::vector<Listener> listeners;
  {
    const std::lock_guard lock(mutex_);
    listeners = listeners_;
  }
  for (const auto& listener : listeners) {
    try {
      listener(event);
    } catch (const std::exception& thrown) {
      log::error("detector", "a listener to members threw: ", thrown.what());
    } catch (...) {
      log::error("detector", "a listener to members threw");
    }
  }
}

}  // namespace cluster
