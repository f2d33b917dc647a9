#include "cluster/sim/chord_cluster.hpp"

#include <algorithm>
#include <utility>

#include "cluster/base/assert.hpp"
#include "cluster/wire/codec.hpp"

namespace cluster::sim {
namespace {

using proto::Chord;
using proto::ChordId;
using proto::ChordPeer;

/// Names whose places differ: in a small space some fall together.
std::vector<proto::ChordContact> contacts(std::size_t count, const proto::ChordSpace& space) {
  std::vector<proto::ChordContact> out;
  std::map<ChordId, std::size_t> taken;
  for (std::size_t i = 0; out.size() < count; ++i) {
    auto id = "n" + std::to_string(i);
    if (!taken.emplace(space.place(id), i).second) continue;
    out.push_back({NodeId(std::move(id)), {"localhost", static_cast<std::uint16_t>(1 + i % 65535)}});
  }
  return out;
}

std::vector<ChordId> places_of(const std::vector<proto::ChordContact>& contacts,
                               const proto::ChordSpace& space) {
  std::vector<ChordId> places;
  for (const auto& contact : contacts) places.push_back(space.place(contact.id.str()));
  return places;
}

std::vector<ChordId> all_places(const ChordClusterConfig& config) {
  const proto::ChordSpace space(config.chord.bits, config.chord.hash);
  return places_of(contacts(config.nodes, space), space);
}

}  // namespace

ChordCluster::ChordCluster(ChordClusterConfig config)
    : simulator_(config.seed),
      network_(simulator_, config.network),
      space_(config.chord.bits, config.chord.hash),
      places_(all_places(config)),
      checker_(places_, config.chord.successors) {
  nodes_.reserve(config.nodes);
  for (auto& contact : contacts(config.nodes, space_)) {
    numbers_.emplace(contact.id, nodes_.size());
    auto chord = config.chord;
    chord.self = std::move(contact);
    nodes_.push_back({Chord(std::move(chord), simulator_.rng().split())});
  }
}

void ChordCluster::form(std::size_t count) {
  std::map<ChordId, std::size_t> ring;
  for (std::size_t i = 0; i < count; ++i) ring.emplace(places_[i], i);
  const auto first_at = [&](const ChordId& place) {
    const auto found = ring.lower_bound(place);
    return found == ring.end() ? ring.begin() : found;
  };
  checker_.begin_event();
  const auto contact = [this](std::size_t node) { return nodes_[node].chord.self().contact(); };
  for (auto at = ring.begin(); at != ring.end(); ++at) {
    Chord::Formed formed;
    formed.predecessor = contact((at == ring.begin() ? std::prev(ring.end()) : std::prev(at))->second);
    const auto& chord = nodes_[at->second].chord;
    auto next = at;
    const auto r = std::min(chord.config().successors, count - 1);
    while (formed.successors.size() < r) {
      if (++next == ring.end()) next = ring.begin();
      formed.successors.push_back(contact(next->second));
    }
    for (unsigned i = 0; i < space_.bits();) {
      const auto node = first_at(chord.finger_start(i))->second;
      if (node == at->second) break;
      const auto& peer = nodes_[node].chord.self();
      const unsigned last = space_.distance(chord.self().place, peer.place).width() - 1;
      formed.fingers.set(i, last, peer);
      i = last + 1;
    }
    perform(at->second, nodes_[at->second].chord.form(simulator_.now(), formed));
  }
  checker_.end_event();
}

void ChordCluster::create(std::size_t node) { perform(node, nodes_[node].chord.create(simulator_.now())); }

void ChordCluster::join(std::size_t node, std::size_t through) {
  nodes_[node].running = true;
  perform(node, nodes_[node].chord.join(simulator_.now(), node, nodes_[through].chord.self().contact()));
}

void ChordCluster::leave(std::size_t node) { perform(node, nodes_[node].chord.leave(simulator_.now())); }

void ChordCluster::note_principals(std::size_t deaths) {
  deaths += principals_.empty() ? 0 : principals_.back().deaths;
  principals_.push_back({simulator_.now(), checker_.principals(), deaths});
}

/// Begins when there have been enough principals for a while: who became one just now may be skipped again,
/// by a list that was on its way.
void ChordCluster::forget_old_principals() {
  const auto now = simulator_.now();
  while (principals_.size() > 1 && principals_[1].at + kInFlight <= now) principals_.pop_front();
  if (checker_.begun() || principals_.empty() || principals_.front().at + kInFlight > now) return;
  const auto needed = checker_.principals_needed() + principals_.back().deaths - principals_.front().deaths;
  const auto enough = [&](const Principals& then) { return then.count >= needed; };
  if (std::ranges::all_of(principals_, enough)) checker_.begin();
}

bool ChordCluster::may_fail(std::size_t node) const {
  if (!checker_.may_fail(node)) return false;
  if (!checker_.begun()) return true;
  const auto now = simulator_.now();
  const auto recent =
      std::ranges::find_if(principals_, [&](const Principals& then) { return then.at + kInFlight > now; });
  const auto& then = recent == principals_.begin() ? principals_.front() : *std::prev(recent);
  const auto deaths = principals_.back().deaths - then.deaths;
  return then.count > deaths + checker_.principals_needed();
}

bool ChordCluster::kill(std::size_t node) {
  if (!may_fail(node)) return false;
  kill_anyway(node);
  return true;
}

void ChordCluster::kill_anyway(std::size_t node) {
  auto& member = nodes_[node];
  member.running = false;
  static_cast<void>(member.chord.leave(simulator_.now()));  // nobody hears of it
  member.armed = kNever;
  report(node);
  fail_lookups_of(node);
}

void ChordCluster::move(std::size_t node) {
  auto& member = nodes_[node];
  auto config = member.chord.config();
  config.self.endpoint.port = static_cast<std::uint16_t>(config.self.endpoint.port + nodes_.size());
  member.chord = Chord(std::move(config), simulator_.rng().split());
  member.moved = true;
  member.linked.clear();
}

void ChordCluster::close_links() {
  for (auto& member : nodes_) member.linked.clear();
}

/// An answer goes back over the link that the question came by.
bool ChordCluster::reaches(std::size_t from, const proto::ChordSend& send) const {
  const auto& to = nodes_[number_of(send.to)];
  return !to.moved || send.endpoint.host.empty() || send.endpoint == to.chord.self().endpoint ||
         to.linked.contains(from);
}

/// Who asked is gone: nobody waits for the answers.
void ChordCluster::fail_lookups_of(std::size_t node) {
  std::erase_if(asked_, [&](const auto& entry) { return entry.second.from == node; });
}

void ChordCluster::lookup(std::size_t from, const ChordId& target, proto::ChordMode mode) {
  asked_.emplace(++asked_last_, Asked{from, target, simulator_.now()});
  perform(from, nodes_[from].chord.lookup(simulator_.now(), asked_last_, target, mode));
}

void ChordCluster::perform(std::size_t node, proto::ChordActions actions) {
  for (auto& action : actions) {
    if (auto* send = std::get_if<proto::ChordSend>(&action)) {
      if (!reaches(node, *send)) continue;
      scratch_.clear();
      wire::encode_to(scratch_, send->message);
      auto decoded = wire::decode<proto::ChordMessage>(scratch_);
      CLUSTER_ASSERT(decoded.has_value());
      auto message = std::make_shared<const proto::ChordMessage>(std::move(decoded).value());
      network_.send(node, number_of(send->to), scratch_.size(),
                    [this, message = std::move(message)](std::uint32_t from, std::uint32_t to) {
                      deliver(from, to, *message);
                    });
    } else if (auto* done = std::get_if<proto::ChordLookupDone>(&action)) {
      const auto asked = asked_.find(done->command);
      if (asked == asked_.end()) {
        ++answered_twice_;
        continue;
      }
      const auto& [from, target, at] = asked->second;
      Outcome outcome{from, target, simulator_.now() - at, std::move(done->answer)};
      outcome.right = outcome.answer && number_of(outcome.answer->owner.id) == owner_of(target);
      outcomes_.push_back(std::move(outcome));
      asked_.erase(asked);
    } else if (auto* joined = std::get_if<proto::ChordJoinDone>(&action)) {
      if (!joined->result) ++joins_failed_;
    } else if (std::holds_alternative<proto::ChordChanged>(action)) {
      report(node);
    }
  }
  arm(node);
}

void ChordCluster::deliver(std::size_t from, std::size_t to, const proto::ChordMessage& message) {
  auto& member = nodes_[to];
  if (!member.running) return;
  const auto& self = nodes_[from].chord.self();
  if (nodes_[from].moved) {
    nodes_[from].linked.insert(to);
    perform(to, member.chord.on_contact(simulator_.now(), self.contact()));
  }
  perform(to, member.chord.on_message(simulator_.now(), self.id, message));
}

void ChordCluster::arm(std::size_t node) {
  auto& member = nodes_[node];
  const auto due = member.chord.next_deadline();
  if (!member.running || due >= member.armed) return;
  member.armed = due;
  simulator_.at(due, [this, node, due] { fire(node, due); });
}

void ChordCluster::fire(std::size_t node, Instant when) {
  auto& member = nodes_[node];
  if (!member.running || member.armed != when) return;
  member.armed = kNever;
  perform(node, member.chord.on_time(simulator_.now()));
}

/// Tells the checker what the node holds now.
void ChordCluster::report(std::size_t node) {
  forget_old_principals();
  const auto& chord = nodes_[node].chord;
  if (chord.state() != Chord::State::member) {
    members_.erase(places_[node]);
    checker_.gone(node);
    return note_principals(1);
  }
  members_.emplace(places_[node], node);
  std::vector<std::size_t> successors;
  for (const auto& peer : chord.successors()) successors.push_back(number_of(peer.id));
  checker_.member(node, successors);
  note_principals(0);
}

bool ChordCluster::is_member(std::size_t node) const {
  return nodes_[node].chord.state() == Chord::State::member;
}
bool ChordCluster::is_joining(std::size_t node) const {
  return nodes_[node].chord.state() == Chord::State::joining;
}

std::vector<std::size_t> ChordCluster::members() const {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (is_member(i)) out.push_back(i);
  return out;
}

std::size_t ChordCluster::random_member(Rng& rng) const {
  CLUSTER_ASSERT(!members_.empty());
  for (;;)
    if (const auto node = static_cast<std::size_t>(rng.below(nodes_.size())); is_member(node)) return node;
}

ChordId ChordCluster::random_target(Rng& rng) const {
  return space_.place("key " + std::to_string(rng.next()));
}

std::size_t ChordCluster::owner_of(const ChordId& target) const {
  CLUSTER_ASSERT(!members_.empty());
  const auto found = members_.lower_bound(target);
  return (found == members_.end() ? members_.begin() : found)->second;
}

std::string ChordCluster::flaw(bool with_fingers) const {
  const auto is_elsewhere = [this](const ChordPeer& peer) {
    return peer.endpoint != nodes_[number_of(peer.id)].chord.self().endpoint;
  };
  for (auto at = members_.begin(); at != members_.end(); ++at) {
    const auto& chord = nodes_[at->second].chord;
    const auto name = "'" + chord.self().id.str() + "'";
    if (members_.size() == 1) return chord.successors().empty() ? "" : name + " should be alone";
    const auto before = (at == members_.begin() ? std::prev(members_.end()) : std::prev(at))->second;
    if (!chord.predecessor() || number_of(chord.predecessor()->id) != before)
      return name + " has another predecessor";
    if (is_elsewhere(*chord.predecessor())) return name + " has its predecessor at another endpoint";
    const auto r = std::min(chord.config().successors, members_.size() - 1);
    if (chord.successors().size() != r) return name + " has too few successors";
    auto next = at;
    for (const auto& peer : chord.successors()) {
      if (++next == members_.end()) next = members_.begin();
      if (number_of(peer.id) != next->second) return name + " has another successor";
      if (is_elsewhere(peer)) return name + " has a successor at another endpoint";
    }
    if (!with_fingers) continue;
    for (unsigned i = 0; i < space_.bits();) {
      const auto owner = owner_of(chord.finger_start(i));
      const auto& peer = nodes_[owner].chord.self();
      const bool is_self = owner == at->second;
      // So far reaches the same definition.
      const auto end = is_self ? space_.bits() : space_.distance(chord.self().place, peer.place).width();
      for (; i < end; ++i) {
        const auto* finger = chord.fingers().at(i);
        if (is_self ? finger != nullptr : finger == nullptr || !(*finger == peer))
          return name + " has another finger " + std::to_string(i);
        if (!is_self && is_elsewhere(*finger))
          return name + " has finger " + std::to_string(i) + " at another endpoint";
      }
    }
  }
  return {};
}

std::optional<Duration> ChordCluster::run_until_ideal(Duration max, bool with_fingers, Duration step) {
  const auto begin = simulator_.now();
  while (simulator_.now() - begin <= max) {
    if (flaw(with_fingers).empty()) return simulator_.now() - begin;
    simulator_.run_for(step);
  }
  return {};
}

void ChordCluster::run_lookups() {
  while (!asked_.empty()) simulator_.run_for(10ms);
}

std::size_t ChordCluster::number_of(const NodeId& id) const { return numbers_.at(id); }

}  // namespace cluster::sim
