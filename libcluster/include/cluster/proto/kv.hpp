#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "cluster/base/rng.hpp"
#include "cluster/base/time.hpp"
#include "cluster/proto/kv_config.hpp"
#include "cluster/proto/kv_messages.hpp"
#include "cluster/proto/kv_placement.hpp"
#include "cluster/proto/kv_storage.hpp"
#include "cluster/proto/kv_trees.hpp"

namespace cluster::proto {

// Actions: all that a driver must do, in order.

struct KvSend {
  NodeId to{};
  KvMessage message{};
  bool bulk = false;  ///< upkeep: behind all that people wait for
};
/// The answer to `on_request`.
struct KvReply {
  std::uint64_t id = 0;
  Result<KvAnswer> answer;
};
/// Make durable all that the storage was given so far, then call `on_synced` with this or a later ticket.
struct KvSync {
  std::uint64_t ticket = 0;
};
/// What this node holds of a key has changed.
struct KvChanged {
  KvKey key{};
};
/// A message that was not taken, and why.
struct KvRefused {
  NodeId from{};
  Error why{Errc::bad_message, ""};
};
using KvAction = std::variant<KvSend, KvReply, KvSync, KvChanged, KvRefused>;
using KvActions = std::vector<KvAction>;

/// One node of a replicated key-value store: coordinates what is asked here, holds its share of the keys, and
/// keeps its copies and the others' alike. Source: Dynamo (DeCandia et al. 2007) for placement, quorums and
/// anti-entropy; where it leaves it: strict quorums (only a key's own replicas count), a coordinator that
/// holds hints as names of keys alone, reads that settle what they return, and replicas that do not count
/// before they have what the key's earlier replicas had (docs/kv.md has the argument).
///
/// Reads the storage synchronously. Time, chance and messages come in, actions come out; `now` never goes
/// backwards. One thread at a time.
class Kv {
 public:
  /// Throws std::invalid_argument for a config that cannot work. `storage` outlives it.
  Kv(KvConfig config, KvStorage& storage, Rng rng);

  /// Before anything else: reads the storage's note.
  [[nodiscard]] KvActions on_start(Instant now, WallTime wall);
  /// The members of the ring named `name` (empty: this node is in none, and alone). Also when nothing
  /// changed. A ring of others counts once it has rested (KvConfig::ring_rest).
  /// `leaving`: members of weight 0, which are not in `ring`.
  [[nodiscard]] KvActions on_ring(Instant now, const std::string& name, const KvEdition& edition,
                                  const CHash& ring, const std::vector<NodeId>& leaving = {});
  /// Whether a member can be reached, as far as is known; all can until this says otherwise.
  [[nodiscard]] KvActions on_peer(Instant now, const NodeId& peer, bool reachable);
  /// Handles one message from an authenticated peer, whatever it holds.
  [[nodiscard]] KvActions on_message(Instant now, WallTime wall, const NodeId& from, KvMessage message);
  /// Somebody at this node asks; the KvReply has the same id, which is given once.
  [[nodiscard]] KvActions on_request(Instant now, WallTime wall, std::uint64_t id, KvRequest request);
  /// All that the storage was given until `ticket` is durable; or the disk failed: then, as when a write
  /// failed, the store is no replica of anything any more, and what is asked here others do.
  [[nodiscard]] KvActions on_synced(Instant now, std::uint64_t ticket, const Result<void>& synced);
  /// Fires what is due. Early or repeated calls are harmless.
  [[nodiscard]] KvActions on_time(Instant now, WallTime wall);
  /// When `on_time` is next needed: the single timer a driver keeps.
  [[nodiscard]] Instant next_deadline() const noexcept { return due_; }

