#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/proto/gossip_messages.hpp"
#include "cluster/proto/keyed_limit.hpp"
#include "cluster/proto/link_rules.hpp"
#include "cluster/proto/moment.hpp"
#include "cluster/proto/partition_policy.hpp"
#include "cluster/proto/peer_clocks.hpp"
#include "cluster/proto/ring_file.hpp"
#include "cluster/proto/ring_state.hpp"

namespace cluster::proto {

struct GossipConfig {
  Self self{};
  std::string ring{};                      ///< the ring of a start; empty: in none
  Duration period_min = 250ms;             ///< anti-entropy right after news, and with two peers
  Duration period = 1s;                    ///< from the second doubling on; give or take `jitter`
  Duration period_max = 4s;                ///< when there was no news for long
  double jitter = 0.1;                     ///< share of the period
  std::size_t mesh_max = ~std::size_t{0};  ///< see LinkPlan; above it, gossip goes over links that are open
  std::size_t fanout = 3;                  ///< peers that an edit is pushed to at once
  std::size_t outlined_min = 128;   ///< clocks with fewer entries are sent whole: that is about as short
  Duration attempt_period = 500ms;  ///< between the attempts of a meet or a leave
  Duration meet_timeout = 4s;       ///< of a meet that states none
  Duration leave_timeout = 5s;      ///< how long a leave waits for one acknowledgement
};

/// A member as a command states it. Without a weight: that of this node's start.
struct NewMember {
  NodeId id{};
  Endpoint endpoint{};
  std::optional<std::uint32_t> weight{};
};

// What people ask of the ring. `force`: links to removed or moved members are cut at once, not drained; and a
// side that has no quorum changes the ring all the same.
struct InsertCommand {
  std::vector<NewMember> members{};  ///< all or none
  bool force = false;
};
struct UpdateCommand {
  NodeId id{};
  std::optional<Endpoint> endpoint{};
  std::optional<std::uint32_t> weight{};
  bool force = false;
};
struct RemoveCommand {
  std::vector<NodeId> ids{};  ///< all or none; who is no member is skipped
  bool force = false;
};
struct MeetCommand {
  Endpoint endpoint{};
  std::optional<NodeId> expected{};   ///< refused if another node listens there
  std::optional<Duration> timeout{};  ///< kept trying until then; Duration::max(): for ever
  bool revive = true;  ///< of an automatic meet at start: false, so that no restart undoes a removal
};
struct JoinCommand {
  std::string ring{};
};
struct LeaveCommand {
  bool force = false;  ///< does not wait for an acknowledgement, nor for a clock that others believe
};
/// No key is placed on this node any more, which stays a member: its weight is 0 for so long, counted anew
/// from each such command, and then what it was. Zero: till now.
struct DrainCommand {
  Duration time{};
};
using RingCommand = std::variant<InsertCommand, UpdateCommand, RemoveCommand, MeetCommand, JoinCommand,
                                 LeaveCommand, DrainCommand>;

// Events, for listeners and logs.

/// The members, a weight or an endpoint changed (the reference's `process`).
struct RingChanged {
  std::vector<NodeId> members{};
};
struct ConflictFound {
  RingConflict conflict{};
};
struct RingJoined {
  std::string ring{};
};
/// This node left; `acknowledged` if another member knows.
struct RingLeft {
  std::string ring{};
  bool acknowledged = false;
};
/// Others removed this node, which is in no ring now. What it knew is with another member, or 5 s have
/// passed.
struct RingRemoved {
  std::string ring{};
  NodeId by{};
};
/// Two processes have this node id.
struct DuplicateId {
  NodeId id{};
  bool refused = false;  ///< it is the own one, and nodes refuse this process. Else it is hearsay
};
/// A message that was not taken, and why.
struct MessageRefused {
  NodeId from{};
  Error why{Errc::bad_message, ""};
};
using GossipEvent =
    std::variant<RingChanged, ConflictFound, RingJoined, RingLeft, RingRemoved, DuplicateId, MessageRefused>;

// Actions: all that a driver must do, in order.

/// Gossip is not queued for long for a peer without a link: the next round says it again.
struct Send {
  NodeId to{};
  GossipMessage message{};
};
/// A member to be connected to, one that moved, or one whose link is to be kept, or not, from now on.
struct Connect {
  NodeId peer{};
  Endpoint endpoint{};
  bool force = false;
  bool standing = true;  ///< the link is to be kept; else opened when there is something to send
};
struct Disconnect {
  NodeId peer{};
  bool force = false;
};
/// Find out who listens there, and answer with `on_dialed`.
struct Dial {
  std::uint64_t command = 0;
  Endpoint endpoint{};
};
/// A command's outcome; exactly one for each.
struct Done {
  std::uint64_t command = 0;
  Result<void> result{};
};
using Action = std::variant<Send, Connect, Disconnect, Dial, Done, GossipEvent>;
using Actions = std::vector<Action>;

struct GossipCounters {
  std::uint64_t digests_equal = 0;
  std::uint64_t digests_different = 0;
  std::uint64_t updates_received = 0;
  std::uint64_t updates_forwarded = 0;
  std::uint64_t gaps = 0;          ///< updates that did not follow on what was known
  std::uint64_t whole_states = 0;  ///< sent because clocks were equal and states were not: should stay 0
  std::uint64_t refused = 0;
  std::uint64_t conflicts = 0;
};

/// ceil(log2 members): how many times an edit is passed on until each of them has probably heard it.
[[nodiscard]] std::uint8_t push_rounds(std::size_t members) noexcept;

/// Spreads a ring's membership: each edit is pushed at once to a few random peers, which pass it on as long
/// as it is news (Demers et al., PODC 1987: rumor mongering), and each node compares state hashes
/// with one random peer, so that what the pushes missed is found (anti-entropy): every `period` when there
/// was news or a difference, then ever less often, down to once in `period_max` (Trickle, RFC 6206).
///
///   in no ring --join, accepted meet, insert elsewhere--> in a ring --leave--> leaving --ack or 5 s--> in no
///   ring
///                                                            '--removed by others--^
///
/// Time, chance and messages come in, actions come out; `Moment::now` never goes backwards. One thread at a
/// time.
class Gossip {
 public:
  Gossip(GossipConfig config, Rng rng, Moment at);
  /// A restart with what an earlier process of this node saved: in the ring that it was in, or else in that
  /// of `config`, unless this node has left it or was removed from it.
  Gossip(GossipConfig config, Rng rng, Moment at, SavedRing saved);

