#include "cluster/sim/edit_checker.hpp"

#include <algorithm>
#include <array>

namespace cluster::sim {

void EditChecker::on_event(std::size_t place, const proto::GossipEvent& event) {
  const auto* changed = std::get_if<proto::RingChanged>(&event);
  if (changed == nullptr || !cluster_.running(place) || cluster_.at(place).ring().empty()) return;
  for (const auto& member : changed->members) note(place, member);
}

void EditChecker::note(std::size_t place, const NodeId& member) {
  const auto& state = cluster_.at(place).state();
  const auto* record = state.find(member);
  if (record == nullptr) return;
  const auto& p = record->presence;
  if (p.editor == state.self()) {
    add({member, Field::presence, p.born, {}, p.changed_at, p.editor, p.count, p.removed});
    if (!p.removed) lives_.emplace(member, p.born);
  }
  const auto& w = record->weight;
  if (w.editor == state.self())
    add({member, Field::weight, w.born, {}, w.changed_at, w.editor, w.count, false});
  const auto& e = record->endpoint;
  if (e.editor == state.self())
    add({member, Field::endpoint, e.born, e.boot, e.changed_at, e.editor, e.count, false});
}

void EditChecker::add(Edit edit) {
  edits_.emplace(std::tuple(edit.member, edit.field, edit.born, edit.at, edit.editor, edit.removal),
                 std::move(edit));
}

std::vector<std::string> EditChecker::lost_in(const proto::RingState& state) const {
  std::vector<std::string> lost;
  for (const auto& [key, edit] : edits_)
    if (!holds(state, edit)) lost.push_back(describe(edit));
  return lost;
}

std::vector<std::string> EditChecker::revived_in(const proto::RingState& state) const {
  std::vector<std::string> revived;
  for (const auto& view : state.members()) {
    const auto born = state.find(view.id)->presence.born;
    if (born != WallTime{} && !lives_.contains({view.id, born})) revived.push_back(view.id.str());
  }
  return revived;
}

/// How many other running members hold the edit; stops at `enough`.
std::size_t EditChecker::holders(const Edit& edit, std::size_t but, std::size_t enough) const {
  const auto* greatest = cluster_.greatest();
  std::size_t count = 0;
  if (greatest == nullptr) return count;
  for (std::size_t place = 0; place < cluster_.size() && count < enough; ++place) {
    if (place == but || !cluster_.running(place) || cluster_.at(place).ring() != "ring") continue;
    const auto& state = cluster_.at(place).state();
    if (greatest->present(state.self()) && state.present(state.self()) && holds(state, edit)) ++count;
  }
  return count;
}

bool EditChecker::known_elsewhere(std::size_t place) const {
  return std::all_of(edits_.begin(), edits_.end(), [&](const auto& entry) {
    return !holds(cluster_.at(place).state(), entry.second) || holders(entry.second, place, 2) == 2;
  });
}

void EditChecker::forgive(std::size_t place) {
  const auto* state = cluster_.running(place) ? &cluster_.at(place).state() : cluster_.stored(place);
  if (state == nullptr) return;
  std::erase_if(edits_, [&](const auto& entry) {
    return holds(*state, entry.second) && holders(entry.second, place, 2) < 2;
  });
}

void EditChecker::forgive(const proto::RingState& state, const proto::RingState& judged) {
  std::erase_if(
      edits_, [&](const auto& entry) { return holds(state, entry.second) && !holds(judged, entry.second); });
}

bool EditChecker::holds(const proto::RingState& state, const Edit& edit) {
  const auto* record = state.find(edit.member);
  if (record == nullptr) return false;
  const auto& life = record->presence;
  if (life.born > edit.born) return true;  // a later life
  if (life.born < edit.born) return false;
  if (edit.removal) return life.removed;
  if (life.removed) return true;  // a removal is the last edit of its life
  switch (edit.field) {
    case Field::presence:
      return life.changed_at >= edit.at;
    case Field::weight:
      return record->weight.born == edit.born && record->weight.changed_at >= edit.at;
    case Field::endpoint:
      return record->endpoint.born == edit.born &&
             (record->endpoint.boot > edit.boot || record->endpoint.changed_at >= edit.at);
  }
  return false;
}

std::string EditChecker::describe(const Edit& edit) {
  static constexpr std::array kNames{"presence", "weight", "endpoint"};
  return edit.editor.str() + "'s edit " + std::to_string(edit.count) + " of " + edit.member.str() + "'s " +
         kNames[static_cast<std::size_t>(edit.field)] + (edit.removal ? " (removal)" : "");
}

std::string check_merge(const RingCluster& cluster, const std::vector<std::size_t>& places,
                        Witness* witness) {
  using proto::RingState;
  if (places.empty()) return {};
  const auto wall = cluster.wall(places.front());
  const auto horizon = RingState::horizon(wall);
  const proto::Self onlooker{.id = "onlooker", .boot = {1, 1}, .endpoint = {"onlooker.invalid", 1}};
  const auto merge = [&](RingState& into, const RingState& from) {
    for (auto& delta : from.deltas_since({})) {
      proto::GossipMessage message = proto::RingUpdate{.ring = "ring", .delta = std::move(delta)};
      if (witness != nullptr) witness->on_merge(into, message);
      into.merge(std::get<proto::RingUpdate>(message).delta, wall);
    }
  };
  const auto merged = [&](const std::vector<const RingState*>& states) {
    RingState sum(onlooker, wall);
    for (const auto* state : states) merge(sum, *state);
    return sum;
  };
  std::vector<const RingState*> states;
  for (const auto place : places) states.push_back(&cluster.at(place).state());
  const auto in_order = merged(states);
  if (merged({states.rbegin(), states.rend()}).hash(horizon) != in_order.hash(horizon))
    return "merging in another order gives another state";
  auto again = in_order;
  for (const auto* state : states) merge(again, *state);
  if (again.hash(horizon) != in_order.hash(horizon)) return "merging again changes the state";
  auto grouped = merged({states.front()});
  merge(grouped, merged({states.begin() + 1, states.end()}));
  if (grouped.hash(horizon) != in_order.hash(horizon)) return "merging in other groups gives another state";
  return {};
}

}  // namespace cluster::sim
