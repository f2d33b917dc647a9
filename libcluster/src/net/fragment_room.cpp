#include "fragment_room.hpp"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace cluster::net {

FragmentRoom::Answer FragmentRoom::claim(RoomHolder& holder, std::size_t bytes) {
  const auto found = holdings_.find(&holder);
  if (bytes == 0 && found == holdings_.end()) return Answer::granted;
  Holding& holding = found == holdings_.end() ? holdings_[&holder] : found->second;
  if (std::exchange(holding.waits, false))
    std::erase(waiting_, &holder);
  else if (holding.granted != 0)
    --active_;
  holding.wanted = bytes;
  const bool more = bytes > holding.granted;
  if (more && bytes - holding.granted > bytes_max_ - std::min(taken_, bytes_max_) && active_ != 0) {
    if (waiting_.size() >= kWaitingMax) return Answer::too_many;
    if (waiting_.empty()) begin_watch();
    holding.waits = true;
    waiting_.push_back(&holder);
    return Answer::wait;
  }
  grant(holding);
  if (bytes == 0) holdings_.erase(&holder);
  if (!more) hand_out();
  return Answer::granted;
}

void FragmentRoom::grant(Holding& holding) noexcept {
  taken_ += holding.wanted - holding.granted;
  holding.granted = holding.wanted;
  if (holding.granted != 0) ++active_;
}

/// To those who want least first, so that a few great messages do not keep all others waiting.
void FragmentRoom::hand_out() {
  while (!waiting_.empty()) {
    const auto lack = [this](RoomHolder* holder) {
      const Holding& holding = holdings_.at(holder);
      return holding.wanted - holding.granted;
    };
    const auto least = std::ranges::min_element(waiting_, {}, lack);
    if (lack(*least) > bytes_max_ - std::min(taken_, bytes_max_) && active_ != 0) return;
    RoomHolder* next = *least;
    waiting_.erase(least);
    Holding& holding = holdings_.at(next);
    holding.waits = false;
    holding.idle_ticks = 0;
    grant(holding);
    next->on_room();
  }
}

/// From now on it counts what a holder brings.
void FragmentRoom::begin_watch() {
  for (auto& [holder, holding] : holdings_) {
    holding.brought = holder->fragment_bytes();
    holding.idle_ticks = 0;
  }
}

void FragmentRoom::tick() {
  std::vector<std::pair<unsigned, RoomHolder*>> stalled;
  for (auto& [holder, holding] : holdings_) {
    const auto brought = holder->fragment_bytes();
    const bool idle = !holding.waits && brought - std::exchange(holding.brought, brought) < kBytesPerTick;
    holding.idle_ticks = idle ? holding.idle_ticks + 1 : 0;
    if (holding.idle_ticks >= kTicksMax) stalled.emplace_back(holding.idle_ticks, holder);
  }
  std::ranges::sort(stalled, std::ranges::greater{});
  for (const auto& [ticks, holder] : stalled)  // the end of one may end another
    if (anybody_waits() && holdings_.contains(holder)) holder->on_stalled();
}

}  // namespace cluster::net