  /// Who is to hold a key, as this node sees it.
  [[nodiscard]] KvReplicas replicas(const KvKey& key) const;
  /// Whether this node has all that it is to hold in this ring, as far as others could tell it.
  [[nodiscard]] bool settled() const noexcept { return settled_; }
  [[nodiscard]] KvProgress progress() const;
  /// The disk has failed.
  [[nodiscard]] bool is_broken() const noexcept { return broken_; }
  /// Of a member that is leaving: whether it can go, and nobody has to ask it for anything.
  [[nodiscard]] bool has_drained() const;
  /// Members that can be reached, and do not yet have all that they are to hold.
  [[nodiscard]] std::vector<NodeId> unsettled() const;
  /// Members that can be reached, but whose disks have failed: they take nothing.
  [[nodiscard]] std::vector<NodeId> failed() const;
  [[nodiscard]] const KvCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] const NodeId& self() const noexcept { return config_.self; }
  [[nodiscard]] const KvBucket& bucket(const std::string& name) const;

 private:
  enum class Phase : std::uint8_t {
    forwarding,  ///< another node coordinates
    waiting,     ///< to be placed anew
    claiming,    ///< until the node that forwarded it says that it is this one's
    reading,     ///< until R replicas have answered
    settling,    ///< until the replicas that were behind have what is returned
    writing,     ///< until W replicas have it
  };
  struct Client {
    NodeId node{};  ///< empty: this one
    std::uint64_t id = 0;
  };
  struct Answered {
    KvStatus status = KvStatus::ok;
    bool ready = false;
    std::uint64_t hash = 0;
    bool large = false;  // the hash is all that is known of what it holds
  };
  /// A request under way.
  struct Operation {
    Client client{};
    KvRequest request{};
    Phase phase = Phase::waiting;
    KvReplicas replicas{};
    std::map<NodeId, Answered> answered{};  // in this phase
    KvRecord record{};                      // read so far, or to be written
    std::uint64_t hash = 0;                 // of it
    std::size_t room = 0;                   // taken of what all reads may hold
    std::size_t large_bytes = 0;            // of one that is to be fetched
    NodeId fetching{};                      // from whom
    KvAnswer answer{};
    bool done = false;    // the client has its answer; replicas may still be waited for
    bool placed = false;  // a write was begun: it may take effect whatever is answered
    bool granted = true;  // no other node coordinates it, or will
    NodeId coordinator{};
    bool claimed = false;      // by it
    int forwards = 0;          // so many times: a great value may need longer to get there
    std::set<NodeId> tried{};  // that did not claim it in time
    Instant deadline{};
    Instant retry_at{};

    [[nodiscard]] bool is_write() const noexcept { return request.verb != KvVerb::get; }
  };
  using Operations = std::map<std::uint64_t, Operation>;

  /// What waits until the storage is durable.
  struct Deferred {
    enum class Kind : std::uint8_t { write_reply, read_reply, own_write, own_read, taken, session };
    Kind kind = Kind::write_reply;
    NodeId to{};
    std::uint64_t id = 0;
    KvKey key{};
    std::uint16_t leaf = 0;
    bool whole = false;                 // of a read: however large it is
    std::optional<KvReadReply> read{};  // what was held when it came
  };
  struct Pending {
    std::vector<Deferred> waiting{};
    std::size_t read_bytes = 0;  // of them
    std::vector<KvKey> keys{};
  };

  /// A record on its way to replicas that lack it.
  struct Spread {
    KvKey key{};
    std::uint64_t hash = 0;
    std::set<NodeId> pending{};
    bool hands_over = false;  // then it is removed here
    Instant deadline{};
    std::size_t bytes = 0;
    std::size_t sent_bytes = 0;  // to all of them
  };

