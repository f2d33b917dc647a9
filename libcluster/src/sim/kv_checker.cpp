#include "cluster/sim/kv_checker.hpp"

#include <algorithm>

namespace cluster::sim {

KvChecker::Number KvChecker::begin_write(const std::string& key, bool deletes, const Values& replaces,
                                         Instant now) {
  Write write{.key = key, .deletes = deletes, .replaces = replaces, .begun = now};
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
    if (other == number || !earlier.known_at || *earlier.known_at >= write.begun) continue;
    write.replaces.insert(other);
    write.replaces.insert(earlier.replaces.begin(), earlier.replaces.end());
  }
}

/// By itself, or by way of one that it replaced. `number`: of `other`.
bool KvChecker::may_replace(const Write& write, const Write& other, Number number) const {
  if (write.replaces.contains(number) || (write.replaces_all && other.begun <= write.ended)) return true;
  return std::ranges::any_of(write.replaces, [&](Number earlier) {
    const auto& by_way_of = writes_[earlier];
    return by_way_of.replaces_all && other.begun <= by_way_of.ended;
  });
}

/// Whether the write is among `values`, or was replaced by one that is, or by a deletion.
bool KvChecker::stands(Number write, const Values& values, Instant until) const {
  if (values.contains(write)) return true;
  return std::ranges::any_of(of_key_.at(writes_.at(write).key), [&](Number number) {
    const auto& other = writes_.at(number);
    return number != write && !other.refused && other.begun <= until &&
           (other.deletes || values.contains(number)) && may_replace(other, writes_[write], write);
  });
}

void KvChecker::read(const std::string& key, const Values& values, Instant began, Instant ended, Seen seen) {
  bool stale = false;
  for (const auto value : values) {
    if (value >= writes_.size() || writes_[value].key != key || writes_[value].deletes) {
      violation(key, std::to_string(value) + " was never written", seen);
      return;
    }
    if (writes_[value].refused)
      violation(key, std::to_string(value) + " is there, and its writer was told that it is not", seen);
    for (const auto other : values)
      if (writes_[other].replaces.contains(value))
        violation(key,
                  std::to_string(value) + " is there beside " + std::to_string(other) + ", which replaced it",
                  seen);
  }
  if (const auto writes = of_key_.find(key); writes != of_key_.end())
    for (const auto number : writes->second) {
      const auto& write = writes_[number];
      if (!write.known_at || *write.known_at >= began) continue;
      if (!write.deletes && !stands(number, values, ended)) {
        stale = true;
        if (seen == Seen::replica) lost_.insert(number);
        violation(key, std::to_string(number) + " was acknowledged or read, and is lost", seen);
      }
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
  for (const auto value : values) {
    auto& known_at = writes_[value].known_at;
    if (!known_at || ended < *known_at) known_at = ended;
  }
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
