#include "cluster/node/failure_detector.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/crypto/random.hpp"
#include "cluster/node/gossip_ring.hpp"
#include "cluster/node/known_cast.hpp"

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

FailureDetector::FailureDetector(proto::DetectorConfig config, proto::PartitionPolicyConfig policy,
                                 ActorSystem* system, std::shared_ptr<RingBoard> ring,
                                 std::shared_ptr<MemberBoard> members, std::shared_ptr<EventLog> events)
    : boot_(config.boot),
      system_(system),
      ring_(std::move(ring)),
      members_(std::move(members)),
      events_(std::move(events)),
      detector_(config, Rng(crypto::random_u64())),
      policy_(policy, config.self) {
  publish();
}

Result<void> FailureDetector::init() {
  perform(detector_.on_start(now()));
  handle_cast(RingPosted{});
  return {};
}

void FailureDetector::handle_cast(const SwimMessage& message) {
  perform(detector_.on_message({now(), wall_now()}, message.from, message.message));
}

void FailureDetector::handle_cast(const RingPosted&) {
  const auto view = ring_->read();
  std::vector<NodeId> ids;
  ids.reserve(view->members.size());
  for (const auto& member : view->members) ids.push_back(member.id);
  perform(detector_.on_members(now(), ids), true);
}

void FailureDetector::handle_cast(const PeerLink& link) {
  perform(link.up ? detector_.on_peer_up(now(), link.peer, link.boot)
                  : detector_.on_peer_down(now(), link.peer, link.end));
}

DetectorInfo::Answer FailureDetector::handle_call(const DetectorInfo&) {
  return {detector_.incarnation(), detector_.health(), detector_.counters(),
          std::string(proto::name(policy_.kind())), policy_.quorum()};
}

void FailureDetector::handle_info(const Tick&) {
  tick_.fired();
  for (const auto& news : news_.due(now())) write_down(news);
  carry_out(policy_.on_time(now()));
  perform(detector_.on_time(now()));
}

void FailureDetector::perform(proto::DetectorActions actions, bool ring_changed) {
  const bool changed = ring_changed || std::ranges::any_of(actions, [](const auto& action) {
                         return std::holds_alternative<proto::StateChanged>(action);
                       });
  if (changed || detector_.incarnation() != incarnation_posted_)
    publish();  // first, so that who is told finds it there
  for (auto& action : actions) std::visit([this](auto& what) { perform(what); }, action);
  if (changed) judge();
  set_alarm(tick_, std::min({detector_.next_deadline(), policy_.next_deadline(), news_.next_deadline()}),
            Tick{});
}

void FailureDetector::perform(proto::DetectorSend& send) {
  static_cast<void>(
      system_->kernel().send(send.to, known_cast(wire::KnownCast::swim, send.message),
                             {.lane = net::Lane::control, .flush_now = false, .wait_max = kSwimWait}));
}

void FailureDetector::perform(proto::StateChanged& change) {
  const bool bad = change.to == MemberState::unreachable;
  if (bad != (change.from == MemberState::unreachable)) system_->set_unreachable(change.id, bad);
  const auto kind = kind_of(change.to);
  if (!kind) return;
  const MemberEvent event{*kind,       std::move(change.id), change.from, change.to,
                          change.boot, change.incarnation,   change.by};
  if (const auto news = news_.on_change(now(), event)) write_down(*news);
  members_->tell(event);
}

void FailureDetector::write_down(const MemberNews::News& news) {
  const auto& event = news.event;
  events_->add(event, news.left_out);
  if (event.from == event.to) return;
  const auto level = event.to == MemberState::unreachable ? log::Level::warn : log::Level::info;
  const auto more =
      news.left_out > 0 ? " (" + std::to_string(news.left_out) + " changes before were not logged)" : "";
  log::line(level, "detector", "'", event.id.str(), "' is ", proto::name(event.to), ", was ",
            proto::name(event.from), more);
}

void FailureDetector::perform(proto::DetectorRefused& refused) {
  log::limited(refusal_lines_, log::Level::warn, "detector", "a message of '", refused.from.str(),
               "' was refused: ", refused.why.message());
}

/// By the ring's own list and boots, so that all who hold the same ring judge alike. Before the ring server
/// has begun there is nothing to judge.
void FailureDetector::judge() {
  const auto ring = ring_->read();
  if (policy_.kind() == proto::PartitionPolicyConfig::Kind::mark || ring->members.empty()) return;
  const auto held = members_->read();
  std::vector<proto::PolicyMember> members;
  members.reserve(ring->members.size());
  for (const auto& member : ring->members) {
    members.push_back({.id = member.id, .boot = member.boot});
    const auto found = std::ranges::lower_bound(*held, member.id, {}, &NodeMember::id);
    if (found == held->end() || found->id != member.id) continue;
    members.back().state = found->state;
    members.back().since = found->since;
  }
  carry_out(policy_.on_members(now(), std::move(members)));
}

void FailureDetector::carry_out(const proto::PolicyActions& actions) {
  if (const auto& quorum = policy_.quorum(); quorum != quorum_posted_) {
    quorum_posted_ = quorum;
    tell_ring(QuorumPosted{quorum});  // first, so that who hears of it finds the ring so
  }
  for (const auto& action : actions) std::visit([this](const auto& what) { perform(what); }, action);
}

void FailureDetector::perform(const proto::QuorumChanged& change) {
  const auto& quorum = change.now;
  log::line(quorum.found ? log::Level::info : log::Level::warn, "detector", quorum.here, " of ",
            quorum.members, " members are on this side, ",
            quorum.found ? "which may go on" : "too few for it to go on");
  members_->post_quorum(quorum.found);
  events_->add(quorum);
  members_->tell(quorum);
}

void FailureDetector::perform(const proto::RemoveSilent& removal) {
  log::warn("detector", "'", removal.id.str(), "' is removed from the ring: it was unreachable too long");
  tell_ring(ChangeRing{proto::RemoveCommand{{removal.id}, true}});
}

template <class Message>
void FailureDetector::tell_ring(Message message) {
  if (const auto ring = ref<GossipRing>(GossipRing::kName))
    static_cast<void>(cast(*ring, std::move(message)));
}

void FailureDetector::publish() {
  const auto view = ring_->read();
  std::map<NodeId, Place> places;
  const auto place_of = [&](const NodeId& id) -> const Place& {
    const auto present = std::ranges::lower_bound(view->members, id, {}, &proto::MemberView::id);
    const bool is_member = present != view->members.end() && present->id == id;
    auto place = is_member ? Place{present->endpoint, present->zone} : places_[id];
    return places.emplace(id, std::move(place)).first->second;
  };
  MemberBoard::View members;
  for (auto& member : detector_.members()) {
    const auto& [endpoint, zone] = place_of(member.id);
    members.push_back(
        {member.id, endpoint, member.state, member.incarnation, member.boot, member.by, member.since, zone});
  }
  const auto& self = detector_.self();
  NodeMember own{self, system_->kernel().listening(), MemberState::alive, detector_.incarnation(), boot_,
                 self, MonotonicClock::now(),         place_of(self).zone};
  const auto place = std::ranges::lower_bound(members, self, {}, &NodeMember::id);
  members.insert(place, std::move(own));
  places_ = std::move(places);
  incarnation_posted_ = detector_.incarnation();
  members_->post(std::move(members));
}

}  // namespace cluster
