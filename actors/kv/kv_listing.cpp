#include "cluster/kv/kv_listing.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace cluster {

KvListing::KvListing(KvScan scan, const std::vector<NodeId>& members) : scan_(std::move(scan)) {
  for (const auto& member : members) from_.emplace(member, scan_.from);
}

std::vector<KvListing::Question> KvListing::questions() const {
  std::vector<Question> questions;
  if (scan_.limit == 0) return questions;
  const auto* const last = keys_.size() < scan_.limit ? nullptr : &*std::next(keys_.begin(), scan_.limit - 1);
  for (const auto& [member, from] : from_) {
    if (last != nullptr && from > *last) continue;  // what it has more lies behind the page
    questions.push_back({member, scan_});
    questions.back().scan.from = from;
  }
  return questions;
}

void KvListing::take(const NodeId& member, Result<KvScan::Answer> answer) {
  if (!answer) {
    from_.erase(member);
    silent_.push_back(member);
    return;
  }
  keys_.insert(std::make_move_iterator(answer->keys.begin()), std::make_move_iterator(answer->keys.end()));
  while (keys_.size() > std::size_t{scan_.limit} + 1) keys_.erase(std::prev(keys_.end()));
  if (answer->next.empty())
    from_.erase(member);
  else
    from_[member] = std::move(answer->next);
}

KvListing::Page KvListing::page() && {
  Page page{.keys = {}, .more = keys_.size() > scan_.limit || !from_.empty(), .silent = std::move(silent_)};
  std::ranges::sort(page.silent);
  while (!keys_.empty() && page.keys.size() < scan_.limit)
    page.keys.push_back(std::move(keys_.extract(keys_.begin()).value()));
  return page;
}

}  // namespace cluster
