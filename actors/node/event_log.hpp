#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/node/member_board.hpp"
#include "cluster/proto/gossip.hpp"
#include "cluster/wire/value.hpp"

namespace cluster {

/// A drill cut this node's links to `members`, or, without any, healed them.
struct DrillStep {
  std::string drill{};
  std::vector<NodeId> members{};
};

/// The last things that happened to the ring and its members, numbered from 1, for `cluster-cli events`. Of
/// too many, that member or kind of event loses its oldest which has the most, so that nobody who has much
/// said of a few pushes out what happened to the others. Thread-safe.
class EventLog {
 public:
  static constexpr std::size_t kKept = 1024;

  void add(const proto::GossipEvent& event);
  /// `left_out`: changes of this member since its last event, which were too many to be told.
  void add(const MemberEvent& event, std::uint64_t left_out = 0);
  void add(const proto::Quorum& quorum);
  void add(const DrillStep& step);
  /// Those after number `since`, oldest first, as {"seq", "time_ms", "event", ...}. All that are kept if
  /// `since` is of an earlier process that had counted further.
  [[nodiscard]] wire::Value::Array after(std::uint64_t since) const;

  using Listener = std::function<void()>;
  /// Calls `listener` after each event, on the thread that adds it: it must not block. Ends when the caller
  /// lets go of what is returned.
  [[nodiscard]] std::shared_ptr<const Listener> listen(Listener listener);

 private:
  struct Kept {
    std::uint64_t number = 0;
    std::string about{};  // a member's id, or the kind of the event
    wire::Value event{};
  };
  void add(wire::Value::Map fields);
  void add(std::string about, wire::Value::Map fields);
  void forget_one();

  mutable std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::deque<Kept> events_{};
  std::map<std::string, std::size_t> kept_of_{};
  std::vector<std::weak_ptr<const Listener>> listeners_{};
};

}  // namespace cluster
