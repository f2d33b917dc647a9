#include "cluster/proto/drill_plan.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "command_errors.hpp"

namespace cluster::proto {
namespace {

constexpr std::size_t kIdBytesMax = 64;
constexpr std::uint32_t kBeforeMsMax = 10'000;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t";
  const auto first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

/// What stands before the next `separator`; `text` is moved behind it, and is nothing after the last part.
std::string_view take_part(std::optional<std::string_view>& text, char separator) {
  const auto end = text->find(separator);
  const auto part = text->substr(0, end);
  if (end == std::string_view::npos)
    text.reset();
  else
    text = text->substr(end + 1);
  return trimmed(part);
}

/// Each member once, in at least two sides that have one, and not too many.
Result<void> check_members(const DrillSides& sides, const std::vector<NodeId>& uncut) {
  if (sides.size() < 2) return bad_command("a partition has at least two sides, such as 'a,b | c,d'");
  std::set<NodeId> seen;
  const auto add = [&](const NodeId& id) -> Result<void> {
    if (id.empty()) return bad_command("a member without an id");
    if (!seen.insert(id).second) return bad_command("'" + id.str() + "' is named twice");
    return {};
  };
  for (const auto& side : sides) {
    if (side.empty()) return bad_command("a side without a member");
    for (const auto& id : side)
      if (auto added = add(id); !added) return added;
  }
  for (const auto& id : uncut)
    if (auto added = add(id); !added) return added;
  if (seen.size() > kDrillMembersMax)
    return bad_command("a drill is for at most " + std::to_string(kDrillMembersMax) + " members");
  return {};
}

}  // namespace

Result<DrillSides> parse_drill_sides(std::string_view text) {
  DrillSides sides;
  for (std::optional<std::string_view> rest = text; rest;) {
    std::optional<std::string_view> names = take_part(rest, '|');
    auto& side = sides.emplace_back();
    while (names) {
      auto id = NodeId::parse(take_part(names, ','));
      if (!id)
        return bad_command("'" + std::string(text) +
                           "' is not a partition such as 'a,b | c,d': " + id.error().message());
      side.push_back(std::move(id).value());
    }
  }
  if (auto checked = check_members(sides, {}); !checked) return std::move(checked).error();
  return sides;
}

std::string to_text(const DrillSides& sides) {
  std::string text;
  for (const auto& side : sides) {
    if (!text.empty()) text += " | ";
    for (const auto& id : side) text += (&id == &side.front() ? "" : ",") + id.str();
  }
  return text;
}

Result<std::uint32_t> parse_drill_time(std::string_view text) {
  const auto fail = [&] {
    return bad_command("'" + std::string(text) + "' is not a time such as 10s, 1500ms or 2m");
  };
  std::uint32_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc{}) return fail();
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const std::uint64_t factor = unit == "ms"                  ? 1
                               : unit == "s" || unit.empty() ? 1000
                               : unit == "m"                 ? 60'000
                                                             : 0;
  if (factor == 0) return fail();
  const auto ms = static_cast<std::uint32_t>(std::min<std::uint64_t>(number * factor, 0xFFFF'FFFF));
  if (auto checked = check_drill_time(ms); !checked) return std::move(checked).error();
  return ms;
}

Result<void> check_drill_time(std::uint32_t ms) {
  const Duration time = std::chrono::milliseconds(ms);
  if (time < kDrillCutMin || time > kDrillCutMax) return bad_command("a drill's cut lasts 1 s to 10 min");
  return {};
}

bool DrillPlan::cuts(const NodeId& a, const NodeId& b) const {
  const auto side_of = [&](const NodeId& id) {
    return std::ranges::find_if(sides, [&](const auto& side) { return std::ranges::count(side, id) != 0; });
  };
  const auto of_a = side_of(a);
  const auto of_b = side_of(b);
  return of_a != of_b && of_a != sides.end() && of_b != sides.end();
}

std::vector<NodeId> DrillPlan::others(const NodeId& self) const {
  std::vector<NodeId> all = uncut;
  for (const auto& side : sides) all.insert(all.end(), side.begin(), side.end());
  std::erase(all, self);
  std::ranges::sort(all);
  return all;
}

Result<void> check(const DrillPlan& plan) {
  if (plan.id.empty() || plan.id.size() > kIdBytesMax) return bad_command("a drill without an id");
  if (plan.before_ms > kBeforeMsMax) return bad_command("a drill's cut begins within 10 s");
  if (auto checked = check_drill_time(plan.cut_ms); !checked) return checked;
  return check_members(plan.sides, plan.uncut);
}

}  // namespace cluster::proto
