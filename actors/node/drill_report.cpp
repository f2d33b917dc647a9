#include "cluster/node/drill_report.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "cluster/node/command_replies.hpp"

namespace cluster {
namespace {

using proto::DrillLink;
using proto::DrillPhase;
using wire::Value;

constexpr std::size_t kConflictsMax = 100;  // told of one drill

std::string text_of(const Value& event, std::string_view key) {
  const auto* found = event.find(key);
  const auto* text = found != nullptr ? found->text() : nullptr;
  return text != nullptr ? *text : std::string();
}

template <class T>
Value or_nil(const std::optional<T>& value) {
  return value ? Value(*value) : Value();
}

/// Books of messages from one member to another, or of several such pairs.
struct Traffic {
  std::uint64_t casts = 0, refused = 0, delivered = 0, late = 0, lost = 0, doubled = 0, disordered = 0;
  std::uint64_t calls = 0, answered = 0, failed = 0, unknown = 0;
  bool is_final = true;

  Traffic() = default;
  Traffic(const DrillLink& out, const DrillLink& in, bool both_done)
      : casts(out.casts),
        refused(out.refused),
        delivered(in.delivered),
        late(in.late),
        lost(out.casts - std::min(out.casts, out.refused + in.delivered)),
        doubled(in.doubled),
        disordered(in.disordered),
        calls(out.calls),
        answered(out.answered),
        failed(out.failed),
        unknown(out.unknown),
        is_final(both_done) {}

  void add(const Traffic& more) {
    casts += more.casts, refused += more.refused, delivered += more.delivered, late += more.late;
    lost += more.lost, doubled += more.doubled, disordered += more.disordered;
    calls += more.calls, answered += more.answered, failed += more.failed, unknown += more.unknown;
    is_final = is_final && more.is_final;
  }
  void show(Value& to) const {
    to.set("casts", casts);
    to.set("refused", refused);
    to.set("delivered", delivered);
    to.set("late", late);
    to.set("lost", is_final ? Value(lost) : Value());
    to.set("doubled", doubled);
    to.set("disordered", disordered);
    to.set("calls", calls);
    to.set("answered", answered);
    to.set("failed", failed);
    to.set("unknown", unknown);
  }
};

const DrillLink* link_to(const DrillStory& story, const NodeId& peer) {
  if (!story.told) return nullptr;
  const auto& links = story.told->account.links;
  const auto found = std::ranges::find(links, peer, &DrillLink::peer);
  return found == links.end() ? nullptr : &*found;
}

bool is_done(const DrillStory& story) { return story.told && story.told->account.phase == DrillPhase::done; }

Value node_row(const DrillStory& story) {
  auto row = Value::map({{"id", story.node.str()}});
  if (!story.told) {
    row.set("phase", "no answer: " + story.told.error().message());
    return row;
  }
  const auto& [account, events] = *story.told;
  Value::Array missed;
  std::optional<std::uint64_t> first;
  std::optional<std::uint64_t> last;
  std::optional<std::uint64_t> back;
  for (const auto& link : account.links) {
    if (!link.missed_ms) continue;
    missed.emplace_back(link.peer.str());
    first = std::min(first.value_or(*link.missed_ms), *link.missed_ms);
    last = std::max(last.value_or(0), *link.missed_ms);
    if (link.back_ms) back = std::max(back.value_or(0), *link.back_ms);
  }
  row.set("phase", proto::name(account.phase));
  row.set("cut_ms", account.cut_ms);
  row.set("missed", std::move(missed));
  row.set("missed_first_ms", or_nil(first));
  row.set("missed_last_ms", or_nil(last));
  row.set("back_ms", or_nil(back));
  row.set("together_ms", or_nil(account.together_ms));
  row.set("ring_changes", events.ring_changes);
  row.set("conflicts", events.conflicts.size());
  row.set("quorum_lost", events.quorum_lost);
  row.set("quorum_found", events.quorum_found);
  return row;
}

Value pair_rows(const proto::DrillPlan& plan, const std::vector<DrillStory>& stories, Traffic& across,
                Traffic& within) {
  Value::Array rows;
  for (const auto& from : stories) {
    for (const auto& to : stories) {
      const auto* out = link_to(from, to.node);
      const auto* in = link_to(to, from.node);
      if (out == nullptr || in == nullptr) continue;
      const bool is_across = plan.cuts(from.node, to.node);
      const Traffic traffic(*out, *in, is_done(from) && is_done(to));
      (is_across ? across : within).add(traffic);
      auto row = Value::map({{"from", from.node.str()}, {"to", to.node.str()}, {"cut", is_across}});
      traffic.show(row);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

Value conflict_rows(const std::vector<DrillStory>& stories) {
  std::set<DrillConflict> all;
  for (const auto& story : stories)
    if (story.told) all.insert(story.told->events.conflicts.begin(), story.told->events.conflicts.end());
  Value::Array rows;
  for (const auto& each : all)
    rows.push_back(
        Value::map({{"id", each.id}, {"field", each.field}, {"kept", each.kept}, {"lost", each.lost}}));
  return rows;
}

Value traffic_row(std::string_view links, const Traffic& traffic) {
  auto row = Value::map({{"links", links}});
  traffic.show(row);
  return row;
}

}  // namespace

void DrillEvents::add(const Value& event, DrillPhase phase) {
  const auto kind = text_of(event, "event");
  if (phase == DrillPhase::done) {  // what comes now has other causes, but for what the drill had begun
    if (kind == "quorum_found" && quorum_found < quorum_lost) ++quorum_found;
    return;
  }
  if (kind == "ring_changed" && phase == DrillPhase::cut) ++ring_changes;
  if (kind == "quorum_lost") ++quorum_lost;
  if (kind == "quorum_found") ++quorum_found;
  if (kind == "conflict" && conflicts.size() < kConflictsMax)
    conflicts.push_back(
        {text_of(event, "id"), text_of(event, "field"), text_of(event, "kept"), text_of(event, "lost")});
}

Value drill_report(const proto::DrillPlan& plan, const std::vector<DrillStory>& stories,
                   const NodeId& asked) {
  auto phase = DrillPhase::done;
  bool finished = true;
  bool together = true;
  std::uint64_t together_ms = 0;
  Value::Array nodes;
  for (const auto& story : stories) {
    nodes.push_back(node_row(story));
    if (!story.told) {
      together = false;
      continue;
    }
    const auto& account = story.told->account;
    if (story.node == asked) phase = account.phase;
    finished = finished && account.phase == DrillPhase::done;
    together = together && account.together_ms.has_value();
    together_ms = std::max(together_ms, account.together_ms.value_or(0));
  }
  Traffic across;
  Traffic within;
  auto pairs = pair_rows(plan, stories, across, within);
  return Value::map(
      {{"drill", plan.id},
       {"partition", proto::to_text(plan.sides)},
       {"uncut", replies::ids(plan.uncut)},
       {"phase", proto::name(phase)},
       {"for_ms", plan.cut_ms},
       {"finished", finished},
       {"together", together},
       {"together_ms", together ? Value(together_ms) : Value()},
       {"traffic", Value::array({traffic_row("across", across), traffic_row("within", within)})},
       {"nodes", std::move(nodes)},
       {"pairs", std::move(pairs)},
       {"conflicts", conflict_rows(stories)}});
}

}  // namespace cluster