  /// A comparison with another node that this one has begun.
  struct Session {
    std::uint64_t id = 0;
    NodeId peer{};
    std::uint64_t life = 0;               // of the peer that answered
    std::vector<std::uint16_t> leaves{};  // that differ, and are still to be compared
    std::uint64_t from = 0;               // in the last of them
    std::size_t open = 0;                 // writes here and there that are not durable yet
    std::vector<std::uint64_t> wanted{};  // positions of what the other wants of this page, the next last
    std::size_t wanted_sent = 0;          // of the keys at the next of them
    bool page_end = false;                // of the leaf, once all of these are
    std::uint64_t next = 0;
    Instant deadline{};
  };
  /// Rings of which a node has what all of them gave it. None: it has nothing for certain.
  using Bases = std::vector<std::shared_ptr<const KvPlacement>>;
  /// Of the key space where this node is a replica: nobody's replicas change within one, in any of the rings
  /// that play a part.
  struct Stretch {
    Position at{};
    std::size_t rank = 0;                // of this node among those from here on
    std::vector<std::uint32_t> order{};  // of the members from here on: indices into `members`
  };
  struct Stretches {
    CHash edges{};                  // of the members of all those rings, with their greatest weights
    std::vector<NodeId> members{};  // by id, then those that are leaving
    std::vector<Stretch> own{};
  };
  class Look;
  static constexpr Duration kGreetInterval = std::chrono::milliseconds(500);
  struct Hello {
    std::uint64_t life = 0;
    bool verified = false;
    bool settled = false;
    Bases bases{};
  };
  /// A ring that may still change, entered at `at` and not after `until`.
  struct Coming {
    std::string name;
    KvEdition edition;
    CHash ring;
    std::vector<NodeId> leaving;
    std::uint64_t fingerprint;  // of the two
    Instant at;
    Instant until;
  };
  struct Forgetting {
    std::uint64_t id = 0;
    std::vector<KvForget::Entry> entries{};
    std::set<NodeId> pending{};
    Instant deadline{};
  };

  // kv.cpp
  void begin(Instant now);
  void begin(Instant now, WallTime wall);
  [[nodiscard]] KvActions finish();
  void send(const NodeId& to, KvMessage message, bool bulk = false);
  /// A great value is given more time.
  [[nodiscard]] static Duration time_for(std::size_t bytes) noexcept;
  [[nodiscard]] bool reachable(const NodeId& id) const {
    return id == self() || (!down_.contains(id) && !failed_.contains(id));
  }
  [[nodiscard]] bool can_serve(const NodeId& id) const { return reachable(id) && (id != self() || !broken_); }
  void load_note();
  void save_note();
  void end_part(const std::string& why);

  // kv_operations.cpp: what is asked here
  static constexpr std::size_t kShortBytes = 4096;  // of a value that needs no room
  [[nodiscard]] bool has_room(const KvRequest& request) const;
  void place(Operations::iterator at);
  void forward(Operations::iterator at);
  void claim(Operations::const_iterator at);
  void place_anew(Operation& operation, Instant when);
  void await_ring(Operations::iterator at, Errc code, std::string text);
  [[nodiscard]] bool place_elsewhere(Operation& operation, const NodeId& failed);
  void give_up_here(Operations::iterator at, const Error& why);
  void begin_write(Operations::iterator at);
  [[nodiscard]] Boot actor_for(const KvRecord& record, const VersionVector& seen) const;
  void send_phase(Operations::iterator at);
  void answer_phase(Operations::iterator at, const NodeId& from, KvStatus status, bool ready);
  void end_phase_if_complete(Operations::iterator at);
  void reply(Operation& operation, Result<KvAnswer> answer);
  void end(Operations::iterator at);
  void fail(Operations::iterator at, Errc code, std::string text);
  void check_operations();
  [[nodiscard]] std::size_t ready_answers(const Operation& operation) const;
  [[nodiscard]] Result<KvRecord> written(const Operation& operation, std::uint64_t& before, Dot& own);
  void on(const NodeId& from, KvForward& m);
  void on(const NodeId& from, KvForwarded& m);
  void on(const NodeId& from, KvClaim& m);
  void on(const NodeId& from, KvGrant& m);
  void on(const NodeId& from, KvWriteReply& m);

