#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/base/time.hpp"
#include "cluster/proto/chord_fingers.hpp"

namespace cluster::proto {

/// With these times a ring has healed 6 s after a crash: a silent node is found within an interval and a
/// timeout, those behind it within one more timeout, and news of successors runs back without waiting.
struct ChordConfig {
  ChordContact self{};
  unsigned bits = ChordId::kBitsMax;  ///< of an identifier: 8..160; the same on all nodes, as `hash`
  ChordHash hash = ChordHash::sha1;
  std::size_t successors = 8;        ///< r: length of the successor list; r - 1 may die at once. 1..32
  Duration stabilize_interval = 1s;  ///< give or take `jitter`
  double jitter = 0.1;
  Duration fingers_interval = 3s;  ///< in which each finger is looked at once
  Duration request_timeout = 1s;   ///< of a neighbour: then it is dead
  Duration hop_timeout = 500ms;    ///< of a finger, and a node on the way of a lookup: others are tried
  Duration lookup_timeout = 5s;
  Duration attempt_timeout = 2s;  ///< of a recursive lookup, which may be lost with a node on its way
  Duration join_timeout = 5s;
  Duration merge_interval = 5s;  ///< between looks for neighbours that were lost
  std::uint16_t hops_max = 64;   ///< of a lookup; at most kChordHopsMax
  /// Routes over the successor list too, not over the fingers alone: the last log2 r of some log2 N halvings
  /// are spared.
  bool route_by_successors = true;
};

/// How a lookup travels (ToN 2003, section IV-D: the asker asks node by node, or each node asks the next).
enum class ChordMode : std::uint8_t { iterative, recursive };

struct ChordAnswer {
  ChordContact owner{};
  std::uint16_t hops = 0;      ///< nodes asked, without the asker and the owner
  std::uint16_t timeouts = 0;  ///< nodes that did not answer on the way
  std::vector<NodeId> path{};  ///< whom it went over, the owner last
};

// Actions: all that a driver must do, in order.

/// Without an endpoint: an answer, over the link that the question came by.
struct ChordSend {
  NodeId to{};
  Endpoint endpoint{};
  ChordMessage message{};
};
/// The outcome of a lookup; exactly one for each.
struct ChordLookupDone {
  std::uint64_t command = 0;
  Result<ChordAnswer> answer{Error(Errc::cancelled, "")};
};
/// The outcome of a join; exactly one for each.
struct ChordJoinDone {
  std::uint64_t command = 0;
  Result<void> result{};
};
/// The predecessor or the successors are others now.
struct ChordChanged {};
/// A message that was not taken, and why.
struct ChordRefused {
  NodeId from{};
  Error why{Errc::bad_message, ""};
};
using ChordAction = std::variant<ChordSend, ChordLookupDone, ChordJoinDone, ChordChanged, ChordRefused>;
using ChordActions = std::vector<ChordAction>;

struct ChordCounters {
  std::uint64_t stabilized = 0;   ///< answers of the successor
  std::uint64_t fingers_set = 0;  ///< found by a lookup
  std::uint64_t lookups = 0;      ///< of this node's own asking, for fingers and joins too
  std::uint64_t lookups_failed = 0;
  std::uint64_t steps = 0;  ///< answered for others
  std::uint64_t forwarded = 0;
  std::uint64_t unanswered = 0;  ///< requests
  std::uint64_t buried = 0;      ///< nodes found dead
  std::uint64_t cut_off = 0;     ///< all successors were dead at once
  std::uint64_t refused = 0;
};

/// One node of a Chord ring: which node owns a key, in O(log N) hops and with O(log N) nodes known.
///
/// Sources: Stoica, Morris, Liben-Nowell, Karger, Kaashoek, Dabek, Balakrishnan, "Chord", IEEE/ACM ToN 11(1),
/// 2003, for identifiers, fingers and lookups; P. Zave, "Reasoning about identifier spaces: how to make Chord
/// correct", IEEE TSE 43(12), 2017, for what keeps the ring: join, stabilize (from the successor, then from
/// its predecessor), rectify. Each step takes the state of one other node and replaces this node's successor
/// list as a whole. Where this leaves the papers: docs/chord.md.
///
///   idle --create------------------------> member --leave--> idle
///        --join--> joining --neighbours----^
///                     '--refused, no answer--> idle
///
/// Time, chance and messages come in, actions come out; `now` never goes backwards. One thread at a time.
/// Memory: O(r + log N), and at most kOpenMax lookups and messages under way.
class Chord {
 public:
  static constexpr std::size_t kOpenMax = 4096;
  enum class State : std::uint8_t { idle, joining, member };

  /// Throws std::invalid_argument for a configuration out of bounds.
  Chord(ChordConfig config, Rng rng);

