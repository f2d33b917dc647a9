#pragma once
#include <cstdint>
#include <deque>
#include <functional>
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

/// The last things that happened to the ring and its members, numbered from 1, for `cluster-cli events`.
/// Thread-safe.
class EventLog {
 public:
  static constexpr std::size_t kKept = 1024;

  void add(const proto::GossipEvent& event);
  void add(const MemberEvent& event);
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
  void add(wire::Value::Map fields);

  mutable std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::deque<wire::Value> events_{};
  std::vector<std::weak_ptr<const Listener>> listeners_{};
};

}  // namespace cluster