  /// In a ring whose state this node holds already, as `RingState::of_member` makes it; nothing is announced.
  struct Formed {
    RingState state;
  };
  Gossip(GossipConfig config, Rng rng, Moment at, Formed formed);

  /// What a driver must do first: the connections of a restart.
  [[nodiscard]] Actions on_start(Moment at);
  /// Handles one message from an authenticated peer; whatever it holds, the answer is an action or an event.
  [[nodiscard]] Actions on_message(Moment at, const NodeId& from, const GossipMessage& message);
  [[nodiscard]] Actions on_command(Moment at, std::uint64_t command, const RingCommand& what);
  /// Who answered a Dial, or why nobody did.
  [[nodiscard]] Actions on_dialed(Moment at, std::uint64_t command, const Result<NodeId>& peer);
  [[nodiscard]] Actions on_peer_up(Moment at, const NodeId& peer);
  [[nodiscard]] Actions on_peer_down(Moment at, const NodeId& peer);
  /// What the partition policy finds. Without a quorum edits are refused unless they are forced, and nobody
  /// becomes a member by meeting this node; to leave, to meet who is a member, and to merge what others did
  /// stays allowed.
  void on_quorum(const Quorum& quorum) noexcept { quorum_ = quorum; }
  /// Fires what is due. Early or repeated calls are harmless.
  [[nodiscard]] Actions on_time(Moment at);
  /// When `on_time` is next needed: the single timer a driver keeps.
  [[nodiscard]] Instant next_deadline() const noexcept;

