#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/base/log.hpp"
#include "cluster/node/ring_board.hpp"
#include "cluster/proto/chord.hpp"
#include "cluster/runtime/actor_system.hpp"

namespace cluster {

/// One message of another node's overlay.
struct ChordMail {
  static constexpr bool wire_positional = true;
  static constexpr bool of_node = true;

  NodeId from{};
  proto::ChordMessage message{};
};

/// Which node owns `key`?
struct FindOwner {
  std::string key{};
  bool recursive = false;
  using reply = proto::ChordAnswer;
};

/// Into the Chord ring of the node that listens there; without an endpoint: a ring of its own.
struct JoinChord {
  std::optional<Endpoint> endpoint{};
};
struct LeaveChord {};

/// What this node knows of the overlay.
struct ChordView {
  struct Finger {
    std::uint32_t first = 0, last = 0;  ///< exponents of the starts, 0 to m - 1
    proto::ChordContact node{};
  };
  struct Answer {
    proto::ChordContact self{};
    bool member = false;
    std::uint32_t bits = 0;
    proto::ChordHash hash{};
    std::optional<proto::ChordContact> predecessor{};
    std::vector<proto::ChordContact> successors{};
    std::vector<Finger> fingers{};
    proto::ChordCounters counters{};
  };
  using reply = Answer;
};

/// Makes a node of the ring known to the network, to be called.
struct IntroduceChord {
  static constexpr bool local = true;

  proto::ChordContact node{};
};

/// A dial to the node to join through, or to meet, has ended. `code` 0: `node` answered.
struct ChordDialed {
  static constexpr bool local = true;

  std::uint64_t command = 0;  ///< 0: to meet it
  std::optional<proto::ChordContact> node{};
  std::uint16_t code = 0;
  std::string text{};
};
/// A link is up: where its other end listens.
struct ChordLinked {
  static constexpr bool local = true;

  proto::ChordContact peer{};
};
/// A link has ended. `expected`: it was closed for want of use, or is made anew.
struct ChordLinkLost {
  static constexpr bool local = true;

  NodeId peer{};
  bool expected = false;
};

/// The server named `chord`: drives the Chord state machine with this node's clock, timer and links. Peers
/// that nobody else knows are dialled when there is something to say to them, and forgotten when they said
/// nothing for a minute; beyond kPeersMax, the longest silent one for a new one.
class ChordServer : public GenServer<ChordServer, ChordMail, FindOwner, JoinChord, LeaveChord, ChordView,
                                     IntroduceChord, ChordDialed, ChordLinked, ChordLinkLost> {
 public:
  static constexpr bool system = true;
  static constexpr bool reentrant = true;  // while a join asks who is there
  static constexpr bool tells_outcome = true;
  static constexpr std::string_view kName = "chord";
  static constexpr std::size_t kPeersMax = 1024;

  ChordServer(proto::ChordConfig config, ActorSystem* system, std::shared_ptr<const RingBoard> board,
              std::vector<Endpoint> through);

  Result<void> init() override;
  void terminate(const runtime::ExitReason&) override;
  void handle_cast(const ChordMail& mail);
  void handle_call(const FindOwner& find, From<proto::ChordAnswer> from);
  void handle_call(const JoinChord& join, From<> from);
  Result<void> handle_call(const LeaveChord&);
  ChordView::Answer handle_call(const ChordView&);
  void handle_call(const IntroduceChord& introduced);
  Task<void> handle_cast(ChordDialed dialed);
  void handle_cast(const ChordLinked& linked);
  void handle_cast(const ChordLinkLost& lost);

  struct Tick {};
  struct Look {};
  void handle_info(const Tick&);
  Task<void> handle_info(Look);

 private:
  void perform(proto::ChordActions actions);
  void perform(proto::ChordSend& send);
  void perform(proto::ChordLookupDone& done);
  void perform(proto::ChordJoinDone& done);
  void perform(proto::ChordChanged&);
  void perform(proto::ChordRefused& refused);
  /// The caller keeps `contact`.
  Task<Result<void>> check_ring_of(const proto::ChordContact& contact);
  void dial(const Endpoint& endpoint, std::uint64_t command);
  void fail_join(std::uint64_t command, const Error& why);
  void introduce(const NodeId& id, const Endpoint& endpoint);
  void forget_strangers();

  /// A peer that this server made known to the kernel.
  struct Introduced {
    Endpoint endpoint{};
    Instant heard{};
    Instant since{};
    [[nodiscard]] Instant seen() const noexcept { return std::max(heard, since); }
  };
  using Strangers = std::map<NodeId, Introduced>;
  [[nodiscard]] bool is_member(const NodeId& id) const;
  Strangers::iterator forget(Strangers::iterator stranger);

  ActorSystem* system_;
  std::shared_ptr<const RingBoard> board_;
  std::vector<Endpoint> through_;  // asked while alone
  std::size_t through_next_ = 0;
  Rng rng_;
  proto::Chord chord_;
  Strangers introduced_{};
  std::map<NodeId, Endpoint> linked_{};  // where they listen, as they say themselves
  std::map<std::uint64_t, From<proto::ChordAnswer>> lookups_{};
  std::map<std::uint64_t, From<>> joins_{};
  std::uint64_t command_last_ = 0;
  bool was_member_ = false;  // before the join under way
  log::Limit refusal_lines_{};
  log::Limit meet_lines_{};
  Alarm tick_{};
};

}  // namespace cluster
