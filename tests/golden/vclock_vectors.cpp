// Checks of vclock_*.json.
#include <algorithm>
#include <array>
#include <compare>
#include <limits>
#include <optional>
#include <utility>

#include "checker.hpp"
#include "cluster/ds/json.hpp"
#include "cluster/ds/vector_clock.hpp"

namespace golden {
namespace {

using cluster::NodeId;
using cluster::VectorClock;
using cluster::WallTime;
constexpr std::uint64_t kAnyCount = std::numeric_limits<std::uint64_t>::max();

NodeId id_of(const Json& value) {
  auto id = NodeId::parse(text(value, "actor id"));
  if (!id) throw Malformed("actor id " + value.dump() + ": " + id.error().message());
  return *std::move(id);
}
WallTime time_of(const Json& value) { return cluster::wall_from_micros(whole(value, "time")); }

VectorClock clock_of(const Json& entries) {
  std::vector<VectorClock::Entry> all;
  for (const auto& entry : list(entries, "clock"))
    all.push_back({id_of(element(entry, 0)), natural(element(entry, 1), "count", kAnyCount),
                   time_of(element(entry, 2)), time_of(element(entry, 3))});
  auto clock = VectorClock::from_entries(std::move(all));
  if (!clock) throw Malformed(clock.error().message());
  return *std::move(clock);
}

std::vector<VectorClock::Entry> sorted_entries(const VectorClock& clock) {
  std::vector<VectorClock::Entry> entries(clock.entries().begin(), clock.entries().end());
  std::ranges::sort(entries, [](const auto& a, const auto& b) { return utf16_less(a.id.str(), b.id.str()); });
  return entries;
}

Json json_of(const VectorClock& clock) {
  Json result = Json::array();
  for (const auto& [id, count, insert, time] : sorted_entries(clock))
    result.push_back(Json::array({id.str(), count, cluster::micros(insert), cluster::micros(time)}));
  return result;
}

/// What `<=>` must say, given who descends from whom.
std::partial_ordering order_of(bool a_descends, bool b_descends) {
  if (a_descends && b_descends) return std::partial_ordering::equivalent;
  if (a_descends) return std::partial_ordering::greater;
  return b_descends ? std::partial_ordering::less : std::partial_ordering::unordered;
}

void apply(const Json& step, VectorClock& clock, const std::array<VectorClock, 3>& clocks) {
  const auto& op = text(member(step, "op"), "op");
  const auto now = time_of(member(step, "now"));
  if (op == "insert") {
    clock.insert(id_of(member(step, "node")), now);
  } else if (op == "increment") {
    clock.increment(id_of(member(step, "node")), now);
  } else if (op == "update") {
    const Json& time = member(step, "time");
    clock.update(id_of(member(step, "node")), natural(member(step, "count"), "count", kAnyCount), now,
                 time.is_null() ? std::nullopt : std::optional(time_of(time)));
  } else if (op == "remove") {
    clock.remove(id_of(member(step, "node")));
  } else if (op == "merge") {
    clock.merge(clocks[natural(member(step, "other"), "other", 2)]);
  } else if (op == "reload") {
    auto read = cluster::vector_clock_from_json(Json::parse(cluster::to_json(clock).dump()));
    clock = read ? *std::move(read) : VectorClock();
  } else {
    throw Malformed("unknown op '" + op + "'");
  }
}

void check_ops(Checker& checker, const std::string& place, const Json& one) {
  std::array<VectorClock, 3> clocks;
  for (std::size_t i = 0; i < clocks.size(); ++i) {
    const Json& init = element(member(one, "init"), i);
    if (init.is_null()) continue;
    clocks[i] = VectorClock(id_of(element(init, 0)), natural(element(init, 1), "count", kAnyCount),
                            time_of(element(init, 2)));
  }
  std::size_t number = 0;
  for (const auto& step : list(member(one, "steps"), "steps")) {
    checker.enter(place + ", step " + std::to_string(++number) + " (" + text(member(step, "op"), "op") + ")");
    VectorClock& clock = clocks[natural(member(step, "clock"), "clock", 2)];
    apply(step, clock, clocks);
    Json counts = Json::object();
    for (const auto& entry : clock.entries()) counts[entry.id.str()] = clock.count(entry.id);
    checker.equal("counts", member(step, "counts"), counts);
    checker.equal("size", member(step, "size"), clock.size());
    checker.equal("entries", member(step, "entries"), json_of(clock));
  }
  checker.enter(place + ", at the end");
  const auto& names = list(member(one, "names"), "names");
  for (std::size_t i = 0; i < clocks.size(); ++i) {
    for (std::size_t j = 0; j < clocks.size(); ++j) {
      const auto pair = "[" + std::to_string(i) + "][" + std::to_string(j) + "]";
      const Json& descends = element(element(member(one, "descends"), i), j);
      const Json& ascends = element(element(member(one, "descends"), j), i);
      checker.equal("descends" + pair, descends, clocks[i].descends(clocks[j]));
      checker.equal("equals" + pair, element(element(member(one, "equals"), i), j),
                    clocks[i].identical(clocks[j]));
      checker.equal("causal order" + pair, true,
                    (clocks[i] <=> clocks[j]) == order_of(descends == Json(true), ascends == Json(true)));
    }
    const Json& has = element(member(one, "has"), i);
    for (std::size_t k = 0; k < names.size(); ++k)
      checker.equal("clock " + std::to_string(i) + " has " + names[k].dump(), element(has, k),
                    clocks[i].contains(id_of(names[k])));
  }
}

void check_pairs(Checker& checker, const Json& one) {
  const VectorClock a = clock_of(member(one, "a"));
  const VectorClock b = clock_of(member(one, "b"));
  const Json& a_descends = member(one, "aDescendsB");
  const Json& b_descends = member(one, "bDescendsA");
  checker.equal("aDescendsB", a_descends, a.descends(b));
  checker.equal("bDescendsA", b_descends, b.descends(a));
  checker.equal("aEqualsB", member(one, "aEqualsB"), a.identical(b));
  checker.equal("bEqualsA", member(one, "bEqualsA"), b.identical(a));
  checker.equal("causal order", true,
                (a <=> b) == order_of(a_descends == Json(true), b_descends == Json(true)));
  VectorClock ab = a;
  ab.merge(b);
  checker.equal("mergeAB", member(one, "mergeAB"), json_of(ab));
  VectorClock ba = b;
  ba.merge(a);
  checker.equal("mergeBA", member(one, "mergeBA"), json_of(ba));
}

void check_trim(Checker& checker, const Json& one) {
  VectorClock clock = clock_of(member(one, "before"));
  const Json& opts = member(one, "opts");
  const auto age = [&](const char* name) {
    return std::chrono::microseconds{whole(member(opts, name), name)};
  };
  clock.trim(time_of(member(one, "threshold")),
             {.size_lower = natural(member(opts, "lowerBound"), "lowerBound", kAnyCount),
              .age_young = age("youngBound"),
              .size_upper = natural(member(opts, "upperBound"), "upperBound", kAnyCount),
              .age_old = age("oldBound")});
  Json kept = Json::array();
  for (const auto& entry : sorted_entries(clock)) kept.push_back(entry.id.str());
  checker.equal("kept", member(one, "kept"), kept);
  checker.equal("size", member(one, "size"), clock.size());
}

}  // namespace

CheckFile vclock_check(std::string_view kind) {
  if (kind == "vclock_ops")
    return [](Checker& checker, const std::string& file, const Json& content) {
      each_case(file, content,
                [&](const std::string& place, const Json& one) { check_ops(checker, place, one); });
    };
  if (kind == "vclock_pairs")
    return [](Checker& checker, const std::string& file, const Json& content) {
      each_case(file, content, [&](const std::string& place, const Json& one) {
        checker.enter(place);
        check_pairs(checker, one);
      });
    };
  if (kind == "vclock_trim")
    return [](Checker& checker, const std::string& file, const Json& content) {
      each_case(file, content, [&](const std::string& place, const Json& one) {
        checker.enter(place);
        check_trim(checker, one);
      });
    };
  return nullptr;
}

}  // namespace golden
