#pragma once
#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "cluster/base/node_id.hpp"

namespace cluster {

/// One write of `actor`, who never gives a count twice, and gives greater ones later. A store's actor is one
/// life of one process, so that a node that lost its disk does not repeat itself. A write's count is to be
/// greater than all that its writer has seen, whose ever (`VersionVector::last`; Lamport, 1978), and than its
/// clock: by that the oldest are known.
struct Dot {
  static constexpr bool wire_positional = true;

  Boot actor{};
  std::uint64_t count = 0;
  friend auto operator<=>(const Dot&, const Dot&) = default;
};

/// The writes that somebody has seen: of each actor all up to a count. By actor, no actor twice.
struct VersionVector {
  static constexpr bool wire_positional = true;

  std::vector<Dot> entries{};

  [[nodiscard]] bool covers(const Dot& dot) const noexcept;
  /// The greatest count of all; 0 without any.
  [[nodiscard]] std::uint64_t last() const noexcept;
  [[nodiscard]] bool descends(const VersionVector& other) const noexcept;
  void add(const Dot& dot);
  void merge(const VersionVector& other);
  /// Whether it is in order, and no longer than `size_max`: for what came from elsewhere.
  [[nodiscard]] bool is_valid(std::size_t size_max) const noexcept;
  friend bool operator==(const VersionVector&, const VersionVector&) = default;
};

/// The values of one key that no write known here has replaced, each with the dot of its write, and the
/// writes that made it so. Values are more than one only if their writers did not know of each other.
/// Source: Preguica, Baquero, Almeida, Fonte, Goncalves, "Dotted version vectors", 2012; the merge is that of
/// their sets (Almeida et al. 2014) with each dot kept beside its value.
/// What it relies on: an actor that writes a key again holds its own earlier writes of it.
template <class Value>
struct DottedSet {
  static constexpr bool wire_positional = true;
  /// A context with more entries loses those with the least counts; a copy that had not seen such a write may
  /// bring its value back as a sibling, and none is lost.
  static constexpr std::size_t kContextMax = 32;

  struct Sibling {
    static constexpr bool wire_positional = true;

    Dot dot{};
    Value value{};
    friend bool operator==(const Sibling&, const Sibling&) = default;
  };

  VersionVector context{};
  std::vector<Sibling> siblings{};  ///< by dot

  /// A write by someone who had seen `seen`: replaces what it covers. `dot` is new.
  void put(const VersionVector& seen, const Dot& dot, Value value) {
    std::erase_if(siblings, [&](const Sibling& sibling) { return seen.covers(sibling.dot); });
    context.merge(seen);
    context.add(dot);
    siblings.insert(std::ranges::upper_bound(siblings, dot, {}, &Sibling::dot), {dot, std::move(value)});
    trim();
  }

  /// Takes what `other` knows: a value stays if both have it, or the other has not seen its write.
  /// Commutative, associative and idempotent. True if anything changed.
  bool merge(const DottedSet& other) {
    std::vector<Sibling> merged;
    merged.reserve(siblings.size() + other.siblings.size());
    auto mine = siblings.begin();
    auto theirs = other.siblings.begin();
    bool changed = false;
    while (mine != siblings.end() || theirs != other.siblings.end()) {
      const bool both = mine != siblings.end() && theirs != other.siblings.end() && mine->dot == theirs->dot;
      if (both) {
        merged.push_back(std::move(*mine++));
        ++theirs;
      } else if (theirs == other.siblings.end() || (mine != siblings.end() && mine->dot < theirs->dot)) {
        if (other.context.covers(mine->dot))
          changed = true, ++mine;
        else
          merged.push_back(std::move(*mine++));
      } else {
        if (!context.covers(theirs->dot)) merged.push_back(*theirs), changed = true;
        ++theirs;
      }
    }
    siblings = std::move(merged);
    if (!context.descends(other.context)) {
      context.merge(other.context);
      changed = true;
    }
    if (changed) trim();
    return changed;
  }

  /// Keeps one sibling alone: the others count as seen.
  void keep(std::size_t index) {
    if (index != 0) std::swap(siblings[0], siblings[index]);
    siblings.resize(1);
    trim();
  }

  [[nodiscard]] bool empty() const noexcept { return context.entries.empty(); }

  /// In order, within `siblings_max`, each dot covered by the context.
  [[nodiscard]] bool is_valid(std::size_t siblings_max) const noexcept {
    if (siblings.size() > siblings_max || !context.is_valid(kContextMax + siblings.size())) return false;
    for (std::size_t i = 0; i < siblings.size(); ++i) {
      if (!context.covers(siblings[i].dot)) return false;
      if (i > 0 && !(siblings[i - 1].dot < siblings[i].dot)) return false;
    }
    return true;
  }
  friend bool operator==(const DottedSet&, const DottedSet&) = default;

 private:
  void trim() {
    auto& entries = context.entries;
    while (entries.size() > kContextMax) {
      auto oldest = entries.end();
      for (auto at = entries.begin(); at != entries.end(); ++at) {
        const bool in_use =
            std::ranges::any_of(siblings, [&](const Sibling& s) { return s.dot.actor == at->actor; });
        if (!in_use && (oldest == entries.end() || at->count < oldest->count)) oldest = at;
      }
      if (oldest == entries.end()) return;
      entries.erase(oldest);
    }
  }
};

}  // namespace cluster
