#include "cluster/node/member_news.hpp"

#include <algorithm>
#include <utility>

namespace cluster {
namespace {

constexpr Duration kLook = 1s;  // between two looks for what may be told

}  // namespace

bool MemberNews::admit(Instant now, const MemberEvent& event) {
  const bool suspicion = event.from != event.to && std::max(event.from, event.to) <= MemberState::suspect;
  auto& limit = suspicion ? suspicions_ : falls_;
  if (!limit.allows(now, event.id.str())) return false;
  limit.take(now, event.id.str());
  return true;
}

std::optional<MemberNews::News> MemberNews::on_change(Instant now, MemberEvent event) {
  const auto kept = kept_.find(event.id);
  const auto left_out = kept == kept_.end() ? 0 : kept->second.left_out + 1;
  if (admit(now, event)) {
    if (kept != kept_.end()) kept_.erase(kept);
    return News{std::move(event), left_out};
  }
  if (kept_.empty()) next_ = now + kLook;
  const auto id = event.id;
  kept_.insert_or_assign(id, News{std::move(event), left_out});
  return std::nullopt;
}

std::vector<MemberNews::News> MemberNews::due(Instant now) {
  std::vector<News> told;
  if (now < next_) return told;
  std::erase_if(kept_, [&](auto& entry) {
    if (!admit(now, entry.second.event)) return false;
    told.push_back(std::move(entry.second));
    return true;
  });
  next_ = kept_.empty() ? Instant::max() : now + kLook;
  return told;
}

}  // namespace cluster