  // kv_reads.cpp: reads among it
  void begin_read(Operations::iterator at);
  void answer_read(Operations::iterator at, const NodeId& from, const KvReadReply& m);
  void answer_late_read(Operations::iterator at, const NodeId& from, const KvReadReply& m);
  [[nodiscard]] bool take_room(Operation& operation, std::size_t bytes);
  void give_room(Operations::iterator at);
  [[nodiscard]] std::optional<NodeId> holder_of_missing(const Operation& operation) const;
  void fetch(Operations::iterator at);
  void end_read(Operations::iterator at);
  [[nodiscard]] KvAnswer answer_of(const KvBucket& bucket, const KvRecord& record) const;
  [[nodiscard]] bool fulfils(const Operation& operation, const KvRecord& record) const;
  void on(const NodeId& from, KvReadReply& m);

  // kv_replica.cpp: what is held here
  void on(const NodeId& from, KvRead& m);
  void on(const NodeId& from, KvWrite& m);
  /// Merges into what is held. A change is written, durable with `ticket_`.
  Result<void> apply(const KvKey& key, const KvRecord& record);
  /// `before`: the fingerprint of what is held.
  Result<void> hold(const KvKey& key, const KvRecord& record, std::uint64_t before);
  /// With what its outline leaves out.
  [[nodiscard]] Result<KvRecord> whole(const KvKey& key, KvOutline outline) const;
  /// What is held of the key of a read, as the answer to it.
  [[nodiscard]] Result<KvReadReply> look_up(const Deferred& read) const;
  [[nodiscard]] bool counts_for(const KvKey& key) const;
  [[nodiscard]] bool is_durable(const KvKey& key) const { return !undurable_.contains(key); }
  void defer(Deferred deferred, const KvKey& key);
  [[nodiscard]] std::size_t deferred_bytes() const;
  void run(const Deferred& deferred, bool succeeded);
  void build_trees();

  // kv.cpp: the ring it is in
  [[nodiscard]] KvPlacement placement_in(const std::string& name, KvEdition edition, const CHash& ring,
                                         const std::vector<NodeId>& leaving) const;
  void enter_coming();
  void adopt(const std::string& name, KvPlacement next);
  void enter(KvPlacement next);
  [[nodiscard]] bool is_leaving() const;

  // kv_readiness.cpp: whether this node has what it is to hold
  [[nodiscard]] std::shared_ptr<const KvPlacement> placement_of(const KvRing& ring,
                                                                std::size_t& points) const;
  void greet(const NodeId& to, bool asks, bool tells = false);
  void greet_all(bool asks);
  void hear_of_failure(const NodeId& of, std::uint64_t life);
  void serves_again(const NodeId& peer);
  void hear(const NodeId& from, const KvHello& m);
  void learn(std::span<const KvRing> rings);
  [[nodiscard]] bool has_settled(const NodeId& peer) const;
  [[nodiscard]] bool too_many_silent(std::span<const CHash::Node* const> nodes, std::size_t w) const;
  [[nodiscard]] bool too_many_silent(std::size_t silent, std::size_t w) const;
  void settle_if_complete();
  void settle();
  void trim_log();
  void look_soon();
  [[nodiscard]] std::size_t points_told() const;
  void on(const NodeId& from, KvHello& m);

  // kv_sync.cpp: the comparison with others
  [[nodiscard]] bool can_compare_with(const NodeId& id) const;
  void begin_session();
  void ask_leaf();
  void end_session(bool complete);
  void page_done();
  [[nodiscard]] Result<std::vector<KvStorage::Entry>> shared_entries(const NodeId& peer, std::uint16_t leaf,
                                                                     std::uint64_t from, std::size_t max,
                                                                     bool& all) const;
  void send_wanted();
  void take(const NodeId& from, const KvSyncRecords& m, Deferred::Kind kind);
  void on(const NodeId& from, KvSyncAsk& m);
  void on(const NodeId& from, KvSyncDiffer& m);
  void on(const NodeId& from, KvSyncLeaf& m);
  void on(const NodeId& from, KvSyncRecords& m);
  void on(const NodeId& from, KvSyncTaken& m);

