#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/proto/chord.hpp"
#include "cluster/sim/chord_checker.hpp"
#include "cluster/sim/network.hpp"
#include "cluster/sim/simulator.hpp"

namespace cluster::sim {

struct ChordClusterConfig {
  std::size_t nodes = 16;  ///< that there will ever be
  std::uint64_t seed = 1;
  proto::ChordConfig chord{};  ///< of each, but for `self`
  NetworkFaults network{.delay = Latency::uniform(1ms, 10ms)};
};

/// Nodes of a Chord ring on a virtual clock. Each message is encoded and decoded. A dead node does not
/// answer, which the others find out by their timeouts alone. After every event the checker looks at the
/// whole ring.
class ChordCluster {
 public:
  static constexpr Duration kInFlight = 100ms;

  struct Outcome {
    std::size_t from = 0;
    proto::ChordId target{};
    Duration took{};
    Result<proto::ChordAnswer> answer{Error(Errc::cancelled, "")};
    bool right = false;  ///< the owner was alive, and by the definition the owner when the answer came
  };

  explicit ChordCluster(ChordClusterConfig config);
  ChordCluster(const ChordCluster&) = delete;
  ChordCluster& operator=(const ChordCluster&) = delete;

  [[nodiscard]] Simulator& simulator() noexcept { return simulator_; }
  [[nodiscard]] Network& network() noexcept { return network_; }
  [[nodiscard]] const ChordChecker& checker() const noexcept { return checker_; }
  [[nodiscard]] const proto::Chord& node(std::size_t place) const { return nodes_[place].chord; }
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  [[nodiscard]] const proto::ChordSpace& space() const noexcept { return space_; }

  /// The first `count` nodes are members of a ring in which all know what they should.
  void form(std::size_t count);
  void create(std::size_t node);
  void join(std::size_t node, std::size_t through);
  void leave(std::size_t node);
  /// Zave's operating assumption, and a little more. Her reads are atomic; here a list is up to `kInFlight`
  /// old when it is taken over, and may skip who became a principal meanwhile. So a failure must leave r + 1
  /// of those that were principals before.
  [[nodiscard]] bool may_fail(std::size_t node) const;
  /// A crash. False, and nothing happens, unless it may fail.
  bool kill(std::size_t node);
  /// A crash, allowed or not.
  void kill_anyway(std::size_t node);
  /// A dead node gets another endpoint. Who asks it at the old one reaches it only over a link that it opened
  /// itself since then.
  void move(std::size_t node);
  /// All those links end.
  void close_links();
  void lookup(std::size_t from, const proto::ChordId& target,
              proto::ChordMode mode = proto::ChordMode::iterative);

  [[nodiscard]] bool is_member(std::size_t node) const;
  [[nodiscard]] bool is_joining(std::size_t node) const;
  /// By number, ascending.
  [[nodiscard]] std::vector<std::size_t> members() const;
  [[nodiscard]] std::size_t random_member(Rng& rng) const;
  /// A random place on the circle.
  [[nodiscard]] proto::ChordId random_target(Rng& rng) const;

  // The definition: of the members alone, whatever they know.
  [[nodiscard]] std::size_t owner_of(const proto::ChordId& target) const;
  /// What keeps the ring from being ideal: the first wrong predecessor, successor list or finger. Empty:
  /// none.
  [[nodiscard]] std::string flaw(bool with_fingers = true) const;
  /// Runs until the ring is ideal, looking every `step`; how long that took, nothing if longer than `max`.
  [[nodiscard]] std::optional<Duration> run_until_ideal(Duration max, bool with_fingers = true,
                                                        Duration step = 50ms);
  /// Runs until no lookup is under way.
  void run_lookups();

  /// The lookups answered since the last call.
  [[nodiscard]] std::vector<Outcome> take_outcomes() { return std::exchange(outcomes_, {}); }
  [[nodiscard]] std::size_t open_lookups() const noexcept { return asked_.size(); }
  /// Outcomes for lookups that were not under way: there should be none.
  [[nodiscard]] std::size_t answered_twice() const noexcept { return answered_twice_; }
  [[nodiscard]] std::size_t joins_failed() const noexcept { return joins_failed_; }
  [[nodiscard]] std::uint64_t messages() const noexcept { return network_.counters().sent; }

 private:
  struct Member {
    proto::Chord chord;
    bool running = true;
    Instant armed = kNever;
    bool moved = false;
    std::set<std::size_t> linked{};  // of one that moved: whom it has spoken to since
  };
  struct Asked {
    std::size_t from = 0;
    proto::ChordId target{};
    Instant at{};
  };
  void perform(std::size_t node, proto::ChordActions actions);
  void deliver(std::size_t from, std::size_t to, const proto::ChordMessage& message);
  [[nodiscard]] bool reaches(std::size_t from, const proto::ChordSend& send) const;
  void arm(std::size_t node);
  void fire(std::size_t node, Instant when);
  void report(std::size_t node);
  void note_principals(std::size_t deaths);
  void forget_old_principals();
  void fail_lookups_of(std::size_t node);
  [[nodiscard]] std::size_t number_of(const NodeId& id) const;

  Simulator simulator_;
  Network network_;
  proto::ChordSpace space_;
  std::vector<Member> nodes_;
  std::unordered_map<NodeId, std::size_t> numbers_{};
  std::vector<proto::ChordId> places_;
  ChordChecker checker_;
  std::map<proto::ChordId, std::size_t> members_{};
  struct Principals {
    Instant at{};
    std::size_t count = 0;
    std::size_t deaths = 0;  // up to then
  };
  std::deque<Principals> principals_{};  // of the last moments
  std::map<std::uint64_t, Asked> asked_{};
  std::uint64_t asked_last_ = 0;
  std::vector<Outcome> outcomes_{};
  std::size_t answered_twice_ = 0;
  std::size_t joins_failed_ = 0;
  Bytes scratch_{};
};

}  // namespace cluster::sim
