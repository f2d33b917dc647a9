#include "cluster/node/failure_detector.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/crypto/random.hpp"
#include "cluster/wire/message.hpp"

namespace cluster {
namespace {

// For a link that is not up: what comes later than this says nothing.
constexpr Duration kSwimWait = 500ms;

std::optional<MemberEvent::Kind> kind_of(MemberState to) {
  switch (to) {
    case MemberState::alive:
      return MemberEvent::Kind::node_up;
    case MemberState::suspect:
      return MemberEvent::Kind::node_suspect;
    case MemberState::unreachable:
    case MemberState::stopped:
    case MemberState::left:
      return MemberEvent::Kind::node_down;
    case MemberState::unknown:
      break;
  }
  return {};
}

}  // namespace

FailureDetector::FailureDetector(proto::DetectorConfig config, ActorSystem* system,
                                 std::shared_ptr<RingBoard> ring, std::shared_ptr<MemberBoard> members,
                                 std::shared_ptr<EventLog> events)
    : boot_(config.boot),
      system_(system),
      ring_(std::move(ring)),
      members_(std::move(members)),
      events_(std::move(events)),
      detector_(std::move(config), Rng(crypto::random_u64())) {
  publish();
}

Result<void> FailureDetector::init() {
  perform(detector_.on_start(now()));
  handle_cast(RingPosted{});
  return {};
}

void FailureDetector::handle_cast(const SwimMessage& message) {
  perform(detector_.on_message(now(), message.from, message.message));
}

void FailureDetector::handle_cast(const RingPosted&) {
  const auto view = ring_->read();
  std::vector<NodeId> ids;
  ids.reserve(view->members.size());
  for (const auto& member : view->members) ids.push_back(member.id);
  perform(detector_.on_members(now(), ids));
  publish();  // endpoints may have changed, too
}

void FailureDetector::handle_cast(const PeerLink& link) {
  perform(link.up ? detector_.on_peer_up(now(), link.peer, link.boot)
                  : detector_.on_peer_down(now(), link.peer, link.end));
}

DetectorInfo::Answer FailureDetector::handle_call(const DetectorInfo&) {
  return {detector_.incarnation(), detector_.health(), detector_.counters()};
}

void FailureDetector::handle_info(const Tick&) {
  tick_at_ = kNever;
  perform(detector_.on_time(now()));
}

void FailureDetector::perform(proto::DetectorActions actions) {
  const auto is_change = [](const auto& action) {
    return std::holds_alternative<proto::StateChanged>(action);
  };
  if (std::ranges::any_of(actions, is_change) || detector_.incarnation() != incarnation_posted_)
    publish();  // first, so that who is told finds it there
  for (auto& action : actions) std::visit([this](auto& what) { perform(what); }, action);
  set_tick();
}

void FailureDetector::perform(proto::DetectorSend& send) {
  Bytes bytes;
  wire::begin_cast(bytes, {.to = kName, .from = 0, .event = SwimMessage::event});
  wire::encode_to(bytes, SwimMessage{detector_.self(), std::move(send.message)});
  static_cast<void>(system_->kernel().send(
      send.to, std::move(bytes), {.lane = net::Lane::control, .flush_now = false, .wait_max = kSwimWait}));
}

void FailureDetector::perform(proto::StateChanged& change) {
  if (change.from != change.to) {
    const bool bad = change.to == MemberState::unreachable;
    if (bad || change.from == MemberState::unreachable) system_->set_unreachable(change.id, bad);
    log::line(bad ? log::Level::warn : log::Level::info, "detector", "'", change.id.str(), "' is ",
              proto::name(change.to), ", was ", proto::name(change.from));
  }
  const auto kind = kind_of(change.to);
  if (!kind) return;
  const MemberEvent event{*kind,       std::move(change.id), change.from, change.to,
                          change.boot, change.incarnation,   change.by};
  events_->add(event);
  members_->tell(event);
}

void FailureDetector::perform(proto::DetectorRefused& refused) {
  log::limited(refusal_lines_, log::Level::warn, "detector", "a message of '", refused.from.str(),
               "' was refused: ", refused.why.message());
}

void FailureDetector::publish() {
  const auto view = ring_->read();
  std::map<NodeId, Endpoint> endpoints;
  const auto endpoint_of = [&](const NodeId& id) -> const Endpoint& {
    const auto present = std::ranges::lower_bound(view->members, id, {}, &proto::MemberView::id);
    const bool is_member = present != view->members.end() && present->id == id;
    return endpoints.emplace(id, is_member ? present->endpoint : endpoints_[id]).first->second;
  };
  MemberBoard::View members;
  for (auto& member : detector_.members())
    members.push_back({member.id, endpoint_of(member.id), member.state, member.incarnation, member.boot,
                       member.by, member.since});
  const auto& self = detector_.self();
  NodeMember own{self, system_->kernel().listening(), MemberState::alive, detector_.incarnation(), boot_,
                 self, MonotonicClock::now()};
  const auto place = std::ranges::lower_bound(members, self, {}, &NodeMember::id);
  members.insert(place, std::move(own));
  endpoints_ = std::move(endpoints);
  incarnation_posted_ = detector_.incarnation();
  members_->post(std::move(members));
}

void FailureDetector::set_tick() {
  const Instant due = detector_.next_deadline();
  if (due == tick_at_) return;
  if (tick_at_ != kNever) cancel(tick_);
  tick_at_ = due;
  if (due != kNever) tick_ = send_after(std::max(Duration::zero(), due - now()), Tick{});
}

}  // namespace cluster
