#include "cluster/node/command_plan.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "cluster/ds/ring_diff.hpp"
#include "cluster/node/command_replies.hpp"

namespace cluster::replies {
namespace {

using wire::Value;

double six_digits(double fraction) { return std::round(fraction * 1e6) / 1e6; }

std::string quoted(const NodeId& id) { return "'" + id.str() + "'"; }

/// Does to `ring` what the request plans, and says what that was.
Result<std::string> apply(const proto::CommandRequest& request, CHash& ring) {
  const auto& what = request.args[0];
  const auto id = NodeId::parse(request.args[1]).value();
  const bool is_member = ring.contains(id.str());
  if (what == "remove") {
    ring.remove(id.str());
    return is_member ? "remove " + quoted(id) : "none: " + quoted(id) + " is no member";
  }
  if (what == "insert") {
    if (is_member) return "none: " + quoted(id) + " is a member already";
    const Endpoint endpoint{request.args[2], parse_port(request.args[3]).value()};
    if (auto done = ring.insert({id, endpoint}, request.weight); !done) return done.error();
    return "insert " + quoted(id) + " with weight " + std::to_string(ring.weight(id.str()));
  }
  if (!is_member) return not_in_ring(id.str());
  const auto before = ring.weight(id.str());
  if (auto done = ring.update(*ring.get(id.str()), request.weight); !done) return done.error();
  return "update " + quoted(id) + " from weight " + std::to_string(before) + " to " +
         std::to_string(*request.weight);
}

/// The members of both rings with their shares in each, by id.
Value::Array members_of(const CHash::Balance& before, const CHash::Balance& after) {
  std::map<NodeId, std::pair<const CHash::Share*, const CHash::Share*>> all;
  for (const auto& share : before.shares) all[share.id].first = &share;
  for (const auto& share : after.shares) all[share.id].second = &share;
  Value::Array list;
  for (const auto& [id, shares] : all) {
    const auto weight = [](const CHash::Share* share) { return share ? Value(share->weight) : Value(); };
    const auto part = [](const CHash::Share* share) {
      return share ? Value(six_digits(share->share)) : Value();
    };
    list.push_back(Value::map({{"id", id.str()},
                               {"weight", weight(shares.first)},
                               {"weight_after", weight(shares.second)},
                               {"share", part(shares.first)},
                               {"share_after", part(shares.second)}}));
  }
  return list;
}

}  // namespace

Value balance(const CHash& ring) {
  const auto balance = ring.balance();
  Value::Array members;
  for (const auto& [id, weight, share, expected] : balance.shares)
    members.push_back(Value::map({{"id", id.str()},
                                  {"weight", weight},
                                  {"share", six_digits(share)},
                                  {"expected", six_digits(expected)}}));
  return answer(Value::map({{"members", std::move(members)},
                            {"max_over_mean", six_digits(balance.max_over_mean)},
                            {"max_over_expected", six_digits(balance.max_over_expected)}}));
}

Value plan(const proto::CommandRequest& request, const CHash& ring) {
  CHash after = ring;
  auto effect = apply(request, after);
  if (!effect) return failure(effect.error());
  const auto change = diff(ring, after).value();  // of one policy
  Value::Array moves;
  for (const auto& [from, to, fraction] : change.flows)
    moves.push_back(Value::map({{"from", from.empty() ? Value() : Value(from.str())},
                                {"to", to.empty() ? Value() : Value(to.str())},
                                {"fraction", six_digits(fraction)}}));
  const auto then = ring.balance();
  const auto now = after.balance();
  return answer(Value::map({{"effect", std::move(*effect)},
                            {"moved", six_digits(change.moved)},
                            {"moves", std::move(moves)},
                            {"members", members_of(then, now)},
                            {"max_over_mean", six_digits(then.max_over_mean)},
                            {"max_over_mean_after", six_digits(now.max_over_mean)}}));
}

std::string insert_note(const proto::InsertCommand& command, const std::vector<proto::MemberView>& members) {
  std::string note;
  for (const auto& asked : command.members) {
    const auto held = std::ranges::find(members, asked.id, &proto::MemberView::id);
    if (held == members.end()) continue;
    if (held->endpoint == asked.endpoint && held->weight == asked.weight.value_or(held->weight)) continue;
    if (!note.empty()) note += "; ";
    note += quoted(asked.id) + " was a member already, at " + held->endpoint.to_string() + " with weight " +
            std::to_string(held->weight) + ", and stays so";
  }
  return note;
}

std::string compare_clocks(const std::vector<proto::ClockEntry>& own,
                           const std::vector<proto::ClockEntry>& theirs) {
  std::map<NodeId, std::pair<std::uint64_t, std::uint64_t>> counts;  // own, theirs
  for (const auto& [editor, count] : own) counts[editor].first = count;
  for (const auto& [editor, count] : theirs) counts[editor].second = count;
  bool lacks = false, has_more = false;
  for (const auto& [editor, pair] : counts) {
    lacks = lacks || pair.second < pair.first;
    has_more = has_more || pair.second > pair.first;
  }
  if (lacks && has_more) return "both";
  if (lacks) return "behind";
  return has_more ? "ahead" : "same";
}

std::string not_yet_known(const std::vector<Behind>& late) {
  std::vector<std::pair<std::string, std::string>> groups;  // why, ids
  for (const auto& [id, why] : late) {
    const auto same = std::ranges::find(groups, why, &std::pair<std::string, std::string>::first);
    if (same == groups.end())
      groups.emplace_back(why, quoted(id));
    else
      same->second += ", " + quoted(id);
  }
  std::string text = "done at this node, but not yet known to ";
  for (const auto& [why, ids] : groups) {
    if (&groups.front().first != &why) text += &groups.back().first == &why ? " and " : ", ";
    text += ids + " (" + why + ")";
  }
  return text;
}

}  // namespace cluster::replies
