#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/proto/detector_config.hpp"
#include "cluster/proto/detector_messages.hpp"
#include "cluster/proto/detector_rumors.hpp"
#include "cluster/proto/link_rules.hpp"
#include "cluster/proto/moment.hpp"

namespace cluster::proto {

/// How the connection to a peer ended.
enum class PeerEnd : std::uint8_t {
  goodbye,  ///< it is stopping, and said so
  lost,     ///< without a word
  closed,   ///< by this node's own wish
};

/// What this node holds of a member.
struct MemberHealth {
  NodeId id{};
  MemberState state = MemberState::unknown;
  Boot boot{};  ///< zero while unknown
  std::uint64_t incarnation = 0;
  NodeId by{};      ///< who found it so
  Instant since{};  ///< of the state
};

// Actions: all that a driver must do, in order.

/// Not to be queued for long for a peer without a link: a message that comes late says nothing.
struct DetectorSend {
  NodeId to{};
  DetectorMessage message{};
};
/// Also with from == to, when the member has a new boot.
struct StateChanged {
  NodeId id{};
  MemberState from = MemberState::unknown;
  MemberState to = MemberState::unknown;
  Boot boot{};
  std::uint64_t incarnation = 0;
  NodeId by{};
};
/// A message that was not taken, and why.
struct DetectorRefused {
  NodeId from{};
  Error why{Errc::bad_message, ""};
};
using DetectorAction = std::variant<DetectorSend, StateChanged, DetectorRefused>;
using DetectorActions = std::vector<DetectorAction>;

struct DetectorCounters {
  std::uint64_t probes = 0;
  std::uint64_t probes_failed = 0;
  std::uint64_t probes_voided = 0;    ///< own ones that this process slept through
  std::uint64_t indirect_probes = 0;  ///< asked of others
  std::uint64_t nacks_missed = 0;
  std::uint64_t suspicions = 0;   ///< of this node's own finding
  std::uint64_t refutations = 0;  ///< of what others said of this node
  std::uint64_t claims_received = 0;
  std::uint64_t claims_stale = 0;   ///< answered with what is newer
  std::uint64_t foreign_boots = 0;  ///< claims of a newer process of this node's id; dead ones were overruled
  std::uint64_t refused = 0;
};

/// Finds out which members of the ring answer. Source: SWIM (Das, Gupta, Motivala, DSN 2002) with Lifeguard
/// (Dadgar, Phillips, Currey, DSN-W 2018). Where it leaves them: `unreachable` is not final, and news also
/// travels without probes, in rounds of gossip, as in memberlist.
///
///   unknown --contact, claim--> alive --no ack, lost link--> suspect --timeout--> unreachable
///                                 ^  '--goodbye--> stopped      |                      |
///                                 '--- its own objection: a greater incarnation -------+
///                                 '--- a newer boot, from any state                    '
///   any --not in the ring any more--> left
///
/// In a ring that does not keep all links (LinkPlan) a node probes and tells those that it has one to, and
/// one other in each round. What others there hold of members that it has never met, it asks. What news has
/// missed of a member that was held for dead, or is dead, is found by the probes.
///
/// Costs each node one probe an interval and, while there is news, `gossip_fanout` messages of at most
/// `claims_per_message` claims a gossip interval, whatever the number of members. Memory: bounded by the
/// members of the ring and the peers with a link; no message adds either.
///
/// Time, chance and messages come in, actions come out; `now` never goes backwards. One thread at a time.
class Detector {
 public:
  Detector(DetectorConfig config, Rng rng);

  /// Before anything else.
  [[nodiscard]] DetectorActions on_start(Instant now);
  /// Handles one message from an authenticated peer, whatever it holds.
  [[nodiscard]] DetectorActions on_message(Moment at, const NodeId& from, const DetectorMessage& message);
  /// The present members of the ring, in ascending order; this node may be among them.
  [[nodiscard]] DetectorActions on_members(Instant now, std::span<const NodeId> members);
  /// For a driver that begins with a ring already formed: these are its members, alive, as all of them know.
  void assume_alive(Instant now, std::span<const std::pair<NodeId, Boot>> members);
  /// A connection to a node was proven; members or not, these are for the driver to bound.
  [[nodiscard]] DetectorActions on_peer_up(Instant now, const NodeId& peer, Boot boot);
  [[nodiscard]] DetectorActions on_peer_down(Instant now, const NodeId& peer, PeerEnd end);
  /// Fires what is due. Early or repeated calls are harmless.
  [[nodiscard]] DetectorActions on_time(Instant now);
  /// When `on_time` is next needed: the single timer a driver keeps.
  [[nodiscard]] Instant next_deadline() const noexcept { return due_; }