  /// Empty: in no ring.
  [[nodiscard]] const std::string& ring() const noexcept { return ring_; }
  /// In no ring, this node is its only member.
  [[nodiscard]] const RingState& state() const noexcept { return state_; }
  [[nodiscard]] const GossipCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] const NodeId& self() const noexcept { return state_.self(); }
  /// What a later process of this node should be given. It has changed if `state().version()` has.
  [[nodiscard]] SavedRing saved() const;
  /// Whether this node left `ring` or was removed from it, and is not in it again.
  [[nodiscard]] bool has_departed(const std::string& ring) const { return departed(ring) != nullptr; }

 private:
  struct Meet {
    MeetCommand command;
    Instant deadline;
    Instant next_attempt;
    bool dialing = false;
    std::optional<NodeId> peer{};
    Error last{Errc::timeout, "no answer"};
  };
  /// On the way out: what this node knows must be known to one member at least, be it told to go or not.
  struct Leave {
    std::optional<std::uint64_t> command{};  // none: removed by others
    NodeId remover{};
    NodeId told_by{};  // perhaps the only member that this node knows
    Instant deadline{};
    Instant next_attempt{};
    std::map<std::uint64_t, RingDelta> unacknowledged{};  // by attempt
  };
  /// A state that differed from this node's although the clocks were equal.
  struct Mismatch {
    std::uint64_t version = 0;                  // of the own state
    std::map<crypto::Digest, Instant> since{};  // by the others' states
  };
  // gossip_exchange.cpp: the messages of one ring
  void on(const RingDigest& m);
  void on(const RingClockPart& m);
  void on(const RingClockOutline& m);
  void on(const RingUpdate& m);
  void on(const RingPull& m);
  void on(const RingForeign& m);
  void on(const RingGone& m);
  bool speaks_of_my_ring(const std::string& ring);
  void answer_outsider(const std::string& ring, bool ask);
  bool accept_invitation(const RingUpdate& m);
  bool tell_if_removed(const NodeId& peer);
  void hear_time(WallTime horizon);
  [[nodiscard]] bool may_ask(double share = 1);
  [[nodiscard]] Result<void> check_clock() const;
  [[nodiscard]] Result<void> has_room(std::size_t newcomers, std::uint64_t added_weight) const;
  bool merge(const RingDelta& delta, bool force);
  void heed_lost_weight(const RingDelta& delta);
  [[nodiscard]] static Error of_future(const NodeId& member);
  void send_digest(const NodeId& to);
  void send_clock(const NodeId& to, bool answer, const EditorInterval& interval = {});
  void send_outline(const NodeId& to);
  void send_clock_part(const NodeId& to, std::span<const ClockEntry> entries, const EditorInterval& interval,
                       bool answer);
  void send_deltas(const NodeId& to, std::vector<RingDelta> deltas);
  bool mismatch_stays(const crypto::Digest& theirs);
  void exchange_whole_state();
  void report(const RingConflict& conflict);

  // gossip_meet.cpp: entering and leaving rings
  void on(const MeetAsk& m);
  void on(const MeetAnswer& m);
  void on(const LeaveNotice& m);
  void on(const LeaveAck& m);
  void run(std::uint64_t command, const MeetCommand& what);
  void run(std::uint64_t command, const JoinCommand& what);
  void run(std::uint64_t command, const LeaveCommand& what);
  void ask_to_meet(std::uint64_t command, Meet& meet);
  void put_off(Meet& meet, Error why);
  void end_meet(std::uint64_t command, Result<void> result);
  void begin_leave(std::optional<std::uint64_t> command, const NodeId& remover);
  void tell_of_leave();
  void end_leave(bool acknowledged);
  void enter_ring(const std::string& ring, bool new_life);
  void fall_out();
  [[nodiscard]] const DepartedRing* departed(const std::string& ring) const;
  [[nodiscard]] Result<void> revive(const NodeId& peer, const RingMember& as_it_says);
  [[nodiscard]] std::optional<Error> no_newcomer(const NodeId& peer) const;

