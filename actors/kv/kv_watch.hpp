#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cluster/kv/kv_server.hpp"
#include "cluster/node/ring_board.hpp"

namespace cluster {

/// What changed in a bucket, wherever in the ring its keys lie.
struct KvWatch {
  static constexpr std::string_view event = "watch";

  std::string bucket{};
  std::string prefix{};
  /// After this row; none: from now on, which the answer says with a row `watching`.
  std::optional<std::uint64_t> since{};
  std::uint32_t wait_ms = 0;  ///< an answer without rows may take so long, up to 30 s

  struct Row {
    std::uint64_t seq = 0;          ///< grows; about the microseconds since 1970
    std::string event{};            ///< put, del, watching or missed
    std::string key{};              ///< of put and del
    std::vector<NodeId> members{};  ///< of watching: who tells; of missed: whose changes, if known
    std::vector<NodeId> silent{};   ///< of watching: who does not answer, and is asked again
  };
  struct Answer {
    std::uint64_t last = 0;  ///< to go on after
    std::vector<Row> rows{};
  };
  using reply = Answer;
};
/// A row as people and programs see it, without what it lacks.
[[nodiscard]] wire::Value watch_row(const KvWatch::Row& row);

/// The server named `kv_watch`: follows the changes that the stores of all members tell, and makes one list
/// of them for each bucket that somebody watches, in which each change of a key stands once, whichever of its
/// replicas told it first. Follows nobody when nobody has asked for a minute.
class KvWatcher : public GenServer<KvWatcher, KvWatch> {
 public:
  static constexpr bool reentrant = true;
  static constexpr bool tells_outcome = true;
  static constexpr std::string_view kName = "kv_watch";

  explicit KvWatcher(std::shared_ptr<const RingBoard> ring) : ring_(std::move(ring)) {}

  Result<void> init() override;
  void handle_call(const KvWatch& watch, From<KvWatch::Answer> from);

  struct Tick {};
  void handle_info(const Tick&);
  /// Follows one member as long as the bucket is watched.
  struct Follow {
    std::string bucket;
    NodeId node;
  };
  Task<void> handle_info(Follow follow);

 private:
  struct Place {  // in what a member tells
    bool asked = false;
    bool answers = false;
    Boot boot{};
    std::optional<std::uint64_t> since{};
  };
  struct Tap {
    WallTime begun{};
    Instant wanted{};  // somebody asked then
    bool ended = false;
    std::map<NodeId, Place> places{};
    std::deque<KvWatch::Row> rows{};
    std::uint64_t floor = 0;  // what came before is forgotten
    std::uint64_t last = 0;
    std::unordered_map<std::string, VersionVector> seen{};
    std::deque<std::string> seen_in_order{};
  };
  struct Waiting {
    KvWatch watch;
    From<KvWatch::Answer> from;
    Instant until;
  };

  [[nodiscard]] Tap& tap_of(const std::string& bucket);
  [[nodiscard]] bool is_member(const NodeId& node) const;
  void follow_members(const std::string& bucket, Tap& tap);
  void take(Tap& tap, const NodeId& node, const KvChanges::Answer& told);
  void add(Tap& tap, KvWatch::Row row);
  [[nodiscard]] static bool is_news(Tap& tap, const KvChanges::Change& change);
  [[nodiscard]] std::optional<KvWatch::Answer> answer_to(const KvWatch& watch, const Tap& tap,
                                                         bool late) const;
  void answer_waiting();

  std::shared_ptr<const RingBoard> ring_;
  std::map<std::string, std::shared_ptr<Tap>> taps_;
  std::vector<Waiting> waiting_;
};

}  // namespace cluster