  /// The first node of a new ring. Ends a join that is under way.
  [[nodiscard]] ChordActions create(Instant now);
  /// Into the ring of `contact`. A member leaves its own ring first.
  [[nodiscard]] ChordActions join(Instant now, std::uint64_t command, const ChordContact& contact);
  /// Asks a node that may be in another part of the ring, or in another ring, for this node's successor as it
  /// sees it; if that is nearer, the two become one.
  [[nodiscard]] ChordActions meet(Instant now, const ChordContact& contact);
  /// For a driver that begins with a ring already formed: what a member knows.
  struct Formed {
    ChordContact predecessor{};
    ChordContacts successors{};
    ChordFingers fingers{};
  };
  [[nodiscard]] ChordActions form(Instant now, const Formed& formed);
  /// Tells the neighbours. Lookups under way are answered with `cancelled`.
  [[nodiscard]] ChordActions leave(Instant now);
  /// Finds the node that owns `target`. Only a member can.
  [[nodiscard]] ChordActions lookup(Instant now, std::uint64_t command, const ChordId& target,
                                    ChordMode mode = ChordMode::iterative);
  /// Handles one message of an authenticated peer, whatever it holds.
  [[nodiscard]] ChordActions on_message(Instant now, const NodeId& from, const ChordMessage& message);
  /// Where a node listens, as it says itself: others may still tell of where it was. Costs next to nothing if
  /// that is known.
  [[nodiscard]] ChordActions on_contact(Instant now, const ChordContact& contact);
  /// The link to a node was lost: it is asked at once whether it is there.
  [[nodiscard]] ChordActions on_unanswered(Instant now, const NodeId& peer);
  /// Fires what is due. Early or repeated calls are harmless.
  [[nodiscard]] ChordActions on_time(Instant now);
  /// When `on_time` is next needed: the single timer a driver keeps.
  [[nodiscard]] Instant next_deadline() const noexcept;

  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] const ChordConfig& config() const noexcept { return config_; }
  [[nodiscard]] const ChordSpace& space() const noexcept { return space_; }
  [[nodiscard]] const ChordPeer& self() const noexcept { return self_; }
  [[nodiscard]] const std::optional<ChordPeer>& predecessor() const noexcept { return predecessor_; }
  /// In order; empty: alone.
  [[nodiscard]] const std::vector<ChordPeer>& successors() const noexcept { return successors_; }
  [[nodiscard]] const ChordFingers& fingers() const noexcept { return fingers_; }
  /// Where finger `index` begins: self + 2^index.
  [[nodiscard]] ChordId finger_start(unsigned index) const noexcept {
    return space_.add_power(self_.place, index);
  }
  [[nodiscard]] std::size_t open_lookups() const noexcept { return lookups_.size(); }
  [[nodiscard]] const ChordCounters& counters() const noexcept { return counters_; }

 private:
  /// What a request to another node is for.
  enum class Purpose : std::uint8_t {
    stabilize,    // the successor's list
    adopt,        // the list of a node between this one and its successor
    predecessor,  // is it there?
    verify,       // is it there?
    finger,       // are you still the first after the finger's start?
    join,         // the list of the node to join behind
    step,         // of an iterative lookup
    forward,      // of a recursive one
  };
  struct Request {
    Purpose purpose{};
    ChordPeer peer{};
    std::uint64_t subject = 0;  // finger: its index; join, step: the lookup; forward: its number
    bool last = false;          // of a step
    Instant due{};
  };
  struct Candidate {
    ChordPeer peer{};
    bool last = false;  // should own the target
  };
  enum class Aim : std::uint8_t { command, finger, join, merge };
  struct Lookup {
    Aim aim{};
    std::uint64_t command = 0;  // finger: its index
    ChordId target{};
    ChordMode mode{};
    Instant deadline{};
    Instant timer{};
    std::vector<Candidate> ways{};  // the next at the back
    std::optional<ChordPeer> accepted{};
    ChordAnswer answer{};
    std::uint32_t asked = 0;
    ChordContact contact{};  // of a join or merge
  };
  /// A recursive lookup that was handed to this node, until the next has it.
  struct Forward {
    ChordFind find{};
    std::vector<Candidate> ways{};
    bool mine_otherwise = false;
  };
  struct Lost {
    ChordContact contact{};
    std::uint32_t tries = 0;
  };

