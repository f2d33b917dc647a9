#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "cluster/crypto/sha256.hpp"
#include "cluster/proto/ring_records.hpp"

/// What the gossip of two nodes consists of. Any message may be lost, doubled, late or out of order.
/// `ring` is the ring it speaks of; in another ring it is not merged.
namespace cluster::proto {

/// "This is the hash of my state." An equal state answers nothing; a different one answers with its clock, or
/// with an outline of a long one.
struct RingDigest {
  static constexpr bool wire_positional = true;

  std::string ring{};
  crypto::Digest state{};
  WallTime horizon{};  ///< tombstones made up to here are not in the hash
};

/// A clock, or the part of it in (after, through]: "send me what I lack."
struct RingClockPart {
  static constexpr bool wire_positional = true;
  static constexpr std::size_t kEntriesMax = 1024;

  std::string ring{};
  crypto::Digest state{};
  WallTime horizon{};
  std::uint64_t clock = 0;  ///< hash of the whole clock
  std::string after{};
  std::string through{};
  std::vector<ClockEntry> entries{};  ///< by editor, strictly ascending
  bool answer = false;                ///< answer with your clock too
};

/// The entries of a clock in (end of the part before, through], as a hash. An empty `through`: to the end.
struct ClockOutlinePart {
  static constexpr bool wire_positional = true;

  std::string through{};
  std::uint64_t hash = 0;
};
/// "This is what my clock looks like: send me yours where it differs."
struct RingClockOutline {
  static constexpr bool wire_positional = true;
  static constexpr std::size_t kPartsMax = 1024;

  std::string ring{};
  crypto::Digest state{};
  WallTime horizon{};
  std::vector<ClockOutlinePart> parts{};  ///< by id, strictly ascending; only the last has no end
};

/// Edits. `rounds` is how often they may be passed on as news; `force`: of a removed or moved member the link
/// is cut at once.
struct RingUpdate {
  static constexpr bool wire_positional = true;
  static constexpr std::uint8_t kRoundsMax = 16;

  std::string ring{};
  RingDelta delta{};
  std::uint8_t rounds = 0;
  bool force = false;
};

/// "Our clocks are equal and our states are not: send me all of yours." I have sent you mine.
struct RingPull {
  static constexpr bool wire_positional = true;

  std::string ring{};
};

/// "You speak of a ring that is not mine."
struct RingForeign {
  static constexpr bool wire_positional = true;

  std::string asked{};
  std::string mine{};
};

/// "You were removed so long ago that nobody remembers how." Meant for the life with this presence alone.
struct RingGone {
  static constexpr bool wire_positional = true;

  std::string ring{};
  Presence presence{};
};

/// "Let us be one ring." An empty `ring`: the asker is in none.
struct MeetAsk {
  static constexpr bool wire_positional = true;

  std::uint64_t attempt = 0;
  std::string ring{};
  bool revive = true;  ///< begin a new life if the asker was removed
  RingMember self{};
};

/// `refusal` 0: accepted. Else an Errc, with `text` as the reason.
struct MeetAnswer {
  static constexpr bool wire_positional = true;

  std::uint64_t attempt = 0;
  std::uint16_t refusal = 0;
  std::string text{};
  std::string ring{};
  RingDelta state{};  ///< the first part of the answerer's state, and what it holds of both nodes
};

/// "I am on my way out; tell me that one of you has this."
struct LeaveNotice {
  static constexpr bool wire_positional = true;

  std::uint64_t attempt = 0;
  std::string ring{};
  RingDelta edits{};
};
struct LeaveAck {
  static constexpr bool wire_positional = true;

  std::uint64_t attempt = 0;
};

using GossipMessage = std::variant<RingDigest, RingClockPart, RingUpdate, RingPull, RingForeign, RingGone,
                                   MeetAsk, MeetAnswer, LeaveNotice, LeaveAck, RingClockOutline>;

/// Whether all content is within its bounds. Run on everything that arrives.
[[nodiscard]] Result<void> check(const GossipMessage& message);

}  // namespace cluster::proto
