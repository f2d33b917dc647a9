#pragma once
#include <cstdint>
#include <deque>
#include <mutex>
#include <string_view>

#include "cluster/node/member_board.hpp"
#include "cluster/proto/gossip.hpp"
#include "cluster/wire/value.hpp"

namespace cluster {

/// The last things that happened to the ring and its members, numbered from 1, for `cluster-cli events`.
/// Thread-safe.
class EventLog {
 public:
  static constexpr std::size_t kKept = 1024;

  void add(const proto::GossipEvent& event);
  void add(const MemberEvent& event);
  void add(const proto::Quorum& quorum);
  /// Those after number `since`, oldest first, as {"seq", "time_ms", "event", ...}. All that are kept if
  /// `since` is of an earlier process that had counted further.
  [[nodiscard]] wire::Value::Array after(std::uint64_t since) const;

 private:
  void add(wire::Value::Map fields);

  mutable std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::deque<wire::Value> events_{};
};

}  // namespace cluster
