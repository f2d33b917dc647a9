#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/base/endpoint.hpp"
#include "cluster/proto/detector.hpp"
#include "cluster/proto/partition_policy.hpp"

namespace cluster {

using proto::MemberState;

/// A member of the ring as this node sees it; the node itself is always alive.
struct NodeMember {
  NodeId id{};
  Endpoint endpoint{};
  MemberState state = MemberState::unknown;
  std::uint64_t incarnation = 0;
  Boot boot{};      ///< zero while unknown
  NodeId by{};      ///< who found it so
  Instant since{};  ///< of the state, as this node heard of it
  std::string zone{};
};

/// A member came, may have gone, or went.
struct MemberEvent {
  enum class Kind : std::uint8_t {
    node_up,       ///< first contact, an objection, or a new process of a member
    node_suspect,  ///< it does not answer, and may still object
    node_down,     ///< unreachable, stopped, or not in the ring any more: see `to`
  };
  Kind kind = Kind::node_up;
  NodeId id{};
  MemberState from = MemberState::unknown;
  MemberState to = MemberState::unknown;
  Boot boot{};
  std::uint64_t incarnation = 0;
  NodeId by{};
};
[[nodiscard]] std::string_view name(MemberEvent::Kind kind) noexcept;

/// Where the failure detector leaves what it holds of the members and of the quorum, and whom it tells of
/// changes. Thread-safe.
class MemberBoard {
 public:
  using View = std::vector<NodeMember>;
  using Listener = std::function<void(const MemberEvent&)>;
  using QuorumListener = std::function<void(const proto::Quorum&)>;

  MemberBoard() : view_(std::make_shared<const View>()) {}
  void post(View view) {
    auto next = std::make_shared<const View>(std::move(view));
    const std::lock_guard lock(mutex_);
    view_.swap(next);
  }
  /// By id. Never null; empty until the detector has begun.
  [[nodiscard]] std::shared_ptr<const View> read() const {
    const std::lock_guard lock(mutex_);
    return view_;
  }
  void listen(Listener listener) {
    const std::lock_guard lock(mutex_);
    listeners_.push_back(std::move(listener));
  }
  void listen(QuorumListener listener) {
    const std::lock_guard lock(mutex_);
    quorum_listeners_.push_back(std::move(listener));
  }
  /// Whatever a listener throws is logged.
  void tell(const MemberEvent& event) const;
  void tell(const proto::Quorum& quorum) const;

  /// Whether what needs a quorum may be done here, as the partition policy last found. Costs one load.
  [[nodiscard]] bool has_quorum() const noexcept { return has_quorum_.load(std::memory_order_acquire); }
  void post_quorum(bool found) noexcept { has_quorum_.store(found, std::memory_order_release); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const View> view_;
  std::vector<Listener> listeners_{};
  std::vector<QuorumListener> quorum_listeners_{};
  std::atomic<bool> has_quorum_{true};
};

/// Whether a member is there, as far as this node knows: alive, or at most suspect.
[[nodiscard]] bool answers(const MemberBoard::View& members, const NodeId& id);

}  // namespace cluster