  /// By id, without this node. The last 256 that left are still listed.
  [[nodiscard]] std::vector<MemberHealth> members() const;
  /// `left` for who is none.
  [[nodiscard]] MemberState state_of(const NodeId& id) const;
  /// This node's own, raised by each objection.
  [[nodiscard]] std::uint64_t incarnation() const noexcept { return incarnation_; }
  /// This process's; greater than the driver's if it overruled what was held of an earlier one, or used up
  /// its incarnations.
  [[nodiscard]] const Boot& boot() const noexcept { return config_.boot; }
  /// Lifeguard's local health multiplier: 0 is good, `health_max` bad.
  [[nodiscard]] std::uint32_t health() const noexcept { return health_; }
  [[nodiscard]] const DetectorCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] const NodeId& self() const noexcept { return config_.self; }

 private:
  struct Member {
    SwimClaim held{};  // meaningless if left or unknown
    MemberState state = MemberState::unknown;
    Instant since{};
    Instant tell_next{};    // for who speaks though it is held for dead
    bool in_round = false;  // has a place in `round_`
  };
  using Members = std::map<NodeId, Member>;
  struct Suspicion {
    Instant since{};
    std::uint32_t expected = 0;   // K
    std::set<NodeId> accusers{};  // the first, and those who confirmed: at most K + 1
  };
  struct OpenProbe {
    NodeId target{};
    std::uint64_t sequence = 0;
    Instant ask_others_at = kNever;
    std::vector<NodeId> asked{};  // to probe for this node
    std::set<NodeId> nacks{};
  };
  /// A probe for another node.
  struct Relay {
    NodeId asker{};
    std::uint64_t sequence = 0;  // the asker's
    NodeId target{};
    Instant nack_at = kNever;
    Instant ends{};
  };

  // detector_probe.cpp: who is asked, and what answers mean (SWIM sections 3.1 and 4.3)
  void begin_period();
  void end_probe();
  void ask_others();
  void remind_one();
  void end_relays();
  [[nodiscard]] std::optional<NodeId> next_target();
  void enter_round(const NodeId& id, Member& member);
  void add_one_without_link();
  [[nodiscard]] std::vector<NodeId> random_members(std::size_t count, MemberState worst,
                                                   const NodeId& but = {});
  void on(const SwimPing& m);
  void on(const SwimPingReq& m);
  void on(const SwimAck& m);
  void on(const SwimNack& m);
  void on(const SwimGossip&) {}
  void change_health(std::int64_t by) noexcept;

  // detector_claims.cpp: what is held of whom, and how it spreads (SWIM sections 4.1 and 4.2)
  void hear(const SwimClaim& claim);
  void hear_of_self(const SwimClaim& claim);
  void overrule(const Boot& dead);
  [[nodiscard]] bool is_of_future(const Boot& boot) const noexcept;
  void refuse_boot(const SwimClaim& claim);
  void accept(Members::value_type& entry, const SwimClaim& claim);
  void accuse(const NodeId& id);
  void confirm(Member& member, const SwimClaim& claim);
  void set_state(Members::value_type& entry, MemberState to);
  void end_suspicions();
  void end_relinks();
  void gossip();
  void tell(const NodeId& to, const SwimClaim& claim);
  [[nodiscard]] SwimClaims claims_for(const NodeId& to);
  void add_dead(SwimClaims& claims);
  void add_questions(SwimClaims& claims);
  [[nodiscard]] SwimClaim own_claim() const;
  [[nodiscard]] Instant suspicion_ends(const Suspicion& suspicion) const noexcept;

  // detector.cpp
  void begin(Instant now);
  [[nodiscard]] DetectorActions finish();
  void stood_still(Duration gap);
  void drop_oldest_left();
  [[nodiscard]] Member* find(const NodeId& id);
  [[nodiscard]] std::size_t participants() const noexcept;
  void send(const NodeId& to, DetectorMessage message) {
    out_.emplace_back(std::in_place_type<DetectorSend>, DetectorSend{to, std::move(message)});
  }
  void refuse(Error why);

  DetectorConfig config_;
  Rng rng_;
  Instant now_{};
  WallTime wall_{};  // of the message that is being handled
  Instant due_ = kNever;
  NodeId from_{};  // whose message is being handled
  DetectorActions out_{};

  std::uint64_t incarnation_ = 0;
  std::uint32_t health_ = 0;
  Members members_{};
  std::array<std::size_t, 6> count_{};   // members by state
  std::map<NodeId, Boot> up_{};          // peers with a connection, members or not
  std::map<NodeId, Instant> relinks_{};  // members whose connection was lost: when that is a suspicion
  std::map<NodeId, Suspicion> suspicions_{};
  RumorQueue rumors_{};
  SwimClaims answers_{};  // what the sender of a message did not know

  LinkPlan links_{};
  NodeId asked_last_{};          // of the members unknown here
  NodeId named_last_{};          // of those held for dead
  std::vector<NodeId> round_{};  // who is probed in this round, in random order
  std::size_t round_at_ = 0;
  std::uint64_t sequence_ = 0;
  std::optional<OpenProbe> probe_{};
  std::map<std::uint64_t, Relay> relays_{};  // by own sequence
  Instant period_ends_ = kNever;
  Instant gossip_at_{};
  Instant remind_at_{};
  DetectorCounters counters_{};
};

}  // namespace cluster::proto