  // gossip.cpp
  void run(std::uint64_t command, const InsertCommand& what);
  void run(std::uint64_t command, const UpdateCommand& what);
  void run(std::uint64_t command, const RemoveCommand& what);
  void run(std::uint64_t command, const DrainCommand& what);
  [[nodiscard]] std::optional<Error> not_now() const;
  [[nodiscard]] std::optional<Error> not_now(bool force) const;
  [[nodiscard]] std::optional<Error> clock_ahead(bool force) const;
  [[nodiscard]] std::optional<Error> no_quorum(std::string_view advice) const;
  void begin(Moment at);
  [[nodiscard]] Actions finish();
  void heed_own_presence();
  void heed_own_weight();
  void push_own_edits();
  void push(const RingDelta& delta, std::uint8_t rounds);
  void note_changed(const NodeId& member, bool force);
  void settle_connections();
  void plan_links();
  void count_links();
  void seek_links();
  void start_rounds();
  void schedule_round(Duration interval);
  void hurry_rounds();
  [[nodiscard]] std::vector<NodeId> random_peers(std::size_t count, const NodeId& but = {});
  [[nodiscard]] std::vector<NodeId> draw_peers(std::size_t count, const NodeId& but, bool linked);
  void send(const NodeId& to, GossipMessage message) {
    out_.emplace_back(std::in_place_type<Send>, Send{to, std::move(message)});
  }
  void done(std::uint64_t command, Result<void> result) {
    out_.emplace_back(std::in_place_type<Done>, Done{command, std::move(result)});
  }
  void event(GossipEvent what) { out_.emplace_back(std::in_place_type<GossipEvent>, std::move(what)); }
  void refuse(Error why);

  GossipConfig config_;
  Rng rng_;
  std::string ring_;
  RingState state_;
  Moment at_{};
  NodeId from_{};  // whose message is being handled
  Actions out_{};
  Instant next_round_{};
  Duration interval_{};               // between rounds, now
  std::uint64_t version_heeded_ = 0;  // of the state, when the rounds were last hurried for it
  Instant next_to_any_{};
  Instant next_gap_digest_{};
  struct Search {
    Instant next = kNever;
    Duration interval{};
    std::size_t asked = 0;  // at this interval
  };
  std::optional<Search> search_{};    // for members that are there: too few of the standing links are up
  std::uint64_t pushed_ = 0;          // own edits up to this count have been pushed
  bool force_ = false;                // of the command that is being run
  std::map<NodeId, bool> changed_{};  // members changed by this input; true: with force
  struct Told {
    Endpoint endpoint{};
    bool standing = true;
    friend bool operator==(const Told&, const Told&) = default;
  };
  std::map<NodeId, Told> connected_{};  // what the driver was told
  LinkPlan links_{};
  std::vector<NodeId> up_{};  // peers with a link, members or not; by id
  Mismatch mismatch_{};
  std::map<std::uint64_t, Meet> meets_{};
  std::optional<Leave> leave_{};
  std::optional<Instant> drains_until_{};
  std::optional<WeightRegister> weight_{};  // of this node, when it last did not drain
  std::uint64_t leave_attempts_ = 0;
  std::deque<DepartedRing> departed_{};
  std::deque<RingConflict> conflicts_seen_{};
  GossipCounters counters_{};
  Quorum quorum_{};
  PeerClocks clocks_{};
  KeyedLimit asks_{{.tokens_max = 64, .tokens_per_second = 16, .keys_max = RingState::kMembersMax}};
  Instant next_asks_event_ = Instant::min();
};

}  // namespace cluster::proto