  // kv_upkeep.cpp: hints, keys that belong elsewhere, deleted keys
  void hint(const NodeId& to, const KvKey& key);
  void spread_hints();
  void hand_over();
  [[nodiscard]] std::set<NodeId> takers(const KvReplicas& placed) const;
  void spread(const KvKey& key, std::set<NodeId> to, bool hands_over);
  [[nodiscard]] bool can_spread() const noexcept;
  bool take_spread_reply(const NodeId& from, const KvWriteReply& m);
  void drop_late_spreads();
  void look_for_dead();
  void ask_to_forget();
  void forget(const std::vector<KvForget::Entry>& entries);
  void on(const NodeId& from, KvForget& m);
  void on(const NodeId& from, KvForgetReply& m);

  KvConfig config_;
  KvStorage& storage_;
  Rng rng_;
  Instant now_{};
  WallTime wall_{};
  Instant due_ = kNever;
  KvActions out_{};
  bool broken_ = false;  // the disk failed
  std::string fault_{};  // why
  bool told_broken_ = false;

  Boot actor_{};             // of this node's dots, anew in each ring
  std::uint64_t count_ = 0;  // of the last of them, and no less than any that this node wrote upon

  std::string ring_name_{};
  KvPlacement ring_{};
  std::optional<Coming> coming_{};
  Bases bases_{};
  Bases entry_bases_{};        // when this ring began
  std::vector<KvRing> log_{};  // the rings that this node was in, the newest last
  bool log_cut_ = false;       // there were others before
  std::set<NodeId> heard_{};   // who has told its history, in this ring
  bool verified_ = false;      // enough have, for all keys
  bool settled_ = false;
  std::set<NodeId> members_{};  // without this one
  std::set<NodeId> down_{};
  std::map<NodeId, std::uint64_t> failed_{};  // whose disks have, and which of their lives has ended by that
  std::map<NodeId, Hello> hellos_{};          // of nodes in the same ring
  std::set<NodeId> synced_{};                 // compared with, since this ring
  std::set<NodeId> lacking_{};                // to be compared with, as of the last look
  std::uint64_t look_steps_ = 0;              // of that
  Stretches stretches_{};                     // until settled

  std::uint64_t last_id_ = 0;
  Operations operations_{};
  std::size_t read_bytes_ = 0;  // that they hold, or wait for
  std::set<std::pair<NodeId, std::uint64_t>> forwards_{};
  std::deque<std::pair<NodeId, std::uint64_t>> forwards_in_order_{};
  std::uint64_t ticket_ = 0;  // of what is written now
  std::uint64_t ticket_asked_ = 0;
  std::uint64_t ticket_synced_ = 0;
  std::map<std::uint64_t, Pending> pending_{};
  std::map<KvKey, std::uint64_t> undurable_{};  // the ticket of the last write

  KvTrees trees_{};
  std::uint64_t trees_from_ = 0;  // the trees hold what lies before this position
  bool trees_built_ = false;

  std::optional<Session> session_{};
  NodeId last_peer_{};
  std::set<NodeId> sync_soon_{};  // came back, and may have missed writes
  std::map<std::uint64_t, Spread> spreads_{};
  std::size_t spread_bytes_ = 0;
  std::map<NodeId, std::set<KvKey>> hints_{};
  std::size_t hints_held_ = 0;
  bool foreign_ = true;  // keys of others may be held here
  bool foreign_found_ = false;
  std::uint64_t foreign_from_ = 0;
  std::uint64_t foreign_keys_ = 0;  // of what the trees hold
  std::uint64_t dead_from_ = 0;
  std::vector<KvForget::Entry> dead_{};
  std::optional<Forgetting> forgetting_{};

  Instant check_at_ = kNever;
  Instant greet_at_ = kNever;
  Instant settle_at_ = kNever;
  Instant sync_at_ = kNever;
  Instant failed_at_{};  // then those whose disks failed are greeted again, with the next session
  Instant upkeep_at_ = kNever;
  Instant dead_at_ = kNever;
  KvCounters counters_{};
};

}  // namespace cluster::proto
