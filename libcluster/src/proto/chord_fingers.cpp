#include "cluster/proto/chord_fingers.hpp"

#include <algorithm>

namespace cluster::proto {

const ChordPeer* ChordFingers::at(unsigned index) const noexcept {
  const auto run = std::ranges::lower_bound(runs_, index, {}, &Run::last);
  return run != runs_.end() && run->first <= index ? &run->peer : nullptr;
}

void ChordFingers::clear(unsigned first, unsigned last) {
  std::vector<Run> kept;
  kept.reserve(runs_.size() + 1);
  for (auto& run : runs_) {
    if (run.last < first || run.first > last) {
      kept.push_back(std::move(run));
      continue;
    }
    if (run.first < first) kept.push_back({run.first, first - 1, run.peer});
    if (run.last > last) kept.push_back({last + 1, run.last, run.peer});
  }
  runs_ = std::move(kept);
}

void ChordFingers::set(unsigned first, unsigned last, const ChordPeer& peer) {
  Run added{first, last, peer};  // a copy: `peer` may be in a run that goes
  clear(first, last);
  const auto after = std::ranges::lower_bound(runs_, first, {}, &Run::first);
  const bool joins_next = after != runs_.end() && after->first == last + 1 && after->peer == added.peer;
  const bool joins_last =
      after != runs_.begin() && (after - 1)->last + 1 == first && (after - 1)->peer == added.peer;
  if (joins_last && joins_next) {
    added = {(after - 1)->first, after->last, std::move(added.peer)};
    *(after - 1) = std::move(added);
    runs_.erase(after);
  } else if (joins_last) {
    added.first = (after - 1)->first;
    *(after - 1) = std::move(added);
  } else if (joins_next) {
    added.last = after->last;
    *after = std::move(added);
  } else {
    runs_.insert(after, std::move(added));
  }
}

void ChordFingers::relocate(const ChordContact& contact) {
  for (auto& run : runs_)
    if (run.peer.id == contact.id) run.peer.endpoint = contact.endpoint;
}

std::optional<unsigned> ChordFingers::erase(const NodeId& id) {
  const auto is_it = [&](const Run& run) { return run.peer.id == id; };
  const auto found = std::ranges::find_if(runs_, is_it);
  if (found == runs_.end()) return {};
  const unsigned first = found->first;
  std::erase_if(runs_, is_it);
  return first;
}

}  // namespace cluster::proto
