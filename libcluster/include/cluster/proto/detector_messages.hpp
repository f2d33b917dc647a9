#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "cluster/base/node_id.hpp"
#include "cluster/base/result.hpp"

/// What the failure detectors of two nodes say to each other. Any message may be lost, doubled, late or out
/// of order. Source: Das, Gupta, Motivala, DSN 2002 (SWIM); the nack is Lifeguard's (Dadgar, Phillips,
/// Currey, DSN-W 2018).
namespace cluster::proto {

/// What a node holds of a member. The first four travel in claims.
enum class MemberState : std::uint8_t {
  alive = 0,
  suspect = 1,      ///< did not answer, and may still object
  unreachable = 2,  ///< did not object in time; not final
  stopped = 3,      ///< said goodbye
  left = 4,         ///< no member of the ring any more
  unknown = 5,      ///< a member that nobody here has heard of yet: left to the dialler
};
[[nodiscard]] std::string_view name(MemberState state) noexcept;

/// No process has a greater boot number; claims may have one, of those that overrule.
inline constexpr std::uint64_t kBootMax = std::uint64_t{1} << 60;

/// "This is how `id` is." Only the member itself raises its incarnation, to object to what others say.
struct SwimClaim {
  static constexpr bool wire_positional = true;

  NodeId id{};
  Boot boot{};
  std::uint64_t incarnation = 0;
  MemberState state = MemberState::alive;
  NodeId by{};  ///< who found it so

  friend bool operator==(const SwimClaim&, const SwimClaim&) = default;
};

/// Which of two claims about one member holds: the newer boot, then the greater incarnation, then the worse
/// state (SWIM section 4.2). A total order but for `by`, so all nodes that heard the same hold the same.
[[nodiscard]] std::strong_ordering compare(const SwimClaim& a, const SwimClaim& b) noexcept;

using SwimClaims = std::vector<SwimClaim>;
inline constexpr std::size_t kSwimClaimsMax = 64;  ///< in one message

/// "Are you there?"
struct SwimPing {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "ping";

  std::uint64_t sequence = 0;
  SwimClaims claims{};
};
/// "Ask `target` for me."
struct SwimPingReq {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "ping_req";

  std::uint64_t sequence = 0;
  NodeId target{};
  bool nack = true;  ///< tell me, too, if it does not answer
  SwimClaims claims{};
};
/// The answer to a ping, or what came of a ping_req.
struct SwimAck {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "ack";

  std::uint64_t sequence = 0;
  SwimClaims claims{};
};
/// "I am here, but the one that you asked me to ask does not answer me either."
struct SwimNack {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "nack";

  std::uint64_t sequence = 0;
  SwimClaims claims{};
};
/// Claims alone.
struct SwimGossip {
  static constexpr bool wire_positional = true;
  static constexpr std::string_view event = "claims";

  SwimClaims claims{};
};

using DetectorMessage = std::variant<SwimPing, SwimPingReq, SwimAck, SwimNack, SwimGossip>;

/// Whether all content is within its bounds. Run on everything that arrives.
[[nodiscard]] Result<void> check(const DetectorMessage& message);

}  // namespace cluster::proto
