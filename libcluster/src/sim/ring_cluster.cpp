#include "cluster/sim/ring_cluster.hpp"

#include <algorithm>

#include "cluster/wire/codec.hpp"

namespace cluster::sim {
namespace {

constexpr std::uint16_t kPortFirst = 10'000;
constexpr Duration kPeerTold = 200ms;  // until a connection that opened or broke is known
constexpr auto kEpoch = WallTime{std::chrono::days(20'000)};

struct Envelope {
  NodeId from;
  std::uint64_t life = 0;  // of the receiver, when the message was sent
  proto::GossipMessage message;
};

}  // namespace

RingCluster::RingCluster(std::uint64_t seed, NetworkFaults faults)
    : simulator_(seed),
      network_(simulator_, faults, [this](std::size_t from, std::size_t to, const Bytes& message) {
        deliver(from, to, message);
      }) {}

Endpoint RingCluster::endpoint_of(std::size_t place) {
  return {"localhost", static_cast<std::uint16_t>(kPortFirst + place)};
}

WallTime RingCluster::wall(std::size_t place) const {
  const auto since_start = simulator_.now().time_since_epoch() + processes_.at(place).start.clock_skew;
  return kEpoch + std::chrono::duration_cast<std::chrono::microseconds>(since_start);
}

std::size_t RingCluster::add(ProcessStart start) {
  processes_.emplace_back();
  processes_.back().start = std::move(start);
  begin(processes_.size() - 1, false);
  return processes_.size() - 1;
}

void RingCluster::begin(std::size_t place, bool keep_state) {
  auto& process = processes_[place];
  const auto now = moment(place);
  ++process.life;
  const auto wall_ms = static_cast<std::uint64_t>(micros(now.wall) / 1000);
  process.boot = keep_state ? std::max(process.boot + 1, wall_ms) : wall_ms;
  process.connections.clear();
  process.heard_from.clear();
  proto::GossipConfig config{.self = {.id = process.start.id,
                                      .boot = {process.boot, simulator_.rng().next()},
                                      .endpoint = endpoint_of(place),
                                      .weight = process.start.weight},
                             .ring = process.start.ring};
  const auto rng = simulator_.rng().split();
  process.gossip = keep_state && process.stored
                       ? std::make_unique<proto::Gossip>(config, rng, now, *process.stored)
                       : std::make_unique<proto::Gossip>(config, rng, now);
  process.stored.reset();
  perform(place, process.gossip->on_start(now));
  for (std::size_t other = 0; other < processes_.size(); ++other) {
    if (other == place || !running(other)) continue;
    for (const auto& [peer, endpoint] : processes_[other].connections)
      if (endpoint == endpoint_of(place)) tell_of_peer(other, peer, true);
  }
}

void RingCluster::stop(std::size_t place) {
  auto& process = processes_[place];
  process.stored = process.gossip->state();
  process.gossip.reset();
  process.timer = kNever;
  for (std::size_t other = 0; other < processes_.size(); ++other) {
    if (other == place || !running(other)) continue;
    for (const auto& [peer, endpoint] : processes_[other].connections)
      if (endpoint == endpoint_of(place)) tell_of_peer(other, peer, false);
  }
}

void RingCluster::restart(std::size_t place, bool keep_state, std::optional<Duration> clock_skew) {
  if (running(place)) stop(place);
  if (clock_skew) processes_[place].start.clock_skew = *clock_skew;
  begin(place, keep_state);
}

/// Later, and only if it is still so.
void RingCluster::tell_of_peer(std::size_t place, const NodeId& peer, bool up) {
  simulator_.after(kPeerTold, [this, place, peer, up, life = processes_[place].life] {
    auto& process = processes_[place];
    if (process.life != life || !process.gossip) return;
    const auto told = process.connections.find(peer);
    const bool is_up = told != process.connections.end() && listening_at(told->second).has_value();
    if (is_up != up) return;
    perform(place, up ? process.gossip->on_peer_up(moment(place), peer)
                      : process.gossip->on_peer_down(moment(place), peer));
  });
}

// --- driving one process ---

void RingCluster::perform(std::size_t place, proto::Actions actions) {
  auto& process = processes_[place];
  for (auto& action : actions) {
    if (auto* send = std::get_if<proto::Send>(&action)) {
      if (const auto to = place_of(process, send->to)) {
        Envelope envelope{process.start.id, processes_[*to].life, std::move(send->message)};
        network_.send(place, *to, wire::encode(envelope));
      }
    } else if (auto* connect = std::get_if<proto::Connect>(&action)) {
      process.connections.insert_or_assign(connect->peer, connect->endpoint);
      process.heard_from.erase(connect->peer);
      tell_of_peer(place, connect->peer, listening_at(connect->endpoint).has_value());
    } else if (auto* disconnect = std::get_if<proto::Disconnect>(&action)) {
      process.connections.erase(disconnect->peer);
    } else if (auto* who = std::get_if<proto::Dial>(&action)) {
      dial(place, *who);
    } else if (auto* done = std::get_if<proto::Done>(&action)) {
      auto& outcome = outcomes_[done->command];
      CLUSTER_ASSERT(!outcome);  // exactly one
      outcome = std::move(done->result);
    } else {
      process.events.push_back(std::get<proto::GossipEvent>(std::move(action)));
    }
  }
  set_timer(place);
}

void RingCluster::set_timer(std::size_t place) {
  auto& process = processes_[place];
  const auto due = process.gossip->next_deadline();
  if (due == process.timer) return;
  process.timer = due;
  simulator_.at(due, [this, place, due, life = process.life] {
    auto& later = processes_[place];
    if (later.life != life || !later.gossip || later.timer != due) return;
    later.timer = kNever;
    perform(place, later.gossip->on_time(moment(place)));
  });
}

void RingCluster::deliver(std::size_t from, std::size_t to, const Bytes& message) {
  auto& process = processes_[to];
  auto envelope = wire::decode<Envelope>(message);
  CLUSTER_ASSERT(envelope.has_value());
  if (!process.gossip || envelope->life != process.life) return;
  process.heard_from[envelope->from] = from;
  perform(to, process.gossip->on_message(moment(to), envelope->from, envelope->message));
}

void RingCluster::dial(std::size_t place, const proto::Dial& dial) {
  const auto there = listening_at(dial.endpoint);
  const bool reached = there && network_.reaches(place, *there);
  simulator_.after(network_.draw_delay() * 2,
                   [this, place, dial, there, reached, life = processes_[place].life] {
                     auto& process = processes_[place];
                     if (process.life != life || !process.gossip) return;
                     Result<NodeId> peer = Error(Errc::unreachable, "connection refused");
                     if (reached && *there == place) {
                       peer = Error(Errc::refused, "this node itself");
                     } else if (reached && running(*there)) {
                       peer = processes_[*there].start.id;
                       process.heard_from[*peer] = *there;
                       processes_[*there].heard_from[process.start.id] = place;
                     }
                     perform(place, process.gossip->on_dialed(moment(place), dial.command, peer));
                   });
}

/// The newest connection counts, whoever opened it.
std::optional<std::size_t> RingCluster::place_of(const Process& from, const NodeId& to) const {
  if (const auto heard = from.heard_from.find(to); heard != from.heard_from.end() && running(heard->second))
    return heard->second;
  if (const auto told = from.connections.find(to); told != from.connections.end())
    return listening_at(told->second);
  return {};
}

std::optional<std::size_t> RingCluster::listening_at(const Endpoint& endpoint) const {
  if (endpoint.port < kPortFirst) return {};
  const std::size_t place = endpoint.port - kPortFirst;
  if (place >= processes_.size() || !running(place)) return {};
  return place;
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
  const auto horizon = proto::RingState::horizon(kEpoch);
  return std::all_of(processes_.begin(), processes_.end(), [&](const Process& process) {
    if (!process.gossip || reference == nullptr) return true;
    const auto& state = process.gossip->state();
    if (reference->present(state.self()))
      return process.gossip->ring() == ring && state.hash(horizon) == reference->hash(horizon);
    const auto members = state.members();
    return process.gossip->ring() != ring ||
           std::none_of(members.begin(), members.end(), [&](const auto& member) {
             return member.id != state.self() && listening_at(member.endpoint).has_value();
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
