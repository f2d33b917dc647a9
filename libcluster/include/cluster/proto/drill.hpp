#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cluster/proto/drill_plan.hpp"

namespace cluster::proto {

/// before --time--> cut --time, or heal--> healed --all that are still in it are one ring, or 30 s--> done
enum class DrillPhase : std::uint8_t { before, cut, healed, done };
[[nodiscard]] std::string_view name(DrillPhase phase) noexcept;
[[nodiscard]] constexpr bool is_known(DrillPhase phase) noexcept { return phase <= DrillPhase::done; }

/// A numbered message, cast or call, to the drill at another member.
struct DrillProbe {
  static constexpr bool wire_positional = true;

  std::string drill{};
  std::uint64_t number = 0;  ///< from 1; casts and calls are counted apart
  DrillPhase phase = DrillPhase::before;
  bool together = false;  ///< the sender finds all of them to be one ring, now that it is healed
  std::string ring{};     ///< names the state of the sender's ring
};

/// How a call ended.
enum class DrillAnswer : std::uint8_t {
  answered,
  failed,   ///< and did not run
  unknown,  ///< it may have run
  left,     ///< by a member that knows nothing of the drill: a new process, which is not waited for
};

/// What a member knows of its link to another one. Times are milliseconds.
struct DrillLink {
  NodeId peer{};
  bool cut = false;
  // To the peer.
  std::uint64_t casts = 0;
  std::uint64_t refused = 0;  ///< of the casts: not sent, and said so
  std::uint64_t calls = 0;
  std::uint64_t answered = 0;
  std::uint64_t failed = 0;
  std::uint64_t unknown = 0;
  // From it.
  std::uint64_t delivered = 0;   ///< casts, each number once
  std::uint64_t late = 0;        ///< of these: sent while the link was cut
  std::uint64_t doubled = 0;     ///< casts and calls that came again
  std::uint64_t disordered = 0;  ///< casts that came behind a later one
  // What the failure detector held of it.
  std::uint64_t missed = 0;                  ///< times that it was found unreachable or gone
  std::optional<std::uint64_t> missed_ms{};  ///< the first time, since the cut (since the begin, without one)
  std::optional<std::uint64_t> back_ms{};    ///< the last time that it was alive again, since the healing
};

/// What one member has to tell of a drill.
struct DrillAccount {
  DrillPhase phase = DrillPhase::before;
  std::uint64_t elapsed_ms = 0;                ///< of the phase
  std::uint64_t cut_ms = 0;                    ///< how long it was cut so far
  std::optional<std::uint64_t> together_ms{};  ///< from the healing until all were one ring again
  std::vector<DrillLink> links{};              ///< by peer
};

/// What the member sees besides the probes.
struct DrillSight {
  std::string ring{};             ///< names the state of the own ring
  std::vector<NodeId> missing{};  ///< those that the failure detector does not hold alive or suspect
};

struct DrillCut {
  std::vector<NodeId> peers{};
  Duration time{};
};
struct DrillHeal {};
struct DrillCast {
  NodeId to{};
  DrillProbe probe{};
};
struct DrillCall {
  NodeId to{};
  DrillProbe probe{};
};
using DrillAction = std::variant<DrillCut, DrillHeal, DrillCast, DrillCall>;
using DrillActions = std::vector<DrillAction>;

/// One member's part in a drill: when to cut and to heal, whom to probe, and the books on what came of it.
/// Knows no network: a driver carries its actions out. A probe also tells how far its sender is, so that who
/// hears of a healing heals as well, and a drill that is ended early at one member ends at all.
/// One thread at a time; `now` never goes backwards.
class Drill {
 public:
  static constexpr Duration kBeat = 50ms;               ///< between two casts to a member
  static constexpr std::size_t kCastsPerBeatMax = 16;   ///< with more members they take turns
  static constexpr std::size_t kBeatsPerCall = 5;       ///< a member is called at every fifth
  static constexpr Duration kHealedMin = 2s;            ///< after the cut probes go on for so long
  static constexpr Duration kHealedMax = 30s;           ///< and for at most so long, whoever is missing
  static constexpr Duration kLast = 1s;                 ///< for the last probe to arrive
  static constexpr std::uint64_t kNumberMax = 1 << 14;  ///< over all that 20 a second can come to

  /// `plan` is checked, and names `self`.
  Drill(Instant now, DrillPlan plan, NodeId self);

  /// Does what is due. Early or repeated calls are harmless.
  [[nodiscard]] DrillActions on_time(Instant now, const DrillSight& sight);
  [[nodiscard]] Instant next_deadline() const noexcept;
  /// Somebody wants the cut to end, or not to begin.
  [[nodiscard]] DrillActions on_heal(Instant now);
  void on_cast_refused(const NodeId& to);
  void on_answer(const NodeId& to, DrillAnswer answer);
  /// From a member; another's is ignored.
  [[nodiscard]] DrillActions on_cast(Instant now, const NodeId& from, const DrillProbe& probe);
  void on_call(const NodeId& from, const DrillProbe& probe);

  [[nodiscard]] const DrillPlan& plan() const noexcept { return plan_; }
  [[nodiscard]] DrillPhase phase() const noexcept { return phase_; }
  [[nodiscard]] DrillAccount account(Instant now) const;

 private:
  /// The numbers that came, each a bit.
  struct Numbers {
    std::vector<std::uint64_t> bits{};
    std::uint64_t last = 0;
    /// Whether it is the first of that number.
    bool add(std::uint64_t number);
  };
  struct Peer {
    DrillLink link{};
    Numbers casts{};
    Numbers calls{};
    std::optional<DrillProbe> heard{};  // the last since the healing
    bool is_missing = false;
    bool left = false;
  };

  void enter(Instant now, DrillPhase phase);
  [[nodiscard]] std::vector<NodeId> cut_peers() const;
  void watch(Instant now, const DrillSight& sight);
  [[nodiscard]] bool all_together() const;
  void send(DrillActions& actions);
  [[nodiscard]] Instant phase_end() const noexcept;

  DrillPlan plan_;
  NodeId self_;
  std::map<NodeId, Peer> peers_{};
  std::vector<NodeId> order_{};  // of peers_, for taking turns
  std::size_t turn_ = 0;
  std::uint64_t beats_ = 0;
  DrillPhase phase_ = DrillPhase::before;
  Instant begun_;
  Instant entered_;          // the phase
  Instant cut_at_ = kNever;  // never: it was healed before
  Instant healed_at_ = kNever;
  Instant next_beat_;
  Instant together_at_ = kNever;
  Instant quiet_at_ = kNever;  // since then nothing is sent
  std::string ring_{};
};

}  // namespace cluster::proto
