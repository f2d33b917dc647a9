#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/base/node_id.hpp"
#include "cluster/proto/chord_space.hpp"

/// What the nodes of a Chord ring say to each other. Any message may be lost, doubled, late or out of order.
/// A node's identifier never travels: it is the hash of its id, so nobody chooses a place.
namespace cluster::proto {

inline constexpr std::size_t kChordSuccessorsMax = 32;
inline constexpr std::size_t kChordHopsMax = 512;

/// A node and where it listens.
struct ChordContact {
  static constexpr bool wire_positional = true;

  NodeId id{};
  Endpoint endpoint{};

  friend bool operator==(const ChordContact&, const ChordContact&) = default;
};
using ChordContacts = std::vector<ChordContact>;

/// "Who are your neighbours?" Also: "are you there?"
struct ChordAsk {
  static constexpr bool wire_positional = true;

  std::uint64_t request = 0;
  std::uint16_t space = 0;  ///< ChordSpace::code; who has another refuses
};
struct ChordNeighbours {
  static constexpr bool wire_positional = true;

  std::uint64_t request = 0;
  std::optional<ChordContact> predecessor{};
  ChordContacts successors{};  ///< in order; empty: alone
};

/// "I may be your predecessor."
struct ChordNotify {
  static constexpr bool wire_positional = true;

  std::uint16_t space = 0;
  ChordContact self{};
};

/// To the predecessor: "my successors changed; ask for them now, not at your next turn."
struct ChordHint {
  static constexpr bool wire_positional = true;
};

/// "I am leaving, now."
struct ChordGone {
  static constexpr bool wire_positional = true;
};

/// One step of an iterative lookup: "what do you know of the way to `target`?"
struct ChordStep {
  static constexpr bool wire_positional = true;

  std::uint64_t request = 0;
  std::uint16_t space = 0;
  ChordId target{};
  bool last = false;  ///< you should be its successor
};

/// What a node knows of the way to a target. To be tried in this order: `closer`, then `owners`.
struct ChordNext {
  static constexpr bool wire_positional = true;

  std::uint64_t request = 0;
  bool mine = false;       ///< the target is the answerer's, or its predecessor's, which `closer` then names
  ChordContacts closer{};  ///< nodes that precede the target, the best first
  ChordContacts owners{};  ///< the answerer's successors from the target on: the first alive owns it
};

/// A recursive lookup on its way from node to node.
struct ChordFind {
  static constexpr bool wire_positional = true;

  std::uint64_t request = 0;  ///< of this hop: answered with ChordTaken
  std::uint16_t space = 0;
  ChordContact asker{};
  std::uint64_t lookup = 0;  ///< the asker's number
  ChordId target{};
  bool last = false;
  std::uint16_t hops = 0;      ///< nodes that it was handed to, the owner left out
  std::uint16_t timeouts = 0;  ///< nodes on the way that did not answer
  std::vector<NodeId> path{};  ///< those handed it, the receiver included
};
/// "I go on with it."
struct ChordTaken {
  static constexpr bool wire_positional = true;

  std::uint64_t request = 0;
};
/// From the target's successor to the asker.
struct ChordFound {
  static constexpr bool wire_positional = true;

  std::uint64_t lookup = 0;
  ChordContact owner{};
  std::uint16_t hops = 0;
  std::uint16_t timeouts = 0;
  std::vector<NodeId> path{};
};

enum class ChordRefusalReason : std::uint8_t {
  not_member = 0,   ///< it is in no Chord ring
  other_space = 1,  ///< its identifiers are others
};
/// To a request: "I cannot answer it." `space` is the answerer's.
struct ChordRefusal {
  static constexpr bool wire_positional = true;

  std::uint64_t request = 0;
  ChordRefusalReason reason = ChordRefusalReason::not_member;
  std::uint16_t space = 0;
};

using ChordMessage = std::variant<ChordAsk, ChordNeighbours, ChordNotify, ChordHint, ChordGone, ChordStep,
                                  ChordNext, ChordFind, ChordTaken, ChordFound, ChordRefusal>;

/// Whether all content is within its bounds. Run on everything that arrives.
[[nodiscard]] Result<void> check(const ChordMessage& message);

}  // namespace cluster::proto
