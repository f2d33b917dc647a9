#include "cluster/node/event_log.hpp"

#include <chrono>
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

void EventLog::add(const MemberEvent& event) {
  add({{"event", name(event.kind)},
       {"id", event.id.str()},
       {"state", proto::name(event.to)},
       {"was", proto::name(event.from)},
       {"incarnation", event.incarnation},
       {"by", event.by.str()}});
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
  const auto time = std::chrono::floor<std::chrono::milliseconds>(wall_now().time_since_epoch()).count();
  std::vector<std::shared_ptr<const Listener>> told;
  {
    const std::lock_guard lock(mutex_);
    fields.insert(fields.begin(), {{"seq", ++last_}, {"time_ms", time}});
    events_.emplace_back(std::move(fields));
    if (events_.size() > kKept) events_.pop_front();
    std::erase_if(listeners_, [&told](const auto& listener) {
      if (auto still_there = listener.lock()) told.push_back(std::move(still_there));
      return listener.expired();
    });
  }
  for (const auto& listener : told) (*listener)();
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
  const auto first = last_ - events_.size();  // the number before that of the oldest
  const auto skipped = since > last_ || since < first ? 0 : since - first;
  return {events_.begin() + static_cast<std::ptrdiff_t>(skipped), events_.end()};
}

}  // namespace cluster
