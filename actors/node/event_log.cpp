#include "cluster/node/event_log.hpp"

#include <algorithm>
#include <chrono>
#include <ranges>
#include <utility>
#include <variant>

#include "cluster/node/command_replies.hpp"

namespace cluster {
namespace {

using wire::Value;
using Fields = Value::Map;

Fields fields(const proto::RingChanged& changed) {
  return {{"event", "ring_changed"}, {"members", replies::ids(changed.members)}};
}
Fields fields(const proto::ConflictFound& found) {
  const auto& conflict = found.conflict;
  return {{"event", "conflict"},
          {"id", conflict.member.str()},
          {"field", conflict.field},
          {"kept", conflict.kept.str()},
          {"lost", conflict.lost.str()}};
}
Fields fields(const proto::RingJoined& joined) { return {{"event", "ring_joined"}, {"ring", joined.ring}}; }
Fields fields(const proto::RingLeft& left) {
  return {{"event", "ring_left"}, {"ring", left.ring}, {"acknowledged", left.acknowledged}};
}
Fields fields(const proto::RingRemoved& removed) {
  return {{"event", "ring_removed"}, {"ring", removed.ring}, {"by", removed.by.str()}};
}
Fields fields(const proto::DuplicateId& duplicate) {
  return {{"event", "duplicate_id"}, {"id", duplicate.id.str()}};
}
Fields fields(const proto::MessageRefused& refused) {
  return {{"event", "message_refused"}, {"id", refused.from.str()}, {"why", refused.why.message()}};
}

}  // namespace

void EventLog::add(const proto::GossipEvent& event) {
  add(std::visit([](const auto& what) { return fields(what); }, event));
}

void EventLog::add(const MemberEvent& event, std::uint64_t left_out) {
  Fields told{{"event", name(event.kind)},        {"id", event.id.str()},
              {"state", proto::name(event.to)},   {"was", proto::name(event.from)},
              {"incarnation", event.incarnation}, {"by", event.by.str()}};
  if (left_out > 0) told.emplace_back("left_out", left_out);
  add("member " + event.id.str(), std::move(told));
}

void EventLog::add(const proto::Quorum& quorum) {
  add({{"event", quorum.found ? "quorum_found" : "quorum_lost"},
       {"here", quorum.here},
       {"members", quorum.members}});
}

void EventLog::add(const DrillStep& step) {
  Fields told{{"event", step.members.empty() ? "links_healed" : "links_cut"}, {"drill", step.drill}};
  if (!step.members.empty()) told.emplace_back("members", replies::ids(step.members));
  add(std::move(told));
}

void EventLog::add(Value::Map fields) {
  auto kind = *fields.front().second.text();
  add(std::move(kind), std::move(fields));
}

void EventLog::add(std::string about, Value::Map fields) {
  const auto time = std::chrono::floor<std::chrono::milliseconds>(wall_now().time_since_epoch()).count();
  std::vector<std::shared_ptr<const Listener>> told;
  {
    const std::lock_guard lock(mutex_);
    fields.insert(fields.begin(), {{"seq", ++last_}, {"time_ms", time}});
    ++kept_of_[about];
    events_.push_back({last_, std::move(about), std::move(fields)});
    if (events_.size() > kKept) forget_one();
    std::erase_if(listeners_, [&told](const auto& listener) {
      if (auto still_there = listener.lock()) told.push_back(std::move(still_there));
      return listener.expired();
    });
  }
  for (const auto& listener : told) (*listener)();
}

void EventLog::forget_one() {
  const auto most = std::ranges::max(kept_of_ | std::views::values);
  const auto oldest =
      std::ranges::find_if(events_, [&](const Kept& kept) { return kept_of_.at(kept.about) == most; });
  if (most == 1)
    kept_of_.erase(oldest->about);
  else
    --kept_of_.at(oldest->about);
  events_.erase(oldest);
}

std::shared_ptr<const EventLog::Listener> EventLog::listen(Listener listener) {
  auto kept = std::make_shared<const Listener>(std::move(listener));
  const std::lock_guard lock(mutex_);
  std::erase_if(listeners_, [](const auto& known) { return known.expired(); });
  listeners_.push_back(kept);
  return kept;
}

Value::Array EventLog::after(std::uint64_t since) const {
  const std::lock_guard lock(mutex_);
  const auto first =
      since > last_ ? events_.begin() : std::ranges::upper_bound(events_, since, {}, &Kept::number);
  Value::Array found;
  for (auto kept = first; kept != events_.end(); ++kept) found.push_back(kept->event);
  return found;
}

}  // namespace cluster
