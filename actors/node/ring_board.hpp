#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cluster/crypto/sha256.hpp"
#include "cluster/ds/chash.hpp"
#include "cluster/proto/kv_placement.hpp"
#include "cluster/proto/ring_state.hpp"

namespace cluster {

/// The ring as one node sees it at one moment. Immutable.
struct RingView {
  std::string ring{};  ///< empty: in none; then this node is the only member
  CHash hash{};
  std::vector<proto::MemberView> members{};  ///< by id
  crypto::Digest state{};                    ///< equal on nodes that know the same edits
  proto::KvEdition edition{};                ///< of who belongs to it, with which weight and zone
};

/// Where the ring server leaves its newest view for everyone on the node. Thread-safe; readers copy one
/// pointer.
class RingBoard {
 public:
  RingBoard() : view_(std::make_shared<const RingView>()) {}
  void post(RingView view) {
    auto next = std::make_shared<const RingView>(std::move(view));
    const std::lock_guard lock(mutex_);
    view_.swap(next);
  }
  /// Never null.
  [[nodiscard]] std::shared_ptr<const RingView> read() const {
    const std::lock_guard lock(mutex_);
    return view_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const RingView> view_;
};

}  // namespace cluster
