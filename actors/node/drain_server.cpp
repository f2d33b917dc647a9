#include "cluster/node/drain_server.hpp"

#include <algorithm>
#include <utility>

namespace cluster {
namespace {

constexpr Duration kLookPeriod = 50ms;  // between two looks how far the servers are
constexpr Duration kLookTime = 1s;      // for a server to answer
constexpr Duration kStay = 10s;         // for which a node waits to be asked again, or removed
constexpr Duration kWaitMax = 1h;
constexpr std::size_t kDrainsMax = 16;  // at a time
// Whose drain was broken off stays after all, and has its weight again by then: it may have been asked just
// now to wait for some seconds.
constexpr Duration kAllLeaveTime = kStay + 6s;

}  // namespace

Task<DrainState> DrainServer::handle_call(DrainNode ask) {
  const Duration wait = std::min<Duration>(std::chrono::milliseconds(ask.wait_ms), kWaitMax);
  const Instant deadline = now() + wait;
  DrainState state;
  while (true) {
    const auto there = board_->read()->ring.empty() ? Others::none : others();
    state.done = there == Others::none || all_have_left_long(there);
    if (state.done) co_return state;
    // Every member would place its keys anew, and once more when the drain is given up.
    if (there == Others::stay && !drains_for(ask.by)) {
      auto before = co_await look();
      if (before.failed) co_return before;
    }
    if (!extend(ask.by)) {
      state.text = "it drains for " + std::to_string(kDrainsMax) + " others already";
      co_return state;
    }
    proto::DrainCommand drain{.time = kStay};
    auto begun = call(ring_, ChangeRing{drain});
    const auto drains = co_await begun;
    if (!drains) {
      state.text = drains.error().message();
      state.failed = drains.error().code() == Errc::refused;  // others would not believe it; else it leaves
      if (state.failed) co_return state;
    } else if (there == Others::stay) {
      state = co_await look();
      if (state.done || state.failed) co_return state;
    } else {
      state.text =
          there == Others::leave ? "all others are leaving as well" : "no other member that stays answers";
    }
    if (deadline - now() <= kLookPeriod) co_return state;
    co_await sleep(kLookPeriod);
  }
}

bool DrainServer::drains_for(std::uint64_t by) const {
  const auto found = drains_.find(by);
  return found != drains_.end() && found->second > now();
}

/// False: there are too many others.
bool DrainServer::extend(std::uint64_t by) {
  std::erase_if(drains_, [&](const auto& drain) { return drain.second <= now(); });
  if (drains_.size() == kDrainsMax && !drains_.contains(by)) return false;
  drains_[by] = now() + kStay;
  return true;
}

/// What the servers say together.
Task<DrainState> DrainServer::look() {
  std::vector<DirectCall<wire::Value>> asked;
  for (const auto& server : servers_)
    asked.push_back(call(server, AskDrained::event, wire::Value(), kLookTime));
  DrainState all{.done = !servers_.empty(), .text = servers_.empty() ? "it has just started" : ""};
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto answer = co_await asked[i];
    auto state = answer ? answer->to<DrainState>() : Result<DrainState>(answer.error());
    if (!state) state = DrainState{.text = "'" + servers_[i] + "' does not answer"};
    all.done = all.done && state->done;
    all.failed = all.failed || state->failed;
    all.left += state->left;
    if (!state->done) all.text += (all.text.empty() ? "" : "; ") + state->text;
  }
  co_return all;
}

void DrainServer::handle_cast(const EndDrain& end) {
  if (drains_.erase(end.by) == 0) return;
  proto::DrainCommand rest;
  for (const auto& [by, until] : drains_) rest.time = std::max(rest.time, until - now());
  static_cast<void>(cast(ring_, ChangeRing{rest}));
}

DrainServer::Others DrainServer::others() const {
  const auto view = board_->read();
  const auto healths = members_->read();
  bool any = false, all_answer = true;
  for (const auto& member : view->members) {
    if (member.id == id_) continue;
    const bool here = answers(*healths, member.id);
    if (here && member.weight != 0) return Others::stay;
    any = true;
    all_answer = all_answer && here;
  }
  return !any ? Others::none : all_answer ? Others::leave : Others::silent;
}

/// Where all leave there is nobody to hand anything to, once it is certain that they do.
bool DrainServer::all_have_left_long(Others others) {
  if (others != Others::leave) {
    all_leave_until_ = Instant::min();
    return false;
  }
  if (all_leave_until_ < now()) all_leave_since_ = now();
  all_leave_until_ = now() + kStay;
  return now() - all_leave_since_ >= kAllLeaveTime;
}

}  // namespace cluster
