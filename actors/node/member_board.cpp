#include "cluster/node/member_board.hpp"

#include <algorithm>
#include <array>
#include <exception>

#include "cluster/base/log.hpp"

namespace cluster {
namespace {

template <class Listener, class Event>
void tell_all(std::mutex& mutex, const std::vector<Listener>& listeners, const Event& event) {
  std::vector<Listener> told;
  {
    const std::lock_guard lock(mutex);
    told = listeners;
  }
  for (const auto& listener : told) {
    try {
      listener(event);
    } catch (const std::exception& thrown) {
      log::error("detector", "a listener to members threw: ", thrown.what());
    } catch (...) {
      log::error("detector", "a listener to members threw");
    }
  }
}

}  // namespace

std::string_view name(MemberEvent::Kind kind) noexcept {
  constexpr std::array<std::string_view, 3> kNames{"node_up", "node_suspect", "node_down"};
  return kNames[static_cast<std::size_t>(kind)];
}

void MemberBoard::tell(const MemberEvent& event) const { tell_all(mutex_, listeners_, event); }
void MemberBoard::tell(const proto::Quorum& quorum) const { tell_all(mutex_, quorum_listeners_, quorum); }

bool answers(const MemberBoard::View& members, const NodeId& id) {
  const auto member = std::ranges::lower_bound(members, id, {}, &NodeMember::id);
  return member != members.end() && member->id == id &&
         (member->state == MemberState::alive || member->state == MemberState::suspect);
}

}  // namespace cluster