  // chord.cpp: inputs, requests, who is silent
  void begin(Instant now) noexcept;
  [[nodiscard]] ChordActions finish();
  void on(const ChordAsk& m);
  void on(const ChordNeighbours& m);
  void on(const ChordNotify& m);
  void on(const ChordHint& m);
  void on(const ChordGone& m);
  void on(const ChordStep& m);
  void on(const ChordNext& m);
  void on(const ChordFind& m);
  void on(const ChordTaken& m);
  void on(const ChordFound& m);
  void on(const ChordRefusal& m);
  bool accepts(std::uint64_t request, std::uint16_t space);
  std::uint64_t book(Purpose purpose, const ChordPeer& peer, Duration timeout, std::uint64_t subject = 0,
                     bool last = false);
  void ask(Purpose purpose, const ChordPeer& peer, std::uint64_t subject = 0);
  [[nodiscard]] std::optional<Request> take(std::uint64_t request);
  void unanswered(const Request& request, bool silent);
  void bury(const ChordPeer& peer, bool silent);
  void avoid(const ChordPeer& peer);
  [[nodiscard]] bool is_suspect(const NodeId& id) const { return suspects_.contains(id); }
  [[nodiscard]] const ChordPeer* neighbour(const NodeId& id) const;
  [[nodiscard]] ChordPeer peer_of(const ChordContact& contact) const;
  void send(const ChordPeer& to, ChordMessage message);
  void answer(ChordMessage message);
  void refuse(Error why);
  void forget_all();

  // chord_ring.cpp: what keeps the ring (Zave's operations)
  void become_member();
  void stabilize();
  void stabilized(const ChordPeer& successor, const ChordNeighbours& m);
  void adopt(const ChordPeer& successor, const ChordNeighbours& m);
  void notify_successor();
  void rectify(const ChordPeer& candidate);
  void check_predecessor();
  void set_successors(std::vector<ChordPeer> successors);
  void set_predecessor(std::optional<ChordPeer> predecessor);
  void relocate(const ChordContact& contact);
  [[nodiscard]] std::vector<ChordPeer> list_behind(const ChordPeer& first, const ChordContacts& rest) const;
  void drop_dead_successors();
  void take_any_successor();
  void join_behind(std::uint64_t lookup, const ChordPeer& predecessor, const ChordNeighbours& m);
  void retry_join(std::uint64_t lookup);
  void end_join(Result<void> result);
  void look_for_lost();
  void look_through(const ChordContact& contact);
  void merged(const Lookup& lookup, const ChordPeer& owner);

  // chord_fix.cpp: the finger table
  [[nodiscard]] unsigned first_finger() const;
  void fix_next_finger();
  void finger_answered(const Request& request, const ChordNeighbours& m);
  void finger_found(unsigned index, const ChordPeer* owner);
  void finger_is(unsigned index, const ChordPeer& peer);
  void schedule_finger(bool at_once);

  // chord_lookup.cpp: the way to a target
  struct Ways {
    std::vector<const ChordPeer*> closer{};
    std::vector<const ChordPeer*> owners{};
  };
  [[nodiscard]] Ways ways_to(const ChordId& target) const;
  [[nodiscard]] std::vector<Candidate> candidates(const Ways& ways) const;
  [[nodiscard]] bool owns(const ChordId& target) const;
  [[nodiscard]] const ChordPeer* better_owner(const ChordId& target) const;
  void begin_lookup(Lookup lookup);
  void step(std::uint64_t number, Lookup& lookup);
  void stepped(const Request& request, const ChordNext& m);
  void attempt(std::uint64_t number, Lookup& lookup);
  void pass_on(Forward forward);
  void found(const ChordFind& find);
  void end_lookup(std::uint64_t number, Result<ChordPeer> owner);
  void lookup_due(std::uint64_t number);

  ChordConfig config_;
  ChordSpace space_;
  ChordPeer self_;
  Rng rng_;
  Instant now_{};
  NodeId from_{};  // whose message is being handled
  ChordActions out_{};

  State state_ = State::idle;
  std::optional<ChordPeer> predecessor_{};
  std::vector<ChordPeer> successors_{};
  ChordFingers fingers_{};
  bool changed_ = false;

  std::uint64_t number_last_ = 0;  // of requests, lookups and forwards
  std::map<std::uint64_t, Request> requests_{};
  std::map<std::uint64_t, Lookup> lookups_{};
  std::map<std::uint64_t, Forward> forwards_{};
  std::set<std::pair<Instant, std::uint64_t>> timers_{};  // of requests and lookups
  std::map<NodeId, Instant> suspects_{};                  // until when others are tried first
  std::set<NodeId> dead_{};                               // found so in this input: no verdict is remembered
  std::vector<Lost> lost_{};

  Instant stabilize_at_ = kNever;
  std::uint64_t stabilizing_ = 0;  // the request under way
  bool stabilize_again_ = false;
  Instant predecessor_heard_{};
  std::optional<ChordPeer> rectify_with_{};  // who takes the predecessor's place if it is dead
  Instant merge_at_ = kNever;
  std::uint64_t join_command_ = 0;

  Instant finger_at_ = kNever;
  unsigned finger_next_ = 0;
  bool finger_busy_ = false;
  std::optional<unsigned> finger_lost_{};
  ChordCounters counters_{};
};

}  // namespace cluster::proto
