#include "cluster/sim/kv_checker.hpp"

#include <algorithm>

namespace cluster::sim {
namespace {

using Rule = KvPromise::Rule;

// A write whose writer was told nothing is carried out at most so long after it began: its coordinator, and
// who forwarded it, may stand still for a while.
constexpr Duration kLateMax = 30s;

Instant latest(Instant begun, const std::optional<Instant>& ended) {
  return ended.value_or(begun + kLateMax);
}

}  // namespace

KvChecker::Number KvChecker::begin_write(const std::string& key, bool deletes, const Values& replaces,
                                         Instant now, Duration ttl) {
  Write write{.key = key, .deletes = deletes, .replaces = replaces, .begun = now, .ttl = ttl};
  for (const auto number : replaces) {
    const auto& earlier = writes_.at(number).replaces;
    write.replaces.insert(earlier.begin(), earlier.end());
  }
  writes_.push_back(std::move(write));
  of_key_[key].push_back(writes_.size() - 1);
  return writes_.size() - 1;
}

void KvChecker::replaces_all(Number number) {
  auto& write = writes_.at(number);
  write.replaces_all = true;
  for (const auto other : of_key_.at(write.key)) {
    const auto& earlier = writes_[other];
    if (other == number || !earlier.known_before(write.begun)) continue;
    write.replaces.insert(other);
    write.replaces.insert(earlier.replaces.begin(), earlier.replaces.end());
  }
}

void KvChecker::acknowledged(Number number, Instant now) {
  auto& write = writes_.at(number);
  write.known_at = write.ended = now;
}

bool KvChecker::Write::in_reach_of(const Write& other) const {
  return other.replaces_all && begun <= other.ended.value_or(kNever);
}

/// By itself, or by way of one that it replaced. `number`: of `other`.
bool KvChecker::may_replace(const Write& write, const Write& other, Number number) const {
  if (write.replaces.contains(number) || other.in_reach_of(write)) return true;
  if (promise_.rule == Rule::last && latest(write.begun, write.ended) + promise_.skew >= other.begun)
    return true;
  return std::ranges::any_of(write.replaces,
                             [&](Number earlier) { return other.in_reach_of(writes_[earlier]); });
}

/// It is a deletion, or by some clock its time may be over.
bool KvChecker::may_be_gone(const Write& write, Instant when) const {
  return write.deletes || (write.ttl != Duration{} && write.begun + write.ttl <= when + promise_.skew);
}

/// By all clocks. What it was merged into may live longer.
bool KvChecker::is_over(const Write& write, Instant when) const {
  return write.ttl != Duration{} && promise_.rule != Rule::merge &&
         latest(write.begun, write.ended) + write.ttl + promise_.skew < when;
}

/// Whether the write is among `values`, or was replaced by one that is, or by one that is gone.
bool KvChecker::stands(Number write, const Values& values, Instant until) const {
  if (values.contains(write) || may_be_gone(writes_.at(write), until)) return true;
  return std::ranges::any_of(of_key_.at(writes_.at(write).key), [&](Number number) {
    const auto& other = writes_.at(number);
    return number != write && !other.refused && other.begun <= until &&
           (values.contains(number) || may_be_gone(other, until)) &&
           may_replace(other, writes_[write], write);
  });
}

void KvChecker::judge_values(const std::string& key, const Values& values, Instant began, Seen seen) {
  if (promise_.rule == Rule::last && values.size() > 1) violation(key, "more than one value is there", seen);
  // A condition holds as long as one of the values lives that its writer had seen.
  const bool some_live = seen == Seen::condition && std::ranges::any_of(values, [&](Number value) {
                           return !is_over(writes_[value], began);
                         });
  for (const auto value : values) {
    const auto& write = writes_[value];
    const auto number = std::to_string(value);
    if (write.refused) violation(key, number + " is there, and its writer was told that it is not", seen);
    if (!some_live && is_over(write, began)) violation(key, number + " is there, and its time is over", seen);
    if (promise_.rule == Rule::merge) continue;
    for (const auto other : values)
      if (writes_[other].replaces.contains(value))
        violation(key, number + " is there beside " + std::to_string(other) + ", which replaced it", seen);
  }
}

void KvChecker::read(const std::string& key, const Values& values, Instant began, Instant ended, Seen seen) {
  for (const auto value : values)
    if (value >= writes_.size() || writes_[value].key != key || writes_[value].deletes)
      return violation(key, std::to_string(value) + " was never written", seen);
  judge_values(key, values, began, seen);
  bool stale = false;
  for (const auto number : of_key_[key]) {
    const auto& write = writes_[number];
    if (!write.known_before(began)) continue;
    if (!stands(number, values, ended)) {
      stale = true;
      if (seen == Seen::replica) lost_.insert(number);
      violation(key, std::to_string(number) + " was acknowledged or read, and is lost", seen);
    }
    if (promise_.rule == Rule::merge) continue;
    for (const auto value : values)
      if (write.replaces.contains(value)) {
        stale = true;
        violation(key,
                  std::to_string(value) + " is there, and " + std::to_string(number) +
                      (write.deletes ? " deleted it" : " replaced it"),
                  seen);
      }
  }
  if (seen == Seen::read) stale_ += stale ? 1 : 0;
  if (!promise_.reads_last) return;
  for (const auto value : values) {
    auto& known_at = writes_[value].known_at;
    if (!known_at || ended < *known_at) known_at = ended;
  }
}

void KvChecker::present(const std::string& key, Instant began, Instant ended) {
  const auto& numbers = of_key_[key];
  const auto may_be_there = [&](Number number) {
    const auto& write = writes_[number];
    if (write.deletes || write.refused || write.begun > ended || is_over(write, began)) return false;
    return promise_.rule == Rule::merge || std::ranges::none_of(numbers, [&](Number other) {
             return writes_[other].known_before(began) && writes_[other].replaces.contains(number);
           });
  };
  if (std::ranges::none_of(numbers, may_be_there))
    violation(key, "it says that there is a value, and there can be none", Seen::condition);
}

std::size_t KvChecker::acknowledged() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(writes_, [](const Write& write) { return write.known_at.has_value(); }));
}

void KvChecker::violation(const std::string& key, const std::string& text, Seen seen) {
  const auto* const what = seen == Seen::read        ? "a read of "
                           : seen == Seen::condition ? "a condition of "
                                                     : "a replica of ";
  violations_.push_back(what + key + ": " + text);
}

}  // namespace cluster::sim
