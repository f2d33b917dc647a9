#include "cluster/sim/storm_checker.hpp"

#include <algorithm>

namespace cluster::sim {

bool StormChecker::calm(Instant now, std::uint64_t sent) {
  looks_.push_back({now, sent, news_});
  while (looks_.front().at < now - kNewsWindow) looks_.pop_front();
  const auto begin = std::ranges::lower_bound(looks_, now - kWindow, {}, &Look::at);
  const auto each = kMessagesMax * static_cast<std::uint64_t>(kWindow.count()) +
                    kMessagesPerNews * (news_ - looks_.front().news);
  return sent - begin->sent <= nodes_ * each;
}

}  // namespace cluster::sim
