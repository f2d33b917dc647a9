#include "cluster/sim/ring_cluster.hpp"

#include <algorithm>

#include "cluster/base/assert.hpp"

namespace cluster::sim {
namespace {

constexpr std::uint16_t kPortFirst = 10'000;
// How long a message waits for a connection, as in a node.
constexpr Duration kGossipWait = 2s;
constexpr Duration kSwimWait = 500ms;
constexpr auto kEpoch = WallTime{std::chrono::days(20'000)};

}  // namespace

RingCluster::RingCluster(ClusterConfig config)
    : config_(std::move(config)),
      simulator_(config_.seed),
      network_(simulator_, config_.faults),
      links_(simulator_, network_, *this, config_.links) {
  config_.gossip.mesh_max = config_.detection.mesh_max = config_.mesh_max;
}

Endpoint RingCluster::endpoint_of(std::size_t place) {
  return {"localhost", static_cast<std::uint16_t>(kPortFirst + place)};
}

WallTime RingCluster::wall(std::size_t place) const {
  const auto since_start = simulator_.now().time_since_epoch() + processes_.at(place).start.clock_skew;
  return kEpoch + std::chrono::duration_cast<std::chrono::microseconds>(since_start);
}

std::optional<std::size_t> RingCluster::home_of(const NodeId& id) const {
  const auto found = home_.find(id);
  return found == home_.end() ? std::nullopt : std::optional(found->second);
}

// --- starting and stopping ---

RingCluster::Process& RingCluster::make_place(ProcessStart start) {
  const auto place = processes_.size();
  if (auto& keyring = keyrings_[start.cookie]; keyring.size() == 0)
    keyring = proto::Keyring::from_cookies({start.cookie}, proto::Keyring::cost_for_tests()).value();
  return processes_.emplace_back(simulator_, std::move(start), [this, place] { tick(place); });
}

std::size_t RingCluster::add(ProcessStart start) {
  make_place(std::move(start));
  begin(processes_.size() - 1, false);
  return processes_.size() - 1;
}

void RingCluster::new_life(Process& process, bool keep_state) {
  ++process.life;
  process.connections.clear();
  process.boot.nonce = simulator_.rng().next();
  if (!keep_state) process.boot.number = 0;
}

proto::GossipConfig RingCluster::gossip_config(std::size_t place) const {
  const auto& process = processes_[place];
  auto config = config_.gossip;
  config.self = {.id = process.start.id,
                 .boot = process.boot,
                 .endpoint = endpoint_of(place),
                 .weight = process.start.weight};
  config.ring = process.start.ring;
  return config;
}

void RingCluster::make_detector(std::size_t place) {
  if (!config_.detector) return;
  auto& process = processes_[place];
  auto config = config_.detection;
  config.self = process.start.id;
  config.boot = process.boot;
  process.detector = std::make_unique<proto::Detector>(config, simulator_.rng().split());
}

void RingCluster::begin(std::size_t place, bool keep_state) {
  auto& process = processes_[place];
  const auto now = moment(place);
  new_life(process, keep_state);
  process.boot.number = std::max(process.boot.number + 1, proto::millis(now.wall));
  home_.insert_or_assign(process.start.id, place);
  const auto rng = simulator_.rng().split();
  if (keep_state && process.disk) {
    auto saved = proto::decode_ring_file(*process.disk);
    CLUSTER_ASSERT(saved.has_value());
    process.gossip =
        std::make_unique<proto::Gossip>(gossip_config(place), rng, now, std::move(saved).value());
  } else {
    process.gossip = std::make_unique<proto::Gossip>(gossip_config(place), rng, now);
  }
  process.disk.reset();
  process.stopped.reset();
  links_.begin(place);
  make_detector(place);
  if (process.detector) perform(place, process.detector->on_start(now.now));
  perform(place, process.gossip->on_start(now));
  tell_members(place);
}

void RingCluster::form(const std::vector<ProcessStart>& starts) {
  CLUSTER_ASSERT(processes_.empty() && !starts.empty());
  std::optional<proto::RingState> ring;
  std::vector<proto::Self> selves;
  for (const auto& start : starts) {
    auto& process = make_place(start);
    const auto place = processes_.size() - 1;
    new_life(process, false);
    process.boot.number = proto::millis(wall(place));
    home_.insert_or_assign(start.id, place);
    selves.push_back(gossip_config(place).self);
    proto::RingState alone(selves.back(), wall(place));
    alone.hear_clock(start.id, {}, {}, wall(place));  // nobody knows of an earlier process
    if (!ring)
      ring = std::move(alone);
    else
      for (const auto& delta : alone.deltas_since({})) ring->merge(delta, wall(0));
  }
  std::vector<std::pair<NodeId, Boot>> alive;
  if (config_.detector)
    for (const auto& self : selves) alive.emplace_back(self.id, self.boot);
  std::ranges::sort(alive);
  for (std::size_t place = 0; place < processes_.size(); ++place) {
    auto& process = processes_[place];
    process.gossip = std::make_unique<proto::Gossip>(
        gossip_config(place), simulator_.rng().split(), moment(place),
        proto::Gossip::Formed{proto::RingState::of_member(*ring, selves[place])});
    make_detector(place);
    if (!process.detector) continue;
    perform(place, process.detector->on_start(simulator_.now()));
    process.detector->assume_alive(simulator_.now(), alive);
  }
  const proto::LinkPlan plan(processes_.size(), config_.mesh_max);
  for (std::size_t place = 0; place < processes_.size(); ++place) links_.begin(place);
  for (std::size_t place = 0; place < processes_.size(); ++place)
    for (std::size_t peer = place + 1; peer < processes_.size(); ++peer)
      if (plan.keeps(id(place), id(peer))) {
        links_.assume(place, peer);
        assume_link(place, peer);
        assume_link(peer, place);
      }
  for (std::size_t place = 0; place < processes_.size(); ++place) {
    tell_members(place);
    set_timer(place);
  }
}

void RingCluster::assume_link(std::size_t place, std::size_t peer) {
  auto& process = processes_[place];
  process.connections.insert_or_assign(id(peer), endpoint_of(peer));
  const auto now = moment(place);
  (void)process.gossip->on_peer_up(now, id(peer));
  if (process.detector) (void)process.detector->on_peer_up(now.now, id(peer), processes_[peer].boot);
}

void RingCluster::end(std::size_t place, proto::PeerEnd how) {
  auto& process = processes_.at(place);
  if (!process.gossip) return;
  process.disk = proto::encode_ring_file(process.gossip->saved());
  process.stopped = process.gossip->state();
  process.gossip.reset();
  process.detector.reset();
  process.host.clear();
  links_.end(place, how);
}

void RingCluster::restart(std::size_t place, bool keep_state, std::optional<Duration> clock_skew) {
  if (running(place)) stop(place);
  if (clock_skew) processes_[place].start.clock_skew = *clock_skew;
  begin(place, keep_state);
}

// --- driving one process ---

void RingCluster::perform(std::size_t place, proto::Actions actions) {
  auto& process = processes_[place];
  bool members_changed = false;
  for (auto& action : actions) {
    if (auto* message = std::get_if<proto::Send>(&action)) {
      send(place, message->to, std::move(message->message));
    } else if (auto* connect = std::get_if<proto::Connect>(&action)) {
      process.connections.insert_or_assign(connect->peer, connect->endpoint);
      links_.keep(place, connect->peer, connect->endpoint, connect->standing);
    } else if (auto* disconnect = std::get_if<proto::Disconnect>(&action)) {
      process.connections.erase(disconnect->peer);
      links_.drop(place, disconnect->peer, disconnect->force);
    } else if (auto* who = std::get_if<proto::Dial>(&action)) {
      links_.dial(place, who->command, who->endpoint);
    } else if (auto* done = std::get_if<proto::Done>(&action)) {
      auto& outcome = outcomes_[done->command];
      CLUSTER_ASSERT(!outcome);  // exactly one
      outcome = std::move(done->result);
    } else {
      auto& event = std::get<proto::GossipEvent>(action);
      members_changed = members_changed || changes_members(process, event);
      for (auto* witness : witnesses_) witness->on_event(place, event);
      if (config_.keep_events) process.events.push_back(std::move(event));
    }
  }
  if (members_changed) tell_members(place);
  set_timer(place);
}

void RingCluster::perform(std::size_t place, proto::DetectorActions actions) {
  for (auto& action : actions) {
    if (auto* message = std::get_if<proto::DetectorSend>(&action))
      send(place, message->to, std::move(message->message));
    else if (const auto* changed = std::get_if<proto::StateChanged>(&action))
      for (auto* witness : witnesses_) witness->on_health(place, *changed);
  }
  set_timer(place);
}

/// Whether the detector has to hear of it: a new weight or endpoint is nothing to it.
bool RingCluster::changes_members(const Process& process, const proto::GossipEvent& event) const {
  const auto* changed = std::get_if<proto::RingChanged>(&event);
  if (changed == nullptr || !process.detector) return false;
  if (process.gossip->ring().empty()) return true;
  const auto& state = process.gossip->state();
  return std::ranges::any_of(changed->members, [&](const NodeId& id) {
    const bool watched = process.detector->state_of(id) != proto::MemberState::left;
    return id != state.self() && state.present(id) != watched;
  });
}

/// The detector watches the members of the ring.
void RingCluster::tell_members(std::size_t place) {
  auto& process = processes_[place];
  if (!process.detector) return;
  std::vector<NodeId> members;
  if (!process.gossip->ring().empty())
    for (auto& member : process.gossip->state().members()) members.push_back(std::move(member.id));
  perform(place, process.detector->on_members(simulator_.now(), members));
}

void RingCluster::tick(std::size_t place) {
  auto& process = processes_[place];
  if (!process.gossip) return;
  const auto now = moment(place);
  if (process.gossip->next_deadline() <= now.now) perform(place, process.gossip->on_time(now));
  if (process.detector && process.detector->next_deadline() <= now.now)
    perform(place, process.detector->on_time(now.now));
  set_timer(place);
}

void RingCluster::set_timer(std::size_t place) {
  auto& process = processes_[place];
  auto due = process.gossip->next_deadline();
  if (process.detector) due = std::min(due, process.detector->next_deadline());
  process.host.wake_at(due);
}

void RingCluster::send(std::size_t place, const NodeId& to, Packet::Message message) {
  for (auto* witness : witnesses_)
    if (!witness->on_send(place, message)) return;
  const auto wait = std::holds_alternative<proto::GossipMessage>(message) ? kGossipWait : kSwimWait;
  links_.send(place, to, packer_.pack(message), wait);
}

// --- connections ---

std::uint32_t RingCluster::life(Place place) const {
  return place < processes_.size() && running(place) ? processes_[place].life : 0;
}

proto::Identity RingCluster::identity(Place place) const {
  const auto& process = processes_.at(place);
  return {.id = process.start.id,
          .boot = process.boot,
          .ring = process.gossip ? process.gossip->ring() : std::string(),
          .advertised = endpoint_of(place)};
}

proto::Keyring RingCluster::keyring(Place place) const {
  return keyrings_.at(processes_.at(place).start.cookie);
}

std::optional<Place> RingCluster::place_at(const Endpoint& endpoint) const {
  if (endpoint.port < kPortFirst) return {};
  const Place place = static_cast<std::size_t>(endpoint.port) - kPortFirst;
  return place < processes_.size() ? std::optional(place) : std::nullopt;
}

std::optional<Endpoint> RingCluster::endpoint_of(Place place, const NodeId& member) const {
  const auto& gossip = *processes_.at(place).gossip;
  if (gossip.ring().empty() || !gossip.state().present(member)) return {};
  return gossip.state().find(member)->endpoint.value;
}

void RingCluster::on_link_up(Place place, Place at, const NodeId& peer, Boot boot) {
  for (auto* witness : witnesses_) witness->on_link(place, at);
  auto& process = processes_[place];
  const auto now = moment(place);
  if (process.detector) perform(place, process.detector->on_peer_up(now.now, peer, boot));
  perform(place, process.gossip->on_peer_up(now, peer));
}

void RingCluster::on_link_down(Place place, const NodeId& peer, proto::PeerEnd how) {
  auto& process = processes_[place];
  const auto now = moment(place);
  perform(place, process.gossip->on_peer_down(now, peer));
  if (process.detector) perform(place, process.detector->on_peer_down(now.now, peer, how));
}

void RingCluster::on_dialed(Place place, std::uint64_t command, const Result<NodeId>& peer) {
  if (!peer && peer.error().code() == Errc::duplicate_id) on_id_taken(place);
  perform(place, processes_[place].gossip->on_dialed(moment(place), command, peer));
}

void RingCluster::on_id_taken(Place place) {
  perform(place, {proto::GossipEvent(proto::DuplicateId{id(place), true})});
}

void RingCluster::on_packet(Place to, Place from, const Packet& packet) {
  auto& process = processes_[to];
  const auto& sender = processes_[from].start.id;
  simulator_.trace(static_cast<std::uint64_t>(simulator_.now().time_since_epoch().count()));
  simulator_.trace(from << 32 | to);
  simulator_.trace(packet.hash);
  const auto* message = &packet.message;
  std::optional<Packet::Message> changed;
  for (auto* witness : witnesses_) {
    if (!witness->changes_what_arrives()) continue;
    if (!changed) message = &changed.emplace(packet.message);
    if (!witness->on_receive(to, *changed)) return;
    if (auto* gossip = std::get_if<proto::GossipMessage>(&*changed))
      witness->on_merge(process.gossip->state(), *gossip);
  }
  if (const auto* gossip = std::get_if<proto::GossipMessage>(message))
    perform(to, process.gossip->on_message(moment(to), sender, *gossip));
  else if (process.detector)
    perform(to, process.detector->on_message(moment(to), sender, std::get<proto::DetectorMessage>(*message)));
}

// --- commands and views ---

std::uint64_t RingCluster::command(std::size_t place, const proto::RingCommand& what) {
  const auto number = ++commands_;
  outcomes_.emplace(number, std::nullopt);
  perform(place, processes_.at(place).gossip->on_command(moment(place), number, what));
  return number;
}

std::optional<Result<void>> RingCluster::outcome(std::uint64_t command) const {
  return outcomes_.at(command);
}

Result<void> RingCluster::run(std::size_t place, const proto::RingCommand& what) {
  const auto number = command(place, what);
  const auto limit = simulator_.now() + 60s;
  while (!outcomes_[number] && simulator_.now() < limit && simulator_.step()) {
  }
  return outcomes_[number].value_or(Error(Errc::internal, "the command never ended"));
}

const proto::RingState* RingCluster::greatest(const std::string& ring) const {
  const proto::RingState* greatest = nullptr;
  for (const auto& process : processes_)
    if (process.gossip && process.gossip->ring() == ring &&
        (greatest == nullptr || process.gossip->state().present_count() > greatest->present_count()))
      greatest = &process.gossip->state();
  return greatest;
}

bool RingCluster::converged(const std::string& ring) const {
  const auto* reference = greatest(ring);
  if (reference == nullptr) return true;
  const auto horizon = proto::RingState::horizon(kEpoch);
  const auto hash = reference->hash(horizon);
  return std::all_of(processes_.begin(), processes_.end(), [&](const Process& process) {
    if (!process.gossip) return true;
    const auto& state = process.gossip->state();
    if (reference->present(state.self()))
      return process.gossip->ring() == ring && state.hash(horizon) == hash;
    if (process.gossip->ring() != ring) return true;
    const auto members = state.members();
    return std::none_of(members.begin(), members.end(), [&](const auto& member) {
      const auto there = place_at(member.endpoint);
      return member.id != state.self() && there && running(*there);
    });
  });
}

std::optional<Duration> RingCluster::run_until_converged(Duration limit, const std::string& ring) {
  const auto start = simulator_.now();
  while (!converged(ring)) {
    if (simulator_.now() - start >= limit) return {};
    simulator_.run_for(50ms);
  }
  return simulator_.now() - start;
}

}  // namespace cluster::sim
