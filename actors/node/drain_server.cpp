#include "cluster/node/drain_server.hpp"

#include <algorithm>
#include <utility>

namespace cluster {
namespace {

constexpr Duration kLookPeriod = 50ms;  // between two looks how far the servers are
constexpr Duration kLookTime = 1s;      // for a server to answer
constexpr Duration kStay = 10s;         // for which a node waits to be asked again, or removed
constexpr Duration kWaitMax = 1h;

}  // namespace

Task<DrainState> DrainServer::handle_call(DrainNode ask) {
  const Duration wait = std::min<Duration>(std::chrono::milliseconds(ask.wait_ms), kWaitMax);
  const Instant deadline = now() + wait;
  DrainState state;
  while (true) {
    state.done = board_->read()->ring.empty() || !somebody_stays();
    if (state.done) co_return state;
    proto::DrainCommand drain{.time = std::max<Duration>(deadline - now(), {}) + kStay};
    auto begun = call(ring_, ChangeRing{drain});
    const auto drains = co_await begun;
    if (!drains) {  // it leaves
      state.text = drains.error().message();
    } else {
      state = co_await look();
      if (state.done) co_return state;
    }
    if (deadline - now() <= kLookPeriod) co_return state;
    co_await sleep(kLookPeriod);
  }
}

/// What the servers say together.
Task<DrainState> DrainServer::look() {
  std::vector<DirectCall<wire::Value>> asked;
  for (const auto& server : servers_)
    asked.push_back(call(server, AskDrained::event, wire::Value(), kLookTime));
  DrainState all{.done = true};
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto answer = co_await asked[i];
    auto state = answer ? answer->to<DrainState>() : Result<DrainState>(answer.error());
    if (!state) state = DrainState{.text = "'" + servers_[i] + "' does not answer"};
    all.done = all.done && state->done;
    all.left += state->left;
    if (!state->done) all.text += (all.text.empty() ? "" : "; ") + state->text;
  }
  co_return all;
}

void DrainServer::handle_cast(const EndDrain&) {
  static_cast<void>(cast(ring_, ChangeRing{proto::DrainCommand{}}));
}

/// Who answers, and does not leave as well.
bool DrainServer::somebody_stays() const {
  const auto view = board_->read();
  const auto healths = members_->read();
  return std::ranges::any_of(view->members, [&](const proto::MemberView& member) {
    return member.id != id_ && member.weight != 0 && answers(*healths, member.id);
  });
}

}  // namespace cluster
